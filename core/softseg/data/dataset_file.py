"""DATA.json as it stands in the file, and what becomes of its entries: cases and the tree that it names."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from softseg.data.case import OPINION_WEIGHT, Case, Images, LabelFiles, Split
from softseg.data.identified import Identifier
from softseg.errors import InputError
from softseg.files import is_file, leaves_folder
from softseg.texts import read_json
from softseg.tree import LabelTree

MOST_OPINION = 0.9
"""An opinion weighs at most this, so that a corrected voxel always weighs more (our default)."""


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


def parse_file(file: Path) -> DatasetFile:
    """Return the contents of DATA.json; raises :class:`InputError` with file and field where it does not fit."""
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


def named_tree(name: str, file: Path) -> LabelTree | None:
    """Return the tree that DATA.json names, None where it is missing: then the meaning of values is unknown."""
    try:
        return load_tree(name, file)
    except InputError:
        return None


def load_tree(name: str, file: Path) -> LabelTree:
    """Return the tree that DATA.json names: a file beside it, or a shipped tree."""
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


def case_of(entry: CaseEntry, file: Path, content: DatasetFile) -> Case:
    """Return an entry as a case with absolute paths; what it leaves out is taken from the whole file."""

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
