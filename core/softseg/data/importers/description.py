"""``dataset.json`` as nnU-Net and the Decathlon write it: channels, labels, and the tree that is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.files import require_folder
from softseg.errors import InputError, naming
from softseg.texts import read_json
from softseg.tree import LabelTree, Node
from softseg.tree.formats.source import unique_id

TREE_KEY = "softseg_tree"
"""Key of ``dataset.json`` under which a label tree stands, as an object or as the name of a file beside it."""


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


def described_tree(content: Mapping[str, Any], file: Path) -> LabelTree | None:
    """Return the label tree that ``dataset.json`` holds or names under ``softseg_tree``; None where it says nothing.

    Raises
    ------
    InputError: it is no label tree, or there is no such file.
    """
    found = content.get(TREE_KEY)
    if found is None:
        return None
    with naming(file, TREE_KEY):
        if isinstance(found, dict):
            return LabelTree.from_json(found)
        if isinstance(found, str):
            return LabelTree.load(inside(file.parent, found))
    raise InputError("expected a label tree or the name of its file", file=file, field=TREE_KEY)


def names_by_number(content: Mapping[str, Any], field: str, file: Path) -> list[str]:
    """Return the names that a field gives by number (or as a list), in order; repeated ones get their place.

    Raises
    ------
    InputError: the field is missing, empty, or not such a list.
    """
    found = content.get(field)
    if isinstance(found, list):
        found = {str(place): name for place, name in enumerate(found)}
    if not isinstance(found, dict) or not found or not all(str(key).isdigit() for key in found):
        raise InputError("expected names by number", file=file, field=field)
    return _different([" ".join(str(found[key]).split()) for key in sorted(found, key=int)])


def _different(names: list[str]) -> list[str]:
    return [name if name and names.count(name) == 1 else f"{name} {place}".strip() for place, name in enumerate(names)]


def label_values(content: Mapping[str, Any], file: Path) -> dict[str, int | frozenset[int]]:
    """Return the value of each label by name, or the values of a region.

    Both ways round are read: ``{"tumour": 1}`` as nnU-Net 2 writes it and ``{"1": "tumour"}`` as nnU-Net 1 and the
    Decathlon do.

    Raises
    ------
    InputError: the field is missing or empty, or a value is no whole number.
    """
    labels = content.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise InputError("expected label values by name", file=file, field="labels")
    by_number = all(str(key).strip().isdigit() for key in labels) and all(isinstance(v, str) for v in labels.values())
    if by_number and not all(name.strip().isdigit() for name in labels.values()):
        numbers = sorted(labels, key=int)
        names = _different([" ".join(labels[number].split()) for number in numbers])
        return dict(zip(names, map(int, numbers), strict=True))
    return {" ".join(name.split()): _value(value, name, file) for name, value in labels.items()}


def _value(value: Any, name: str, file: Path) -> int | frozenset[int]:
    if isinstance(value, (list, tuple)) and value:
        members = frozenset(_whole(item, name, file) for item in value)
        return members if len(members) > 1 else next(iter(members))
    return _whole(value, name, file)


def _whole(value: Any, name: str, file: Path) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not text.removesuffix(".0").isdigit():
        raise InputError(f"expected a whole number or a list of them, got {value!r}", file=file, field=f"labels.{name}")
    return int(text.removesuffix(".0"))


def listed_cases(content: Mapping[str, Any], file: Path) -> list[tuple[str, str]]:
    """Return image and label of each training case that ``dataset.json`` lists, as they are written there.

    Raises
    ------
    InputError: the list is no list of ``{"image", "label"}``.
    """
    entries = content.get("training")
    if not isinstance(entries, list) or not all(isinstance(item, dict) and "image" in item for item in entries):
        raise InputError('expected a list of {"image", "label"}', file=file, field="training")
    return [(str(item["image"]), str(item.get("label", ""))) for item in entries]


def inside(folder: Path, name: str) -> Path:
    """Return a file that ``dataset.json`` names, ``./imagesTr/a.nii.gz``, in the dataset's folder."""
    return folder / name.replace("\\", "/").removeprefix("./")


def flat_tree(values: Mapping[str, int], name: str) -> LabelTree:
    """Return a tree of depth 1: a root over one leaf per name, ``background`` for 0."""
    named = {label: value for label, value in values.items() if value != 0}
    root = unique_id("root", None, {*named, "background"})
    nodes = [Node(id=root, name=name or "root", parent=None)]
    nodes.append(Node(id=unique_id("background", None, set(named)), name="background", parent=root, value=0))
    nodes += [Node(id=label, name=label, parent=root, value=value) for label, value in named.items()]
    return LabelTree(nodes, name)
