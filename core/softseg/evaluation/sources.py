"""Read predictions and references (soft parcellations, label maps, soft maps, folders) as probabilities per slice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.data.cubes import read_label_map
from softseg.data.labels import (
    class_count,
    clip_soft,
    compose_soft_maps,
    labels_from_map,
    segment_probabilities,
    settled_labels,
)
from softseg.data.preprocess import describe_grid, same_grid, same_voxels
from softseg.data.segments import is_segmentation, is_soft_segmentation, segmentation_labels, segmentation_maps
from softseg.errors import InputError
from softseg.evaluation.own_values import OwnValues
from softseg.evaluation.probabilities import LabelProbabilities, NodeProbabilities, ParcellationProbabilities
from softseg.image import Geometry, Image, say_notes
from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import SoftParcellation
from softseg.tree.labeltree import LabelTree
from softseg.types import OUTLIER_VALUE, BoolArray, FloatArray

SOFT_SUFFIX = ".soft.npz"

Warn: TypeAlias = Callable[[str], None]
Reference: TypeAlias = "str | PathLike[str] | Sequence[str | PathLike[str]] | Mapping[str, str | PathLike[str]]"
"""One label map or soft parcellation; label maps of several raters (their mean is the reference); soft maps by node."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read of one side of a case.

    Attributes
    ----------
    probabilities: on the file's grid, in class indices of the tree that is evaluated by.
    file: what messages name.
    deepest: the last fully labelled level; None where the leaves are.
    model: name of the model that a soft parcellation came from, or empty.
    """

    probabilities: NodeProbabilities
    file: Path
    deepest: int | None = None
    model: str = ""


def read_prediction(
    path: Path, tree: LabelTree, warn: Warn, own: OwnValues | None = None, *, corrected: bool = True
) -> Reading:
    """Read a soft parcellation, a label map (values of any node, also those of a cut), or a predicted case's folder.

    Outliers in a label map (``OUTLIER_VALUE``, where no node has it) count as unlabelled. ``own`` gives the meaning of
    the values of a label map mean where they are not the tree's.

    Raises
    ------
    InputError: missing or damaged, holds labels that the tree lacks, or the folder has no prediction.
    """
    file = _in_case_folder(path) if path.is_dir() else path
    if file.name.endswith(SOFT_SUFFIX):
        return _parcellation(file, tree, corrected)
    image = read_label_map(file)
    say_notes(image.notes, file, warn)
    image = Image(settled_labels(image.array, file, warn), image.geometry)
    if own is not None:
        image, tree = Image(own.apply(image.array, file), image.geometry), own.tree
    if image.array.dtype.kind == "f":
        return Reading(LabelProbabilities(labels_from_map(image.array, tree, file, warn), image.geometry), file)
    known = OUTLIER_VALUE in {tree.value_of(node.id) for node in tree.nodes}
    unknown = np.zeros(0, bool) if known else image.array == OUTLIER_VALUE
    try:
        array = np.where(unknown, tree.value_of(tree.leaves[0].id), image.array) if unknown.any() else image.array
        values = tree.collapse(array, tree.cut_at(tree.depth))
    except InputError as error:
        raise InputError(
            error.message, file=file, hint=error.hint or "give the tree that the labels belong to"
        ) from error
    table = np.zeros(1 + max(tree.value_of(node.id) for node in tree.nodes), np.int16)
    for node in tree.nodes:
        table[tree.value_of(node.id)] = tree.class_index(node.id)
    if tree.background is None:
        table[0] = -1
    indices = table[values]
    if unknown.any():
        indices[unknown] = -1
    present = np.flatnonzero(np.bincount(indices[indices >= 0].ravel(), minlength=1))
    inner = [tree.inner_nodes[index - len(tree.leaves)] for index in present if index >= len(tree.leaves)]
    deepest = min((tree.depth_of(node.id) for node in inner), default=None)
    if deepest == 0:
        raise InputError("holds the root's label, which names no structure", file=file)
    labels = SoftLabels.from_class_indices(indices, class_count(tree))
    return Reading(LabelProbabilities(labels, image.geometry), file, deepest)


def read_reference(
    reference: Reference,
    tree: LabelTree,
    warn: Warn,
    mask: Path | None = None,
    *,
    unlabelled: int | None = None,
    labelled_only: bool = False,
    grid: Geometry | None = None,
    own: OwnValues | None = None,
) -> Reading:
    """Read a reference: label map, soft parcellation, several raters' label maps, or soft maps by node.

    Parameters
    ----------
    reference: the file or files.
    tree: what its values mean.
    warn: called with one line for each oddity that was fixed.
    mask: file of the voxels (non-zero) where the reference is valid; everywhere by default.
    unlabelled: value of unlabelled voxels in label maps, if there is one.
    grid: of the image; needed for a segmentation of Slicer's, which may cover a part of it.
    own: what the values of its label maps mean where they are not the tree's.
    labelled_only: whether background counts as unlabelled, too: with scribbles it is what was not painted.

    Raises
    ------
    InputError: missing or damaged, not on one grid, or holds labels that the tree lacks.
    """
    reading = _read_reference(reference, tree, warn, unlabelled, grid, own)
    if labelled_only and tree.background is not None:
        labels = _whole(reading.probabilities, class_count(tree))
        painted = labels.indices != tree.class_index(tree.background.id)
        kept = SoftLabels(labels.indices, labels.probabilities * painted, labels.classes)
        reading = Reading(LabelProbabilities(kept, reading.probabilities.geometry), reading.file)
    if mask is None:
        return reading
    image = read_label_map(mask)
    require_same_grid(image.geometry, mask, reading, "the mask lies on the grid of the reference")
    labels = _whole(reading.probabilities, class_count(tree))
    valid: BoolArray = image.array != 0
    masked = SoftLabels(labels.indices, labels.probabilities * valid, labels.classes)
    return Reading(LabelProbabilities(masked, image.geometry), reading.file)


GRID_HINT = (
    "predictions have the grid of the image they were made from: predict the image that the reference was drawn on, "
    "or resample the prediction"
)


def require_same_grid(
    geometry: Geometry, file: Path, other: Reading, hint: str = GRID_HINT, warn: Warn = lambda _: None
) -> None:
    """Raise :class:`InputError` naming ``file`` unless it has the voxels of ``other``.

    A file drawn in a program that goes by the qform lies where the qform of the other one places the same voxels.
    """
    if same_voxels(geometry, other.probabilities.geometry):
        if not same_grid(geometry, other.probabilities.geometry):
            warn(f"{file}: lies on another form (qform, sform) than {other.file}; their voxels are taken as the same")
        return
    raise InputError(
        f"lies on another grid ({describe_grid(geometry)}) than {other.file} "
        f"({describe_grid(other.probabilities.geometry)})",
        file=file,
        hint=hint,
    )


def _say_branches(array: npt.NDArray[Any], tree: LabelTree, file: Path, warn: Warn) -> None:
    """Name the branches that are meant by values which no node of the tree has of its own."""
    branches = {tree.value_of(node.id): node.name for node in tree.nodes if node.value is None}
    if not branches or array.dtype.kind == "f" or array.max(initial=0) < min(branches):
        return
    taken = [value for value in sorted(branches) if (array == value).any()]
    if taken:
        listed = ", ".join(f"{value} = {branches[value]}" for value in taken[:5]) + (", ..." if len(taken) > 5 else "")
        warn(f"{file}: values that no node has of its own are taken as the branches that collapse writes so: {listed}")


def _with_every_value(tree: LabelTree) -> LabelTree:
    """Return the tree with the values of label maps at any cut: nodes without one get what ``collapse`` writes."""
    return LabelTree([replace(node, value=tree.value_of(node.id)) for node in tree.nodes], tree.name)


def _read_reference(
    reference: Reference,
    tree: LabelTree,
    warn: Warn,
    unlabelled: int | None,
    grid: Geometry | None,
    own: OwnValues | None = None,
) -> Reading:
    if isinstance(reference, Mapping):
        return _soft_maps({node: Path(path) for node, path in reference.items()}, tree, warn)
    if isinstance(reference, (str, PathLike)):
        file = Path(reference)
        if file.is_dir():
            file = _in_case_folder(file)
        if file.name.endswith(SOFT_SUFFIX):
            return _parcellation(file, tree)
        if is_soft_segmentation(file) and grid is not None:
            probabilities = segment_probabilities(segmentation_maps(file, grid, tree, warn), tree, file, warn)
            return Reading(LabelProbabilities(probabilities, grid), file)
        if is_segmentation(file) and grid is not None:
            painted = segmentation_labels(file, grid, tree, warn, unlabelled)
            return Reading(
                LabelProbabilities(SoftLabels.from_class_indices(painted.array, class_count(tree)), grid), file
            )
        image = read_label_map(file)
        say_notes(image.notes, file, warn)
        if own is not None:
            settled = settled_labels(image.array, file, warn)
            image, tree = Image(own.apply(settled, file), image.geometry), own.tree
        array = settled_labels(image.array, file, warn)
        _say_branches(array, tree, file, warn)
        labels = labels_from_map(array, _with_every_value(tree), file, warn, unlabelled)
        return Reading(LabelProbabilities(labels, image.geometry), file)
    raters = [_read_reference(path, tree, warn, unlabelled, grid, own) for path in reference]
    for rater in raters[1:]:
        require_same_grid(rater.probabilities.geometry, rater.file, raters[0], "raters of one case share a grid")
    maps = [_whole(rater.probabilities, class_count(tree)) for rater in raters]
    indices = np.concatenate([labels.indices for labels in maps])
    probabilities = np.concatenate([labels.probabilities for labels in maps]) / np.float32(len(maps))
    mean = SoftLabels(indices, probabilities.astype(np.float32), class_count(tree))
    return Reading(LabelProbabilities(mean, raters[0].probabilities.geometry), raters[0].file)


def _soft_maps(files: Mapping[str, Path], tree: LabelTree, warn: Warn) -> Reading:
    maps: dict[str, FloatArray] = {}
    first: Reading | None = None
    for name, file in files.items():
        image = read_label_map(file)
        say_notes(image.notes, file, warn)
        maps[tree.find(name).id] = clip_soft(image.array, file, warn)
        if first is not None:
            require_same_grid(image.geometry, file, first, "maps of one case lie on one grid")
        else:
            empty = SoftLabels.from_class_indices(np.full(image.array.shape, -1), 1)
            first = Reading(LabelProbabilities(empty, image.geometry), file)
    if first is None:
        raise InputError("a reference of soft maps names no map")
    by_id = {tree.find(name).id: file for name, file in files.items()}
    labels = compose_soft_maps(maps, tree, by_id, warn)
    return Reading(LabelProbabilities(labels, first.probabilities.geometry), first.file)


def _in_case_folder(folder: Path) -> Path:
    """Return the prediction in a folder that ``softseg predict`` made for one case."""
    for pattern in (f"*{SOFT_SUFFIX}", "labels_leaves.*", "labels_*"):
        found = sorted(path for path in folder.glob(pattern) if path.is_file())
        if found:
            return found[-1]
    raise InputError(
        f"expected a predicted case with a file *{SOFT_SUFFIX}", file=folder, hint="give the folder of one case"
    )


def _whole(probabilities: NodeProbabilities, classes: int) -> SoftLabels:
    if isinstance(probabilities, LabelProbabilities):
        return probabilities.labels
    slices = [probabilities.slice(k) for k in range(probabilities.geometry.shape[0])]
    slots = max(len(index) for index, _ in slices)
    indices = np.zeros((slots, *probabilities.geometry.shape), np.uint16)
    values = np.zeros(indices.shape, np.float32)
    for k, (index, probability) in enumerate(slices):
        indices[: len(index), k] = index.reshape(len(index), *indices.shape[2:])
        values[: len(index), k] = probability.reshape(len(index), *indices.shape[2:])
    return SoftLabels(indices, values, classes)


def _parcellation(file: Path, tree: LabelTree, corrected: bool = True) -> Reading:
    parcellation = SoftParcellation.load(file)
    parcellation = parcellation if corrected else parcellation.predicted
    probabilities = ParcellationProbabilities(parcellation, tree, file)
    return Reading(probabilities, file, probabilities.deepest, parcellation.model)
