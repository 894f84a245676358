"""What there is to train on: the file DATA.json, checked, with absolute paths and its label tree.

The format is in ``docs/datasets.md``. :meth:`Dataset.load` checks everything that can be known without reading a
voxel (names, channels, splits, files that are there, nodes of the tree); :func:`softseg.data.check_dataset` reads the
files as well.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from softseg.data.cubes.address import file_of
from softseg.data.identified import Identifier
from softseg.errors import InputError
from softseg.files import is_file, leaves_folder, settle
from softseg.headers import is_scan
from softseg.requests.names import file_names
from softseg.texts import read_json
from softseg.tree import LabelTree
from softseg.tree.matching import contradictions, listed

Split: TypeAlias = Literal["train", "val", "test"]
LabelFiles: TypeAlias = "Path | list[Path] | dict[str, Path]"

OPINION_WEIGHT = 0.5
"""How much a voxel of a corrected result counts that nobody corrected, unless DATA.json says it (our default)."""

MOST_OPINION = 0.9
"""An opinion weighs at most this, so that a corrected voxel always weighs more (our default)."""

SOFT_SUFFIX = ".soft.npz"


class CaseEntry(BaseModel):
    """One case as it stands in DATA.json; paths are relative to that file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Identifier
    group: Identifier
    split: Split
    images: dict[Identifier, str] = Field(default_factory=dict)
    labels: str | list[str] | dict[str, str]
    mask: str | None = None
    unlabelled: int | None = Field(default=None, ge=0, le=65535)
    opinion_weight: float | None = Field(default=None, ge=0, le=MOST_OPINION)


class DatasetFile(BaseModel):
    """The contents of DATA.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    channels: list[Identifier] = Field(min_length=1)
    tree: str
    unlabelled: int | None = Field(default=None, ge=0, le=65535)
    opinion_weight: float | None = Field(default=None, ge=0, le=MOST_OPINION)
    cases: list[CaseEntry] = Field(min_length=1)


class Images(dict[str, Path]):
    """The image files of a case by channel; one that has labels alone says so when an image of it is asked for.

    Parameters
    ----------
    files: file per channel.
    case_id, dataset: for the message.
    """

    def __init__(self, files: Mapping[str, Path], case_id: str, dataset: Path) -> None:
        super().__init__(files)
        self._case_id, self._dataset = case_id, dataset

    def __missing__(self, channel: str) -> Path:
        raise InputError(
            f"case {self._case_id!r} has no image {channel!r}: labels alone serve synthetic trainings only",
            file=self._dataset,
            field="cases",
            hint="name its images, or leave it out",
        )


@dataclass(frozen=True)
class Case:
    """One scan with its labels; all paths are absolute.

    Attributes
    ----------
    id: unique name within the dataset.
    group: the person; a group never crosses splits.
    split: ``"train"``, ``"val"`` or ``"test"``.
    images: file per channel; none where there are labels alone, which synthetic images are made from.
    labels: one label map; several raters' label maps; soft maps (0..1) by node id; or a corrected result (.soft.npz).
    mask: where (non-zero) the labels are valid; everywhere when absent.
    unlabelled: value in the label maps that says nothing about a voxel, None if there is none.
    opinion_weight: weight of a voxel of a corrected result that nobody corrected, 0..0.9; a corrected one has 1.
    groups: whether a voxel that was said to be an inner node keeps that label, else it has shares of the node's leaves.
    """

    id: str
    group: str
    split: Split
    images: dict[str, Path]
    labels: LabelFiles
    mask: Path | None = None
    unlabelled: int | None = None
    opinion_weight: float = OPINION_WEIGHT
    groups: bool = True

    @property
    def corrected(self) -> Path | None:
        """The corrected result that its labels are, None where they are anything else."""
        is_result = isinstance(self.labels, Path) and self.labels.name.endswith(SOFT_SUFFIX)
        return self.labels if is_result and isinstance(self.labels, Path) else None

    def files(self) -> list[tuple[str, Path]]:
        """Return all files with the field that names each, e.g. ``("images.T1", path)``."""
        found = [(f"images.{channel}", path) for channel, path in self.images.items()]
        if isinstance(self.labels, dict):
            found += [(f"labels.{node}", path) for node, path in self.labels.items()]
        elif isinstance(self.labels, list):
            found += [(f"labels[{position}]", path) for position, path in enumerate(self.labels)]
        else:
            found.append(("labels", self.labels))
        return found if self.mask is None else [*found, ("mask", self.mask)]


@dataclass(frozen=True)
class Dataset:
    """Cases that share channels and a label tree.

    Attributes
    ----------
    name: for people.
    channels: in the order the network sees them.
    tree: what the labels mean.
    cases: all cases of all splits.
    path: the file it came from (messages name it).
    """

    name: str
    channels: tuple[str, ...]
    tree: LabelTree
    cases: tuple[Case, ...]
    path: Path

    @cached_property
    def file_names(self) -> dict[str, str]:
        """The names, by case id, that files of the cases carry wherever a dataset is made from this one."""
        return file_names(case.id for case in self.cases)

    def split(self, *names: Split) -> tuple[Case, ...]:
        """Return the cases of the named splits, in file order."""
        return tuple(case for case in self.cases if case.split in names)

    def case(self, case_id: str) -> Case:
        """Return the case of that id.

        Raises
        ------
        InputError: there is none.
        """
        for case in self.cases:
            if case.id == case_id:
                return case
        raise InputError(f"no case has the id {case_id!r}", file=self.path, field="cases")

    def with_tree(self, tree: LabelTree) -> Dataset:
        """Return the same cases under another tree.

        Raises
        ------
        InputError: a soft map is given for a node that ``tree`` does not have, or a label value means something else
            there.
        """
        _check_values(self.tree, tree, self.path)
        _check_nodes(self.cases, tree, self.path)
        return replace(self, tree=tree)

    def without_groups(self) -> Dataset:
        """Return the same for losses that know leaves alone: what was corrected to an inner node becomes shares."""
        return replace(self, cases=tuple(replace(case, groups=False) for case in self.cases))

    @staticmethod
    def load(path: str | PathLike[str], tree: LabelTree | None = None) -> Dataset:
        """Read and check DATA.json.

        Parameters
        ----------
        path: the file.
        tree: stands in for the tree that the file names; label values mean the same in both.

        Raises
        ------
        InputError: the file is missing, is not JSON, has an unknown or missing field, names a missing file, gives a
            case id twice, lacks a channel, puts one person into two splits, or a label value means one thing in its
            tree and another in ``tree``; file and field are named.
        """
        file = Path(path).absolute()
        settle(file.parent)
        content = _parse(file)
        chosen = _load_tree(content.tree, file) if tree is None else tree
        if tree is not None and (named := _named_tree(content.tree, file)) is not None:
            _check_values(named, tree, file)
        cases = tuple(_case(entry, file, content) for entry in content.cases)
        _check_names(content, file)
        _check_splits(content.cases, file)
        _check_files(cases, file)
        _check_nodes(cases, chosen, file)
        _check_unlabelled(content, chosen, file)
        return Dataset(content.name, tuple(content.channels), chosen, cases, file)


def _named_tree(name: str, file: Path) -> LabelTree | None:
    """Return the tree that DATA.json names, None where it is not there: then nothing says what values meant."""
    try:
        return _load_tree(name, file)
    except InputError:
        return None


def _check_values(named: LabelTree, tree: LabelTree, file: Path) -> None:
    """Refuse a tree that says something else of the label maps' values than the one that they were made with."""
    found = [] if named == tree else contradictions(named, tree)
    if found:
        raise InputError(
            f"its label values mean other things in the tree '{tree.name}': {listed(found)}",
            file=file,
            field="tree",
            hint="give a tree with the values of the label maps, or correct the names",
        )


