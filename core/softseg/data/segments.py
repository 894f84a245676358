"""Segmentations as 3D Slicer saves them (``.seg.nrrd``) and those of DICOM, as labels on an image's grid.

Slicer writes segments that do not overlap into one layer, as values of a label map, and the others into further layers
(components of a voxel); the header holds layer, value, id and name of each segment. The file may cover a part of the
image alone. Label values are numbered by Slicer, so a segment is found in the tree by its name, id or code.

DICOM Segmentations are recognised by their content; fractional ones give soft maps (:func:`segmentation_maps`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.preprocess import GRID_TOLERANCE, describe_grid
from softseg.errors import InputError
from softseg.files import require_file
from softseg.headers import is_dicom_segmentation, read_header
from softseg.image import Geometry, Image
from softseg.soft.grids import nearest_values
from softseg.soft.turns import on_one_lattice
from softseg.tree import LabelTree, Terminology
from softseg.tree.formats.codes import terminology_of_tag
from softseg.tree.matching import LEAVE_OUT, Item, Matching, match_items
from softseg.tree.overlaps import CONTRADICTION, Overlaps
from softseg.types import IGNORE_INDEX, FloatArray

SEGMENT_SUFFIXES = (".seg.nrrd", ".seg.nhdr")
"""File endings of segmentations that hold the names of their segments."""


@dataclass(frozen=True, eq=False)
class Segment:
    """One segment of a file: where its voxels are and what it is called.

    Attributes
    ----------
    id, name: as in Slicer.
    value: in its layer.
    read: gives its voxels.
    terminology: its DICOM codes, None without any.
    """

    id: str
    name: str
    value: int
    read: Callable[[], npt.NDArray[Any]]
    terminology: Terminology | None = None

    @property
    def voxels(self) -> npt.NDArray[Any]:
        """``(k, j, i)`` on the file's grid: bool; of fractional segmentations float32 in 0..1."""
        return self.read()


def is_segmentation(path: str | PathLike[str]) -> bool:
    """Whether the file is one of Slicer's segmentations, by its ending, or a DICOM Segmentation, by its content."""
    return Path(path).name.lower().endswith(SEGMENT_SUFFIXES) or is_dicom_segmentation(path)


def is_soft_segmentation(path: str | PathLike[str]) -> bool:
    """Whether the file is a DICOM Segmentation of fractions.

    Raises
    ------
    InputError: it is a damaged DICOM Segmentation.
    """
    if not is_dicom_segmentation(path):
        return False
    from softseg.dicom.reading import is_fractional

    return is_fractional(Path(path))


