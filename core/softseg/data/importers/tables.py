"""Tables beside BIDS label maps (``*_dseg.tsv``): what their values mean, for a tree and compared with one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.files import stem
from softseg.errors import InputError
from softseg.events import Events
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from softseg.tree.matching import contradictions, listed

_DEPTH = 5
"""Folders above a label map in which a table may stand for all of its kind."""


def require_same_meaning(cases: Sequence[Mapping[str, Any]], tree: str | PathLike[str]) -> None:
    """Refuse a tree that names a label value differently than the tables beside the label maps.

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


def names_of_values(cases: Sequence[Mapping[str, Any]], events: Events) -> dict[int, str]:
    """Return what the tables beside the label maps call their values; empty where there is none.

    Of the tables that fit a label map the one with the most words of its name counts (``desc-aseg_dseg.tsv`` rather
    than ``dseg.tsv``), and of these the nearest.

    Raises
    ------
    InputError: two label maps' tables name one value in two ways; both are named.
    """
    found: dict[int, tuple[str, Path]] = {}
    tables: set[Path] = set()
    for path in _label_maps(cases):
        own = max(_tables_of(path), key=lambda table: len(table.name.split("_")), default=None)
        if own is None or own in tables:
            continue
        tables.add(own)
        for leaf in LabelTree.load(own).leaves:
            name, first = found.setdefault(int(leaf.value or 0), (leaf.name, own))
            if name != leaf.name:
                raise InputError(
                    f"calls the label value {leaf.value} {leaf.name!r}, which is {name!r} in {first}",
                    file=own,
                    hint="give the tree that the label maps belong to",
                )
    if tables:
        events.log(f"{min(tables)}: names of the label values" + (f"; and {len(tables) - 1} more" * (len(tables) > 1)))
    return {value: name for value, (name, _) in found.items()}


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
