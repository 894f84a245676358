"""YAML as people mean it: ``on``, ``off``, ``yes`` and ``no`` are words, also where they are keys.

YAML 1.1, which PyYAML follows, makes truth values of them, so that ``{name: dice, on: probabilities}`` would lose its
option ``on``. Here only ``true`` and ``false`` are truth values, as in YAML 1.2.
"""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """The safe loader with the truth values of YAML 1.2."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """Return what a YAML text says, made of plain Python values only.

    Raises
    ------
    yaml.YAMLError: the text is not YAML.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from the safe loader
