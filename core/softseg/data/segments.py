"""Segmentations as 3D Slicer saves them (``.seg.nrrd``), as class indices on an image's grid.

Slicer writes segments that do not overlap into one layer, as values of a label map, and the others into further layers
(components of a voxel); the header says layer, value, id and name of each segment. The file may cover a part of the
image alone. Label values are numbered by Slicer, so a segment is found in the tree by its name or id first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.data.preprocess import GRID_TOLERANCE, describe_grid
from softseg.errors import InputError
from softseg.image import Geometry, Image
from softseg.soft.grids import index_map, nearest_values
from softseg.tree import LabelTree, Node
from softseg.types import IGNORE_INDEX

SEGMENT_SUFFIXES = (".seg.nrrd", ".seg.nhdr")
"""File endings of segmentations that hold the names of their segments."""

_CONFLICT = -2


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a file: where its voxels are and what it is called.

    Attributes
    ----------
    id, name: as in Slicer.
    value: in its layer.
    voxels: bool ``(k, j, i)`` on the file's grid.
    """

    id: str
    name: str
    value: int
    voxels: npt.NDArray[np.bool_]


def is_segmentation(path: str | PathLike[str]) -> bool:
    """Whether the file is one of Slicer's segmentations, by its ending."""
    return Path(path).name.lower().endswith(SEGMENT_SUFFIXES)


