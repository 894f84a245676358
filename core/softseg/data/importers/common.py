"""What all importers share: splits by person, relative paths, trees from lists of labels, writing DATA.json."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from softseg.data.segments import SEGMENT_SUFFIXES
from softseg.errors import InputError
from softseg.files import write_beside
from softseg.image import IMAGE_SUFFIXES
from softseg.resources import label_tree_path
from softseg.tree import LabelTree, Node

Fractions: TypeAlias = tuple[float, float, float]
"""Shares of people for train, val and test; they sum to 1."""

DEFAULT_FRACTIONS: Fractions = (0.7, 0.15, 0.15)

_FIELDS = ("id", "group", "split", "images", "labels", "mask", "unlabelled")


def require_folder(path: str | PathLike[str], what: str = "folder") -> Path:
    """Return ``path`` if it is a folder.

    Raises
    ------
    InputError: it is not.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise InputError(f"no such {what}", file=folder)
    return folder


def stem(path: Path) -> str:
    """Return the file name without its image ending (``.nii.gz`` and others)."""
    lower = path.name.lower()
    for suffix in (*SEGMENT_SUFFIXES, *IMAGE_SUFFIXES):
        if lower.endswith(suffix):
            return path.name[: -len(suffix)]
    return path.stem


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name; hidden ones (``._x.nii.gz``) are none."""
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name.lower().endswith(IMAGE_SUFFIXES) and not path.name.startswith(".")
    )


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    InputError: it is missing or not JSON; the line is named.
    """
    if not path.is_file():
        raise InputError("no such file", file=path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"is not valid JSON: {error.msg}", file=path, field=f"line {error.lineno}") from error
    except UnicodeDecodeError as error:
        raise InputError("is not a text file in UTF-8", file=path) from error


def read_description(source: str | PathLike[str]) -> tuple[Path, Any, str]:
    """Return what ``dataset.json`` in the folder ``source`` is and holds, and the dataset's name.

    Raises
    ------
    InputError: there is no such folder or file, or it is not a JSON object.
    """
    folder = require_folder(source)
    file = folder / "dataset.json"
    content = read_json(file)
    if not isinstance(content, dict):
        raise InputError(f"expected a JSON object, got {type(content).__name__}", file=file)
    return file, content, str(content.get("name") or folder.name)


def names_by_number(content: Mapping[str, Any], field: str, file: Path) -> list[str]:
    """Return the names that a field gives by number, in the order of the numbers; repeated ones get their place.

    Raises
    ------
    InputError: the field is missing, empty, or not such a list.
    """
    found = content.get(field)
    if not isinstance(found, dict) or not found or not all(str(key).isdigit() for key in found):
        raise InputError("expected names by number", file=file, field=field)
    ordered = [str(found[key]) for key in sorted(found, key=int)]
    return [name if ordered.count(name) == 1 else f"{name} {place}" for place, name in enumerate(ordered)]


def split_people(people: Sequence[str], fractions: Fractions = DEFAULT_FRACTIONS) -> dict[str, str]:
    """Return the split of each person: the same for the same names, however often each occurs and in whatever order.

    People are ordered by a digest of their names. With three people or more, each split whose fraction is not 0 gets
    at least one; training keeps the rest.

    Raises
    ------
    InputError: the fractions are negative, do not sum to 1, or leave nothing for training.
    """
    if min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-6 or fractions[0] <= 0:
        raise InputError(f"expected three shares that sum to 1, the first above 0, got {fractions}", field="fractions")
    order = sorted(set(people), key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    least = 1 if len(order) >= 3 else 0
    val, test = (max(round(len(order) * part), least) if part > 0 else 0 for part in fractions[1:])
    names = ["val"] * val + ["test"] * test
    names = names[: max(0, len(order) - 1)]
    return dict(zip(order, names + ["train"] * (len(order) - len(names)), strict=True))


def flat_tree(values: Mapping[str, int], name: str) -> LabelTree:
    """Return a tree of depth 1: a root over one leaf per name, ``background`` for 0."""
    nodes = [Node(id="root", name=name or "root", parent=None)]
    named = {label: value for label, value in values.items() if value != 0}
    nodes.append(Node(id="background", name="background", parent="root", value=0))
    nodes += [Node(id=label, name=label, parent="root", value=value) for label, value in named.items()]
    return LabelTree(nodes, name)


def write_dataset(
    out: str | PathLike[str],
    name: str,
    channels: Sequence[str],
    tree: LabelTree | str | PathLike[str],
    cases: Sequence[Mapping[str, Any]],
) -> Path:
    """Write DATA.json, and ``tree.json`` beside it unless ``tree`` is a file already, with relative paths.

    Parameters
    ----------
    out: DATA.json.
    tree: a tree, its file, or the name of a shipped one.
    cases: entries as in DATA.json, with absolute paths.

    Raises
    ------
    InputError: there is no case, no such tree, or the files cannot be written.
    """
    target = Path(out).absolute()
    if not cases:
        raise InputError("found no case with labels", file=target, hint="check the source folder's layout")
    if isinstance(tree, LabelTree):
        tree.save(target.parent / "tree.json")
        tree_name = "tree.json"
    elif Path(tree).is_file():
        tree_name = _relative(Path(tree).absolute(), target.parent)
    else:
        tree_name = label_tree_path(os.fspath(tree)).stem
    content = {
        "name": name,
        "channels": list(channels),
        "tree": tree_name,
        "cases": [{field: _relative_paths(case[field], target.parent) for field in _fields(case)} for case in cases],
    }
    with write_beside(target) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return target


def _fields(case: Mapping[str, Any]) -> list[str]:
    """Return the fields that a case has; soft maps have no value for unlabelled voxels."""
    soft = isinstance(case.get("labels"), Mapping)
    return [field for field in _FIELDS if field in case and not (soft and field == "unlabelled")]


def _relative_paths(value: Any, folder: Path) -> Any:
    if isinstance(value, Path):
        return _relative(value, folder)
    if isinstance(value, Mapping):
        return {key: _relative_paths(item, folder) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_relative_paths(item, folder) for item in value]
    return value


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive
        return path.as_posix()
