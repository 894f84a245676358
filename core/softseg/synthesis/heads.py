"""A dataset of whole heads to synthesise images from, with finely labelled brains in them on wish."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data import Dataset
from softseg.data.cubes import read_label_map
from softseg.data.labels import settled_labels
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.image import Image, write_image
from softseg.requests.names import file_names
from softseg.resources import label_tree_path
from softseg.synthesis.brains import BrainsInHeads
from softseg.synthesis.fluid import CLOSING_MM, TREE, split_fluid
from softseg.tree import LabelTree

CHANNEL = "MR"

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def import_heads(
    source: str | PathLike[str],
    out: str | PathLike[str],
    radius_mm: float = CLOSING_MM,
    events: Events | None = None,
    brains: Dataset | None = None,
) -> Path:
    """Write the label maps of whole heads in ``source`` and their DATA.json into the folder ``out``.

    All cases are for training and have no images.

    Parameters
    ----------
    source: folder of label maps of the tree ``head-tissues``.
    out: folder to write into.
    radius_mm: radius of the closing (:func:`softseg.synthesis.fluid.split_fluid`).
    events: progress.
    brains: labelled brains of the tree ``brain-134``; each head gets one of the training cases in a second label map,
        and keeps its own labels in the first (:class:`softseg.synthesis.brains.BrainsInHeads`).

    Raises
    ------
    InputError: no label map there, one that is damaged, a value that ``head-tissues`` does not have, or brains of
        another tree.
    """
    events = Events() if events is None else events
    folder = require_writable_folder(out)
    files = sorted(file for file in Path(source).iterdir() if file.name.endswith(_SUFFIXES))
    if not files:
        raise InputError("holds no label maps", file=source, hint=f"files that end with {', '.join(_SUFFIXES)}")
    tree = LabelTree.load(label_tree_path(TREE))
    both = None if brains is None else BrainsInHeads.of(brains.tree, tree)
    given = [] if brains is None else list(_label_maps(brains))
    places = file_names([file.name.split(".")[0] for file in files])
    entries: list[dict[str, Any]] = []
    (folder / "labels").mkdir(exist_ok=True)
    events.stage("prepare heads", total=len(files))
    for done, (file, (name, place)) in enumerate(zip(files, places.items(), strict=True)):
        head = _head(file, tree, radius_mm, events)
        maps = {(name, place): head}
        if both is not None:
            (brain, brain_place), brain_file = given[done % len(given)]
            maps[name, place] = Image(both.own(head.array), head.geometry)
            maps[f"{name}-{brain}", f"{place}-{brain_place}"] = both.pasted(head, read_label_map(brain_file))
        for (case, stem), image in maps.items():
            target = write_image(image, folder / "labels" / f"{stem}.nii.gz")
            entries.append({"id": case, "group": name, "split": "train", "images": {}, "labels": target.absolute()})
        events.progress(done + 1, len(files))
        events.check()
    return write_dataset(folder / "DATA.json", "heads", [CHANNEL], TREE if both is None else both.tree, entries)


def _head(file: Path, tree: LabelTree, radius_mm: float, events: Events) -> Image:
    image = read_label_map(file)
    values = settled_labels(image.array, file, events.warning)
    unknown = [int(value) for value in np.unique(values) if not tree.has_value(int(value))]
    if unknown:
        raise InputError(f"holds the value {unknown[0]}, which the tree {TREE!r} does not have", file=file)
    return Image(split_fluid(values, image.geometry.spacing_kji, radius_mm), image.geometry)


def _label_maps(brains: Dataset) -> Iterator[tuple[tuple[str, str], Path]]:
    """Go through the label maps of the training cases: the case's id, how files are called after it, and its file."""
    cases = brains.split("train")
    places = file_names([case.id for case in cases])
    for case in cases:
        if not isinstance(case.labels, Path):
            raise InputError(f"case {case.id}: brains need one label map each", file=brains.path, field="labels")
        yield (case.id, places[case.id]), case.labels
