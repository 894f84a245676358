"""How people name a cut through the tree: a level, or a file of node ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.errors import InputError

if TYPE_CHECKING:
    from softseg.tree import Cut, LabelTree


def parse_cut(tree: LabelTree, text: str) -> Cut:
    """Return the cut that ``text`` names.

    Parameters
    ----------
    tree: the tree to cut.
    text: a level (depth, the root is 0), ``leaves``, or a file with node ids: a JSON list, or one id per line.

    Raises
    ------
    InputError: it is neither a level nor a file, or the ids do not cover every leaf exactly once.
    """
    if text.isdigit():
        return tree.cut_at(int(text))
    if text == "leaves":
        return tree.cut_at(tree.depth)
    file = Path(text)
    if not file.is_file():
        raise InputError(f"expected a level from 0 to {tree.depth} or a file of node ids, got {text}", field="--cut")
    try:
        content = file.read_text(encoding="utf-8")
        ids = json.loads(content) if content.lstrip().startswith("[") else _lines(content)
    except ValueError as error:
        raise InputError("expected a JSON list of node ids, or one id per line", file=file) from error
    try:
        return tree.cut([str(node_id) for node_id in ids])
    except InputError as error:
        raise InputError(error.message, file=file, field=error.field, hint=error.hint) from error


def _lines(content: str) -> list[str]:
    lines = (line.split("#", 1)[0].strip() for line in content.splitlines())
    return [line for line in lines if line]