def read_segments(path: str | PathLike[str]) -> tuple[list[Segment], Geometry]:
    """Read the segments that have voxels, in file order, and the grid that the file covers.

    Raises
    ------
    InputError: the file is missing, damaged, or its header describes no segments.
    """
    file = Path(path)
    require_file(file)
    if is_dicom_segmentation(file):
        return _dicom_segments(file)
    header = read_header(file)
    keys = {key: value for key, value in header.fields.items() if key.startswith("Segment")}
    layers = np.moveaxis(header.load(), 0, -1)
    segments = []
    number = 0
    while f"Segment{number}_ID" in keys:
        found = _segment(keys, number, layers, file)
        if found.voxels.any():
            segments.append(found)
        number += 1
    if number == 0:
        raise InputError(
            "the header describes no segments", file=file, hint="save the segmentation from 3D Slicer as .seg.nrrd"
        )
    return segments, Geometry.from_affine(header.size, header.affine, header.forms)


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
    tree: its nodes, of any level, are what segments mean: found by name (that of the node or its id), id or code, and
        by label value where no segment has a name (:mod:`softseg.tree.matching`).
    warn: called with one line for each oddity.
    unlabelled: label value of unlabelled voxels, if there is one.

    Raises
    ------
    InputError: the file is missing or damaged, a segment is no node of the tree, or its voxels are not the image's.
    """
    segments, own = read_segments(path)
    _require_lattice(own, geometry, path)
    matching = match_segments(segments, tree, path, unlabelled)
    if matching.by_value:
        warn(f"{path}: {matching.note()}")
    found, overlaps = np.full(own.shape, IGNORE_INDEX, np.int16), Overlaps(tree)
    for number, node in matching.nodes.items():
        voxels = segments[int(str(number))].voxels
        overlaps.add(found, np.where(voxels, np.int16(tree.class_index(node.id)), np.int16(IGNORE_INDEX)))
    conflicts = int((found == CONTRADICTION).sum())
    if conflicts:
        warn(f"{path}: {overlaps.note()}; {conflicts} voxels are left unlabelled")
    empty = np.int16(IGNORE_INDEX)
    if tree.background is not None and unlabelled != 0:
        empty = np.int16(tree.class_index(tree.background.id))
    found[found == IGNORE_INDEX] = empty
    found[found == CONTRADICTION] = IGNORE_INDEX
    whole = nearest_values(found, own, geometry, slice(0, geometry.shape[0]), int(empty))
    outside = sum(int(segment.voxels.sum()) for segment in segments) > 0 and not (whole != empty).any()
    if outside:
        warn(f"{path}: no voxel of the segments lies inside the image")
    return Image(np.asarray(whole, np.int16), geometry)


def segmentation_maps(
    path: str | PathLike[str], geometry: Geometry, tree: LabelTree, warn: Callable[[str], None]
) -> dict[str, FloatArray]:
    """Return the fractions of a DICOM Segmentation as soft maps ``(k, j, i)`` on an image's grid, by node id.

    Parameters
    ----------
    path, geometry, tree, warn: as of :func:`segmentation_labels`.

    Raises
    ------
    InputError: the file is damaged, a segment is no node of the tree, or its voxels are not the image's.
    """
    segments, own = read_segments(path)
    _require_lattice(own, geometry, path)
    matching = match_segments(segments, tree, path)
    if matching.by_value:
        warn(f"{path}: {matching.note()}")
    rows = slice(0, geometry.shape[0])
    return {
        node.id: nearest_values(segments[int(str(number))].voxels, own, geometry, rows, 0)
        for number, node in matching.nodes.items()
    }


def _dicom_segments(file: Path) -> tuple[list[Segment], Geometry]:
    from softseg.dicom.reading import read_segmentation

    found = read_segmentation(file)
    segments = [Segment(one.id, one.name, one.number, one.read, one.terminology) for one in found.segments]
    return segments, found.geometry


def _segment(header: dict[str, str], number: int, layers: npt.NDArray[Any], file: Path) -> Segment:
    """Return one segment; files of old versions of Slicer have a layer for each segment, with the value 1."""

    def field(name: str, default: object) -> str:
        return header.get(f"Segment{number}_{name}", str(default))

    try:
        layer, value = int(field("Layer", number if layers.shape[3] > 1 else 0)), int(field("LabelValue", 1))
        in_layer = layers[..., layer]
    except (ValueError, IndexError) as error:
        raise InputError("the header does not fit the voxels", file=file, field=f"Segment{number}") from error
    name = field("ID", "")
    tags = dict(tag.partition(":")[::2] for tag in field("Tags", "").split("|"))
    codes = terminology_of_tag(tags.get("TerminologyEntry", ""))
    return Segment(name, field("Name", name), value, lambda: np.asarray(in_layer == value), codes)


def match_segments(
    segments: Sequence[Segment], tree: LabelTree, path: str | PathLike[str], unlabelled: int | None = None
) -> Matching:
    """Return the node of each segment, by its place in the list; one with the value ``unlabelled`` may have none.

    Raises
    ------
    InputError: a segment is no node of the tree, or it is not clear which; segments and reasons are named.
    """
    items = [Item(number, one.name, one.id, one.value, one.terminology) for number, one in enumerate(segments)]
    found = match_items(items, tree, numbered=True)
    found = found.choosing({match.item.key: LEAVE_OUT for match in found.open if match.item.value == unlabelled})
    try:
        found.require("name each segment like a node of the tree, of any level, or delete it")
    except InputError as error:
        raise InputError(error.message, file=path, field="labels", hint=error.hint) from error
    return found


def _require_lattice(own: Geometry, image: Geometry, path: str | PathLike[str]) -> None:
    """Raise :class:`InputError` unless the voxels of both grids coincide, whatever part of space each covers."""
    if not on_one_lattice(own, image, GRID_TOLERANCE):
        raise InputError(
            f"its voxels are not those of the image: {describe_grid(own)} against {describe_grid(image)}",
            file=path,
            field="labels",
            hint="in Slicer's Segment Editor choose the image as source geometry of the segmentation and save again",
        )
