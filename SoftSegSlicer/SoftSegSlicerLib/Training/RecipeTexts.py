"""The shipped recipes in plain language, read without a YAML parser, which Slicer does not bring along."""

import functools
import os
import re

from .. import Engine

FIRST_CHOICE = "tree-wasserstein-dice"
_BLOCK = re.compile(r"^explanation: >-\n((?:[ ]+.*\n)+)", re.MULTILINE)


@functools.cache
def recipeTexts():
    """Return each shipped recipe's explanation for people who are not engineers, the first choice first."""
    folder = os.path.join(str(Engine.folder()), "softseg", "training", "recipes")
    names = sorted(name[: -len(".yaml")] for name in os.listdir(folder) if name.endswith(".yaml"))
    names.sort(key=lambda name: name != FIRST_CHOICE)
    return {name: _explanation(os.path.join(folder, f"{name}.yaml")) for name in names}


def _explanation(path):
    with open(path, encoding="utf-8") as stream:
        found = _BLOCK.search(stream.read())
    return " ".join(found.group(1).split()) if found else ""
