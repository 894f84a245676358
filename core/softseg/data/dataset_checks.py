"""What can be known of a DATA.json without reading a voxel: names, splits, files, nodes and values of the tree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from softseg.data.case import Case
from softseg.data.cubes.address import file_of
from softseg.data.dataset_file import CaseEntry, DatasetFile
from softseg.errors import InputError
from softseg.files import leaves_folder
from softseg.headers import is_scan
from softseg.tree import LabelTree
from softseg.tree.matching import contradictions, listed


def check_names(content: DatasetFile, file: Path) -> None:
    """Refuse ids and channels that are given twice, cannot be file names, or are not the dataset's."""
    for what, names in (("channels", content.channels), ("cases", [case.id for case in content.cases])):
        repeated = _repeated(names)
        if repeated is not None:
            label = "case id" if what == "cases" else "channel"
            raise InputError(f"{label} {repeated!r} is given twice", file=file, field=what)
    for position, case in enumerate(content.cases):
        if any(sign in case.id for sign in '/\\:*?"<>|') or case.id.strip(". ") != case.id:
            raise InputError(f"{case.id!r} cannot be a file name", file=file, field=f"cases[{position}].id")
        for channel in content.channels:
            if case.images and channel not in case.images:
                raise InputError(
                    f"case {case.id!r} lacks the channel {channel!r}", file=file, field=f"cases[{position}].images"
                )
        for channel in case.images:
            if channel not in content.channels:
                raise InputError(
                    f"case {case.id!r} has a channel {channel!r} that is not in channels {content.channels}",
                    file=file,
                    field=f"cases[{position}].images",
                )
        if not case.labels:
            raise InputError(f"case {case.id!r} has no labels", file=file, field=f"cases[{position}].labels")


def check_splits(cases: Iterable[CaseEntry], file: Path) -> None:
    """Refuse a person in two splits."""
    split_of: dict[str, tuple[str, str]] = {}
    for position, case in enumerate(cases):
        split, first = split_of.setdefault(case.group, (case.split, case.id))
        if split != case.split:
            raise InputError(
                f"person {case.group!r} is in two splits: case {first!r} in {split}, case {case.id!r} in {case.split}",
                file=file,
                field=f"cases[{position}].split",
                hint="put all scans of a person into one split",
            )


def check_files(cases: Iterable[Case], file: Path) -> None:
    """Refuse files that are not there, and links out of the dataset's folder."""
    for position, case in enumerate(cases):
        for field, path in case.files():
            place, named = f"cases[{position}].{field}", file_of(path)
            if not is_scan(named):
                raise InputError(f"no such file: {named}", file=file, field=place)
            if leaves_folder(named, file.parent):
                raise InputError(
                    f"is a link out of the dataset's folder: {named}",
                    file=file,
                    field=place,
                    hint="name the file that it leads to, if that is meant",
                )


def check_nodes(cases: Iterable[Case], tree: LabelTree, file: Path) -> None:
    """Refuse soft maps of nodes that the tree does not have."""
    known = {node.id for node in tree.nodes}
    for position, case in enumerate(cases):
        for node in case.labels if isinstance(case.labels, dict) else ():
            if node not in known:
                raise InputError(
                    f"the label tree {tree.name!r} has no node {node!r}", file=file, field=f"cases[{position}].labels"
                )


def check_unlabelled(content: DatasetFile, tree: LabelTree, file: Path) -> None:
    """Refuse a value for unlabelled voxels that a node of the tree has, or that soft maps cannot have."""
    taken = {node.value: node for node in tree.nodes if node.value is not None and node is not tree.background}
    for position, entry in enumerate(content.cases):
        value = content.unlabelled if entry.unlabelled is None else entry.unlabelled
        field = "unlabelled" if entry.unlabelled is None else f"cases[{position}].unlabelled"
        if value in taken:
            raise InputError(
                f"{value} is the value of {taken[value].id!r} in the label tree",
                file=file,
                field=field,
                hint="choose a value that no node has",
            )
        if entry.unlabelled is not None and isinstance(entry.labels, dict):
            raise InputError(
                "soft maps have no value for unlabelled voxels",
                file=file,
                field=field,
                hint="give a mask of the labelled voxels",
            )


def check_values(named: LabelTree, tree: LabelTree, file: Path) -> None:
    """Refuse a tree whose label values differ from those that the label maps were made with."""
    found = [] if named == tree else contradictions(named, tree)
    if found:
        raise InputError(
            f"its label values mean other things in the tree '{tree.name}': {listed(found)}",
            file=file,
            field="tree",
            hint="give a tree with the values of the label maps, or correct the names",
        )


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
