"""Plain folders: ``images/`` and ``labels/`` whose files have the same stems."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.importers.common import (
    DEFAULT_FRACTIONS,
    Fractions,
    flat_tree,
    images_in,
    require_folder,
    split_people,
    stem,
    write_dataset,
)
from softseg.errors import InputError
from softseg.image import read_image
from softseg.tree import LabelTree

_MOST_VALUES = 1000


def import_folder(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    tree: str | PathLike[str] | None = None,
    channel: str = "image",
    fractions: Fractions = DEFAULT_FRACTIONS,
) -> Path:
    """Describe ``images/NAME.*`` and ``labels/NAME.*`` as a dataset; every name counts as a person.

    With several channels, ``images/`` has one folder per channel instead of files. A folder ``labels/NAME/`` holds one
    label map per rater. Masks may lie in ``masks/``.

    Parameters
    ----------
    source: the folder.
    out: DATA.json.
    tree: a label tree's file or the name of a shipped one; by default a flat one of all values that occur
        (``tree.json`` beside ``out``).
    channel: name of the only channel.
    fractions: shares of train, val, test.

    Raises
    ------
    InputError: folders are missing, or an image has no labels.
    """
    folder = require_folder(source)
    images = require_folder(folder / "images", "folder of images")
    labels = require_folder(folder / "labels", "folder of labels")
    channels = sorted(path.name for path in images.iterdir() if path.is_dir() and not path.name.startswith("."))
    files = (
        {name: {stem(path): path for path in images_in(images / name)} for name in channels}
        if channels
        else {channel: {stem(path): path for path in images_in(images)}}
    )
    first = next(iter(files.values()))
    label_files = {stem(path): path for path in images_in(labels)}
    masks = {stem(path): path for path in images_in(folder / "masks")} if (folder / "masks").is_dir() else {}
    splits = split_people(list(first), fractions)
    cases: list[dict[str, Any]] = []
    for name in first:
        for other, found in files.items():
            if name not in found:
                raise InputError(f"there is no image {name!r} of channel {other!r}", file=images / other)
        case: dict[str, Any] = {"id": name, "group": name, "split": splits[name]}
        case["images"] = {other: found[name] for other, found in files.items()}
        case["labels"] = _labels_of(name, labels, label_files)
        if name in masks:
            case["mask"] = masks[name]
        cases.append(case)
    if tree is not None:
        return write_dataset(out, folder.name, list(files), tree, cases)
    return write_dataset(out, folder.name, list(files), tree_of_values(cases, folder.name), cases)


def _labels_of(name: str, labels: Path, files: dict[str, Path]) -> Path | list[Path]:
    if name in files:
        return files[name]
    raters = images_in(labels / name) if (labels / name).is_dir() else []
    if not raters:
        raise InputError(f"there are no labels for the image {name!r}", file=labels, hint="give both the same stem")
    return raters


def tree_of_values(cases: list[dict[str, Any]], name: str) -> LabelTree:
    """Return a flat tree of the values in all label files; soft ones have the single structure ``structure``."""
    values: set[int] = set()
    for case in cases:
        for path in case["labels"] if isinstance(case["labels"], list) else [case["labels"]]:
            array = read_image(path).array
            if array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
                values.add(1)
                continue
            values.update(int(value) for value in np.unique(array))
            if len(values) > _MOST_VALUES:
                raise InputError(f"holds more than {_MOST_VALUES} values: is it a label map?", file=path)
    names = {f"label-{value}": value for value in sorted(values) if value != 0}
    if not names:
        raise InputError("the labels hold nothing but 0", file=Path(name), field="labels")
    return flat_tree(names, name)
