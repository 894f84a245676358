"""Label maps of heads with the fluid in the brain's mask apart from the fluid around it.

Label maps of whole heads often have one value for all fluid around the brain, up to the skull. A brain mask as people
draw it holds the sulci and cisterns and not the rest: here, what a morphological closing of the brain fills (ours).
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from softseg.data.cubes import read_label_map
from softseg.data.labels import settled_labels
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.image import Image, write_image
from softseg.requests.names import file_names
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from softseg.types import BoolArray

TREE, LEARNED = "head-tissues", "head-any"
FLUID, OUTER = "csf", "outer-fluid"
CLOSING_MM = 8.0
"""Radius of the closing (our default)."""

_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")


def closed(brain: BoolArray, spacing: tuple[float, float, float], radius_mm: float) -> BoolArray:
    """Return the morphological closing of ``brain`` ``(k, j, i)`` by a ball; ``spacing`` is ``(k, j, i)`` in mm."""
    out = np.zeros(brain.shape, bool)
    if not brain.any():
        return out
    pads = [int(np.ceil(radius_mm / side)) + 2 for side in spacing]
    box = find_objects(brain.astype(np.uint8))[0]
    part = np.pad(brain[box], [(pad, pad) for pad in pads])
    grown = distance_transform_edt(~part, sampling=spacing) <= radius_mm
    filled = (distance_transform_edt(grown, sampling=spacing) > radius_mm) | part
    out[box] = filled[tuple(slice(pad, -pad) for pad in pads)]
    return out


def split_fluid(
    labels: npt.NDArray[Any], spacing: tuple[float, float, float], radius_mm: float = CLOSING_MM
) -> npt.NDArray[np.uint16]:
    """Return a label map of the tree ``head-tissues`` with the fluid outside of the closed brain as ``outer-fluid``.

    Parameters
    ----------
    labels: whole numbers ``(k, j, i)``, the values of that tree, all fluid around the brain as ``csf``.
    spacing: mm, ``(k, j, i)``.
    radius_mm: radius of the closing.
    """
    tree, learned = (LabelTree.load(label_tree_path(name)) for name in (TREE, LEARNED))
    values = labels.astype(np.uint16)
    inside = {leaf.id for leaf in learned.leaves if leaf is not learned.background and leaf.id != FLUID}
    brain = [tree.value_of(leaf.id) for leaf in tree.leaves if inside & {node.id for node in tree.path(leaf.id)}]
    mask = closed(np.isin(values, brain), spacing, radius_mm)
    values[(values == tree.value_of(FLUID)) & ~mask] = tree.value_of(OUTER)
    return values


def import_heads(
    source: str | PathLike[str], out: str | PathLike[str], radius_mm: float = CLOSING_MM, events: Events | None = None
) -> Path:
    """Write the label maps of whole heads in ``source`` and their DATA.json into the folder ``out``.

    All cases are for training and have no images.

    Raises
    ------
    InputError: no label map there, one that is damaged, or a value that ``head-tissues`` does not have.
    """
    events = Events() if events is None else events
    folder = require_writable_folder(out)
    files = sorted(file for file in Path(source).iterdir() if file.name.endswith(_SUFFIXES))
    if not files:
        raise InputError("holds no label maps", file=source, hint=f"files that end with {', '.join(_SUFFIXES)}")
    tree = LabelTree.load(label_tree_path(TREE))
    names = [file.name.split(".")[0] for file in files]
    places = file_names(names)
    entries: list[dict[str, Any]] = []
    events.stage("split fluid", total=len(files))
    for done, (file, name) in enumerate(zip(files, names, strict=True)):
        image = read_label_map(file)
        values = settled_labels(image.array, file, events.warning)
        unknown = [int(value) for value in np.unique(values) if not tree.has_value(int(value))]
        if unknown:
            raise InputError(f"holds the value {unknown[0]}, which the tree {TREE!r} does not have", file=file)
        split = split_fluid(values, image.geometry.spacing_kji, radius_mm)
        target = folder / "labels" / f"{places[name]}.nii.gz"
        target.parent.mkdir(exist_ok=True)
        write_image(Image(split, image.geometry), target)
        entries.append({"id": name, "group": name, "split": "train", "images": {}, "labels": target.absolute()})
        events.progress(done + 1, len(files))
        events.check()
    return write_dataset(folder / "DATA.json", "heads", ["image"], TREE, entries)