def read_segments(path: str | PathLike[str]) -> tuple[list[Segment], Geometry]:
    """Read the segments that have voxels, in file order, and the grid that the file covers.

    Raises
    ------
    InputError: the file is missing, damaged, or its header describes no segments.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", file=file)
    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise InputError("cannot be read as a segmentation: damaged or truncated", file=file) from error
    if image.GetDimension() != 3:
        raise InputError(f"expected a 3D segmentation, got {image.GetDimension()} dimensions", file=file)
    array = sitk.GetArrayFromImage(image)
    layers = array[..., None] if array.ndim == 3 else array
    header = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    segments = []
    number = 0
    while f"Segment{number}_ID" in header:
        found = _segment(header, number, layers, file)
        if found.voxels.any():
            segments.append(found)
        number += 1
    if number == 0:
        raise InputError(
            "the header describes no segments", file=file, hint="save the segmentation from 3D Slicer as .seg.nrrd"
        )
    return segments, Geometry(
        tuple(image.GetSize()), tuple(image.GetSpacing()), tuple(image.GetOrigin()), tuple(image.GetDirection())
    )


def segmentation_labels(
    path: str | PathLike[str],
    geometry: Geometry,
    tree: LabelTree,
    warn: Callable[[str], None],
    unlabelled: int | None = None,
) -> Image:
    """Return a segmentation as an int16 image of class indices on an image's grid.

    A voxel of several segments gets the deepest of them if each is an ancestor of the next; segments that contradict
    each other leave it unlabelled, with a warning. A voxel of no segment has the value 0: background where the tree has
    it, unlabelled where it has none or ``unlabelled`` is 0.

    Parameters
    ----------
    path: the file.
    geometry: grid of the image; the file may cover a part of it.
    tree: its nodes, of any level, are what segments mean: found by name (that of the node or its id), by id, else by
        label value.
    warn: called with one line for each oddity.
    unlabelled: label value that says nothing about a voxel, if there is one.

    Raises
    ------
    InputError: the file is missing or damaged, a segment is no node of the tree, or its voxels are not the image's.
    """
    segments, own = read_segments(path)
    _require_lattice(own, geometry, path)
    found = np.full(own.shape, IGNORE_INDEX, np.int16)
    for segment in segments:
        node = _node_of(segment, tree, path, warn, unlabelled)
        if node is not None:
            found[segment.voxels] = _joined(tree, tree.class_index(node.id))[found[segment.voxels]]
    conflicts = int((found == _CONFLICT).sum())
    if conflicts:
        warn(f"{path}: {conflicts} voxels lie in segments that contradict each other; they are left unlabelled")
    empty = np.int16(IGNORE_INDEX)
    if tree.background is not None and unlabelled != 0:
        empty = np.int16(tree.class_index(tree.background.id))
    found[found == IGNORE_INDEX] = empty
    found[found == _CONFLICT] = IGNORE_INDEX
    whole = nearest_values(found, own, geometry, slice(0, geometry.shape[0]), int(empty))
    outside = sum(int(segment.voxels.sum()) for segment in segments) > 0 and not (whole != empty).any()
    if outside:
        warn(f"{path}: no voxel of the segments lies inside the image")
    return Image(np.asarray(whole, np.int16), geometry)


def _segment(header: dict[str, str], number: int, layers: npt.NDArray[Any], file: Path) -> Segment:
    """Return one segment; files of old versions of Slicer have a layer for each segment, with the value 1."""

    def field(name: str, default: object) -> str:
        return header.get(f"Segment{number}_{name}", str(default))

    try:
        layer, value = int(field("Layer", number if layers.shape[3] > 1 else 0)), int(field("LabelValue", 1))
        voxels = layers[..., layer] == value
    except (ValueError, IndexError) as error:
        raise InputError("the header does not fit the voxels", file=file, field=f"Segment{number}") from error
    name = field("ID", "")
    return Segment(name, field("Name", name), value, voxels)


def _node_of(
    segment: Segment,
    tree: LabelTree,
    path: str | PathLike[str],
    warn: Callable[[str], None],
    unlabelled: int | None,
) -> Node | None:
    """Return the node that a segment means, None if it means unlabelled."""
    found = (
        [node for node in tree.nodes if node.id == segment.name]
        or [node for node in tree.nodes if node.name.casefold() == segment.name.casefold()]
        or [node for node in tree.nodes if node.id == segment.id]
    )
    if len(found) > 1:
        raise InputError(
            f"the segment {segment.name!r} could be {' or '.join(repr(node.id) for node in found)}",
            file=path,
            field="labels",
            hint="name it by the id of the node",
        )
    if found:
        return found[0]
    if segment.value == unlabelled:
        return None
    by_value = [node for node in tree.nodes if node.value == segment.value]
    if not by_value:
        raise InputError(
            f"the segment {segment.name!r} (label value {segment.value}) is no node of the label tree {tree.name!r}",
            file=path,
            field="labels",
            hint="name it like a node of the tree, of any level, or delete it",
        )
    warn(f"{path}: the segment {segment.name!r} is taken for {by_value[0].name!r} by its label value {segment.value}")
    return by_value[0]


def _joined(tree: LabelTree, added: int) -> npt.NDArray[np.int16]:
    """Return, by the class index that a voxel has (-1: none, -2: conflict), the one it has after ``added`` joins it."""
    classes = tree.class_nodes
    above = {node.id for node in tree.path(classes[added].id)}
    table = np.full(len(classes) + 2, _CONFLICT, np.int16)
    for index, node in enumerate(classes):
        if node.id in above:
            table[index] = added
        elif classes[added] in tree.path(node.id):
            table[index] = index
    table[IGNORE_INDEX] = added
    return table


def _require_lattice(own: Geometry, image: Geometry, path: str | PathLike[str]) -> None:
    """Raise :class:`InputError` unless the voxels of both grids coincide, whatever part of space each covers."""
    matrix = index_map(own, image)
    whole = np.round(matrix)
    travel = np.abs(matrix - whole)[:3, :3] @ np.asarray(image.shape)
    steps = np.abs(whole[:3, :3])
    if (
        (steps.sum(axis=0) != 1).any()
        or (steps.sum(axis=1) != 1).any()
        or travel.max() + np.abs(matrix - whole)[:3, 3].max() > GRID_TOLERANCE
    ):
        raise InputError(
            f"its voxels are not those of the image: {describe_grid(own)} against {describe_grid(image)}",
            file=path,
            field="labels",
            hint="in Slicer's Segment Editor choose the image as source geometry of the segmentation and save again",
        )
