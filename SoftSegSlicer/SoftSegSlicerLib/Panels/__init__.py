"""One panel a file; each is a class of the same name with ``widget``, ``refresh`` and ``cleanup``."""
