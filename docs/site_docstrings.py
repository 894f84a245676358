"""Docstrings of this project in the form that numpydoc's readers expect; used while the documentation is built."""

from __future__ import annotations

import re
from typing import Any

import griffe

_SECTION = re.compile(r"(?P<indent> *)(?P<title>Parameters|Attributes|Raises|Returns|Yields)\n *-{3,}\n")
_ITEM = re.compile(r"(?P<names>[\w.*]+(?:, [\w.*]+)*): (?P<text>.*)")
_ROLE = re.compile(r":[a-z]+:`~?([^`]+)`")


class Items(griffe.Extension):
    """Split ``name: description`` into a name and an indented description, in sections that list items."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of every object that has one."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """Return a docstring with its items in two lines and roles of reStructuredText as code."""
    text = _ROLE.sub(r"`\1`", text)
    parts = re.split(r"(?m)^(?=(?:Parameters|Attributes|Raises|Returns|Yields|Examples)\n-{3,}\n)", text)
    return "".join(_items(part) if _SECTION.match(part) else part for part in parts)


def _items(section: str) -> str:
    title, line, *rest = section.split("\n")
    lines = [title, line]
    for each in rest:
        item = _ITEM.fullmatch(each)
        for name in item["names"].split(", ") if item else ():
            lines += [name if title == "Raises" else f"{name} :", f"    {item['text']}"]
        if not item:
            lines.append(each)
    return "\n".join(lines)
