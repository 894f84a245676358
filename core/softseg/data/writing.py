"""Writing DATA.json with its label tree: paths relative to it, and a tree's file that belongs to this dataset alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.case import SOFT_SUFFIX
from softseg.errors import InputError
from softseg.files import leaves_folder, write_together
from softseg.resources import label_tree_path
from softseg.texts import read_json
from softseg.tree import LabelTree
from softseg.tree.formats.own_json import SCHEMA

_FIELDS = ("id", "group", "split", "images", "labels", "mask", "unlabelled", "opinion_weight")


def companion(data: str | PathLike[str], ending: str) -> Path:
    """Return the path of a file or folder that belongs to one DATA.json: ``cord.json`` has ``cord.tree.json``.

    Two datasets in one folder never have the same.

    Raises
    ------
    InputError: ``data`` does not end in ``.json``, so that what is named after it could belong to another.
    """
    file = Path(data).absolute()
    if file.suffix != ".json" or not file.stem:
        raise InputError("expected a name that ends in .json", file=file)
    return file.with_name(f"{file.stem}.{ending}")


def write_dataset(
    out: str | PathLike[str],
    name: str,
    channels: Sequence[str],
    tree: LabelTree | str | PathLike[str],
    cases: Sequence[Mapping[str, Any]],
    *,
    lies_in: Path | None = None,
) -> Path:
    """Write DATA.json, and ``DATA.tree.json`` beside it unless ``tree`` is a file already, with relative paths.

    Both appear together.

    Parameters
    ----------
    out: DATA.json.
    tree: a tree, its file, or the name of a shipped one.
    cases: entries as in DATA.json, with absolute paths.
    lies_in: the folder where the file will lie, to which its paths are relative; the one it is written to by default.
        What lies beside ``out`` goes there with it.

    Raises
    ------
    InputError: there is no case, no such tree, ``out`` does not end in ``.json`` or holds a label tree, or the files
        cannot be written.
    """
    target = Path(out).absolute()
    if not cases:
        raise InputError("found no case with labels", hint="check the source folder's layout")
    _keep_trees(target)
    folder = target.parent if lies_in is None else lies_in.absolute()
    if isinstance(tree, LabelTree):
        tree_name = companion(target, "tree.json").name
    elif Path(tree).is_file():
        tree_name = _relative(Path(tree).absolute(), folder)
    else:
        tree_name = label_tree_path(os.fspath(tree)).stem
    content = {
        "name": name,
        "channels": list(channels),
        "tree": tree_name,
        "cases": [
            {field: _relative_paths(case[field], folder, target.parent) for field in _fields(case)} for case in cases
        ],
    }
    with write_together(target) as place:
        if isinstance(tree, LabelTree):
            tree.save(place / tree_name)
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (place / target.name).write_text(text, encoding="utf-8")
    return target


def _fields(case: Mapping[str, Any]) -> list[str]:
    """Return the fields that a case has; each kind of labels has its own."""
    labels = case.get("labels")
    result = isinstance(labels, Path) and labels.name.endswith(SOFT_SUFFIX)
    unfit = {"unlabelled"} if result or isinstance(labels, Mapping) else set()
    unfit |= set() if result else {"opinion_weight"}
    return [field for field in _FIELDS if field in case and field not in unfit]


def _relative_paths(value: Any, folder: Path, beside: Path) -> Any:
    if isinstance(value, Path) and beside != folder and value.is_relative_to(beside):
        return value.relative_to(beside).as_posix()
    if isinstance(value, Path):
        return _relative(value.resolve() if leaves_folder(value, folder) else value, folder)
    if isinstance(value, Mapping):
        return {key: _relative_paths(item, folder, beside) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_relative_paths(item, folder, beside) for item in value]
    return value


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()


def _keep_trees(target: Path) -> None:
    """Refuse to write a dataset over a label tree, which another dataset may name."""
    if not target.is_file():
        return
    try:
        content = read_json(target)
    except InputError:
        return
    if isinstance(content, dict) and content.get("schema") == SCHEMA:
        raise InputError("is a label tree; a dataset would replace it", file=target, hint="choose another name")