def _parse(file: Path) -> DatasetFile:
    raw = read_json(file)
    try:
        return DatasetFile.model_validate(raw)
    except ValidationError as error:
        message, field = _first_problem(error)
        raise InputError(message, file=file, field=field) from error


def _first_problem(error: ValidationError) -> tuple[str, str | None]:
    """Return message and field of the first problem, in the words of DATA.json."""
    problem = error.errors()[0]
    keep: list[str | int] = []
    for part in problem["loc"]:
        if part in ("str", "list[str]", "dict[str,str]"):
            break
        keep.append(part)
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in keep).lstrip(".")
    message = {"extra_forbidden": "unknown key", "missing": "is missing"}.get(
        problem["type"], problem["msg"].removeprefix("Value error, ")
    )
    if keep and keep[-1] == "labels" and problem["type"] != "missing":
        message = "expected a path, a list of paths (raters) or paths by node id"
    return message, field or None


def _load_tree(name: str, file: Path) -> LabelTree:
    path = file.parent / name
    if is_file(path):
        if leaves_folder(path, file.parent):
            raise InputError(f"is a link out of the dataset's folder: {name}", file=file, field="tree")
        try:
            return LabelTree.load(path)
        except InputError as error:
            hint = f"it is the tree of {file.name}" + (f"; {error.hint}" if error.hint else "")
            raise InputError(error.message, file=error.file, field=error.field, hint=hint) from error
    from softseg.resources import label_tree_path, list_label_trees

    if name in list_label_trees():
        return LabelTree.load(label_tree_path(name))
    raise InputError(
        f"no such label tree: {name}", file=file, field="tree", hint="give a file or a shipped tree's name"
    )


def _case(entry: CaseEntry, file: Path, content: DatasetFile) -> Case:
    def absolute(name: str) -> Path:
        return Path(os.path.normpath(file.parent / name))

    labels: LabelFiles
    if isinstance(entry.labels, str):
        labels = absolute(entry.labels)
    elif isinstance(entry.labels, list):
        labels = [absolute(name) for name in entry.labels]
    else:
        labels = {node: absolute(name) for node, name in entry.labels.items()}
    return Case(
        id=entry.id,
        group=entry.group,
        split=entry.split,
        images=Images({channel: absolute(name) for channel, name in entry.images.items()}, entry.id, file),
        labels=labels,
        mask=None if entry.mask is None else absolute(entry.mask),
        unlabelled=content.unlabelled if entry.unlabelled is None else entry.unlabelled,
        opinion_weight=_first_given(entry.opinion_weight, content.opinion_weight, OPINION_WEIGHT),
    )


def _first_given(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _check_names(content: DatasetFile, file: Path) -> None:
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


def _check_splits(cases: Iterable[CaseEntry], file: Path) -> None:
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


def _check_files(cases: Iterable[Case], file: Path) -> None:
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


def _check_nodes(cases: Iterable[Case], tree: LabelTree, file: Path) -> None:
    known = {node.id for node in tree.nodes}
    for position, case in enumerate(cases):
        for node in case.labels if isinstance(case.labels, dict) else ():
            if node not in known:
                raise InputError(
                    f"the label tree {tree.name!r} has no node {node!r}", file=file, field=f"cases[{position}].labels"
                )


def _check_unlabelled(content: DatasetFile, tree: LabelTree, file: Path) -> None:
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


def _repeated(names: Iterable[str]) -> str | None:
    return next((name for name, count in Counter(names).items() if count > 1), None)
