"""One folder a tab; its panel is a class ``<Tab>Panel`` with ``widget``, ``refresh`` and ``cleanup``."""
