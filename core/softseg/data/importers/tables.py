"""Tables beside BIDS label maps (``*_dseg.tsv``): what their values mean, compared with the tree that is to say it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.files import stem
from softseg.errors import InputError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from softseg.tree.matching import contradictions, listed

_DEPTH = 5
"""Folders above a label map in which a table may stand for all of its kind."""


def require_same_meaning(cases: Sequence[Mapping[str, Any]], tree: str | PathLike[str]) -> None:
    """Refuse a tree that says something else of a label value than the tables beside the label maps.

    Parameters
    ----------
    cases: entries of DATA.json with absolute paths.
    tree: its file, or the name of a shipped one.

    Raises
    ------
    InputError: a value means one thing in a table and another in the tree; both are named.
    """
    chosen = LabelTree.load(tree if Path(tree).is_file() else label_tree_path(os.fspath(tree)))
    for table in sorted({table for path in _label_maps(cases) for table in _tables_of(path)}):
        found = contradictions(LabelTree.load(table), chosen)
        if found:
            raise InputError(
                f"its labels are others than those of the tree '{chosen.name}': {listed(found)}",
                file=table,
                hint="give the tree that the label maps belong to, or none",
            )


def _label_maps(cases: Sequence[Mapping[str, Any]]) -> Iterator[Path]:
    for case in cases:
        labels = case.get("labels")
        if isinstance(labels, Path):
            yield labels
        elif isinstance(labels, (list, tuple)):
            yield from labels


def _tables_of(path: Path) -> Iterator[Path]:
    """Return the tables of a label map: beside it, and those above it whose words are all in its name."""
    words = set(stem(path).split("_"))
    for folder in path.parents[:_DEPTH]:
        for table in folder.glob("*dseg.tsv"):
            if set(table.name[: -len(".tsv")].split("_")) <= words:
                yield table
        if (folder / "dataset_description.json").is_file():
            return
