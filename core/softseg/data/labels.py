"""Reading labels of every kind as one thing: a soft distribution over the classes of the tree.

Nothing is thresholded. A label map becomes probabilities of 1; soft maps keep their values; several raters stay apart
here and are joined by :func:`softseg.soft.fuse_raters`; what soft maps leave open goes where the tree leaves only one
place for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.corrected import corrected_labels
from softseg.data.cubes import read_label_map
from softseg.data.dataset import Dataset
from softseg.data.preprocess import describe_grid, same_grid, same_voxels
from softseg.data.segments import is_segmentation, is_soft_segmentation, segmentation_labels, segmentation_maps
from softseg.errors import InputError
from softseg.image import Geometry, Image, say_notes
from softseg.soft.labels import SoftLabels
from softseg.soft.raters import OVERSHOOT
from softseg.tree import LabelTree
from softseg.tree.labels import farthest_from_whole, nearly_whole
from softseg.types import IGNORE_INDEX, BoolArray, FloatArray

CONFLICT = 0.01
"""A node's children may together exceed it by this much without a warning (our default)."""

Warn = Callable[[str], None]
Take = Callable[[Image], npt.NDArray[Any]]


def class_count(tree: LabelTree) -> int:
    """Return the number of class indices: leaves, then inner nodes."""
    return len(tree.leaves) + len(tree.inner_nodes)


def read_labels(case: Case, dataset: Dataset, geometry: Geometry, take: Take, warn: Warn) -> list[SoftLabels]:
    """Read the labels of a case, one item per rater; those of a corrected result are weighted.

    Parameters
    ----------
    case, dataset: whose labels.
    geometry: grid of the case's images as they are on disk; labels must lie on it.
    take: what part of each file, turned how, is wanted: from the image on disk to an array ``(k, j, i)``.
    warn: called with one line for each oddity that was fixed.

    Raises
    ------
    InputError: a file is missing or damaged, lies on another grid, or holds values that are no labels.
    """
    tree = dataset.tree
    if case.corrected is not None:
        return [corrected_labels(case.corrected, tree, geometry, take, warn, case.opinion_weight, case.groups)]
    if isinstance(case.labels, dict):
        maps = {
            node: clip_soft(take(_read_on(path, geometry, f"labels.{node}", warn)), path, warn)
            for node, path in case.labels.items()
        }
        return [compose_soft_maps(maps, tree, case.labels, warn)]
    paths = case.labels if isinstance(case.labels, list) else [case.labels]
    return [_read_one(path, tree, geometry, take, warn, case.unlabelled) for path in paths]


def _read_one(
    path: Path, tree: LabelTree, geometry: Geometry, take: Take, warn: Warn, unlabelled: int | None
) -> SoftLabels:
    """Read a label map, or a segmentation of Slicer's or of DICOM."""
    if is_soft_segmentation(path):
        maps = segmentation_maps(path, geometry, tree, warn)
        return segment_probabilities({node: take(Image(one, geometry)) for node, one in maps.items()}, tree, path, warn)
    if is_segmentation(path):
        indices = take(segmentation_labels(path, geometry, tree, warn, unlabelled))
        return SoftLabels.from_class_indices(indices, class_count(tree))
    return labels_from_map(take(_read_on(path, geometry, "labels", warn)), tree, path, warn, unlabelled)


def read_mask(path: Path, geometry: Geometry, take: Take) -> BoolArray:
    """Read where labels are valid (non-zero).

    Raises
    ------
    InputError: the file is missing or damaged, or lies on another grid.
    """
    return np.asarray(take(_read_on(path, geometry, "mask", lambda _: None)) != 0)


def settled_labels(array: npt.NDArray[Any], file: str | PathLike[str], warn: Warn) -> npt.NDArray[Any]:
    """Return the label values of one file as integers if they are whole, or soft labels as they are.

    Values within :data:`softseg.tree.labels.WHOLE` of whole numbers (a scale factor of the file, or one step of
    rounding, leaves 0.99997) are rounded if that is true of all of them, and ``warn`` receives how many and how far.

    Parameters
    ----------
    array: what the file holds, any shape.
    file: for messages.
    warn: called with one line where values were rounded.

    Raises
    ------
    InputError: NaN or infinity.
    """
    if array.dtype.kind != "f":
        return array
    if not np.isfinite(array).all():
        raise InputError("labels hold NaN or infinity", file=file, field="labels")
    rounded = nearly_whole(array)
    if rounded is None:
        return array
    if rounded.note:
        warn(f"{file}: {rounded.note}")
    return rounded.values


def labels_from_map(
    array: npt.NDArray[Any], tree: LabelTree, file: str | PathLike[str], warn: Warn, unlabelled: int | None = None
) -> SoftLabels:
    """Return the labels of one file: whole numbers are label values, other numbers probabilities of the only structure.

    Voxels of the value ``unlabelled`` get no label, whatever that value means in the tree.

    Raises
    ------
    InputError: a value is not in the tree; or values are soft and the tree has more than one structure.
    """
    array = settled_labels(array, file, warn)
    if array.dtype.kind != "f":
        open_ = None if unlabelled is None else array == unlabelled
        try:
            indices = tree.to_class_indices(
                array if open_ is None else np.where(open_, np.int64(tree.value_of(tree.leaves[0].id)), array)
            )
        except InputError as error:
            raise InputError(error.message, file=file, field="labels", hint=error.hint) from error
        if open_ is not None:
            indices = np.where(open_, np.int16(IGNORE_INDEX), indices)
        return SoftLabels.from_class_indices(indices, class_count(tree))
    structures = [node for node in tree.leaves if node is not tree.background]
    if len(structures) != 1:
        raise InputError(
            f"expected whole label values, got {farthest_from_whole(array)}; the tree has {len(structures)} structures",
            file=file,
            field="labels",
            hint='give soft maps by node: "labels": {"node id": "path"}',
        )
    soft = clip_soft(array, file, warn)
    return compose_soft_maps({structures[0].id: soft}, tree, {structures[0].id: Path(file)}, warn)


def clip_soft(array: npt.NDArray[Any], file: str | PathLike[str], warn: Warn) -> FloatArray:
    """Return a soft map clipped to 0..1; what lies more than :data:`softseg.soft.raters.OVERSHOOT` outside is an error.

    Raises
    ------
    InputError: NaN, or a value too far outside 0..1.
    """
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if not np.isfinite([low, high]).all():
        raise InputError("soft labels hold NaN or infinity", file=file, field="labels")
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise InputError(f"expected soft labels in 0..1, got {low:.4g} to {high:.4g}", file=file, field="labels")
    if low < 0 or high > 1:
        warn(f"{file}: soft labels from {low:.4g} to {high:.4g} were clipped to 0..1")
    return np.asarray(np.clip(array, 0, 1), np.float32)


def compose_soft_maps(
    maps: Mapping[str, FloatArray], tree: LabelTree, files: Mapping[str, Path], warn: Warn
) -> SoftLabels:
    """Return one distribution from soft maps of some nodes.

    The whole (1, at the root) is handed down the tree. A node without a map, of which all children are known, is their
    sum; else it takes what its siblings leave over, if it is the only one. A node whose children are all unknown keeps
    its probability itself (an inner-node label). Children that together exceed their parent win over it, with a
    warning. Without a background leaf, what no map claims is unlabelled.

    Parameters
    ----------
    maps: probabilities in 0..1 by node id, ``(k, j, i)``.
    tree: what they mean.
    files: where each came from, for messages.
    warn: called with one line for each conflict.

    Raises
    ------
    InputError: two or more nodes could take what is left over, or siblings sum to more than 1.
    """
    return _Composer(maps, tree, files, warn).compose()


def segment_probabilities(maps: Mapping[str, FloatArray], tree: LabelTree, file: Path, warn: Warn) -> SoftLabels:
    """Return one distribution from the soft maps of a segmentation: a node without a segment has nothing anywhere.

    Parameters
    ----------
    maps: probabilities in 0..1 by node id, ``(k, j, i)``.
    tree, warn: as of :func:`compose_soft_maps`.
    file: where they came from.
    """
    shape = next(iter(maps.values())).shape
    named = {node.id for given in maps for node in tree.path(given)} | {
        leaf.id for given in maps for leaf in tree.leaves[tree.leaf_slice(given)]
    }
    if tree.background is not None:
        named.add(tree.background.id)  # takes what the segments leave over
    nothing = {leaf.id: np.broadcast_to(np.float32(0), shape) for leaf in tree.leaves if leaf.id not in named}
    files = dict.fromkeys([*maps, *nothing], file)
    return compose_soft_maps({**maps, **nothing}, tree, files, warn)


class _Composer:
    def __init__(self, maps: Mapping[str, FloatArray], tree: LabelTree, files: Mapping[str, Path], warn: Warn) -> None:
        self._maps, self._tree, self._files, self._warn = maps, tree, files, warn
        self._shape = next(iter(maps.values())).shape
        self._probabilities: dict[int, FloatArray] = {}
        self._found: dict[str, FloatArray | None] = {}

    def compose(self) -> SoftLabels:
        tree = self._tree
        whole = np.ones(self._shape, np.float32)
        if tree.background is None:
            known = [
                probability
                for child in tree.children(tree.root.id)
                if (probability := self._known(child.id)) is not None
            ]
            whole = np.minimum(np.sum(known, axis=0, dtype=np.float32), np.float32(1 + OVERSHOOT))
        self._hand_down(tree.root.id, whole)
        self._check_sum()
        order = sorted(self._probabilities)
        used = np.stack([self._probabilities[index] for index in order])
        local = SoftLabels.from_dense(used, len(order), k=min(8, len(order)))
        return SoftLabels(np.asarray(order, np.uint16)[local.indices], local.probabilities, class_count(tree))

    def _known(self, node: str) -> FloatArray | None:
        """Return the probability of a node by its map and those below it, or None if these do not determine it."""
        if node not in self._found:
            self._found[node] = self._find(node)
        return self._found[node]

    def _find(self, node: str) -> FloatArray | None:
        children = [self._known(child.id) for child in self._tree.children(node)]
        found = [probability for probability in children if probability is not None]
        below: FloatArray | None = np.sum(found, axis=0, dtype=np.float32) if found else None
        own = self._maps.get(node)
        if own is None:
            return below if below is not None and len(found) == len(children) else None
        return own if below is None else self._at_least(node, own, below)

    def _at_least(self, node: str, own: FloatArray, below: FloatArray) -> FloatArray:
        excess = int((below - own > CONFLICT).sum())
        if excess:
            where = self._files.get(node, Path(node))
            self._warn(f"{where}: in {excess} voxels the nodes under {node!r} exceed it; they were believed")
        return np.maximum(own, below)

    def _hand_down(self, node: str, probability: FloatArray) -> None:
        children = self._tree.children(node)
        known = {child.id: self._known(child.id) for child in children}
        open_children = [name for name, value in known.items() if value is None]
        if len(open_children) == len(children) and not any(self._any_below(child.id) for child in children):
            self._probabilities[self._tree.class_index(node)] = probability
            return
        given = [value for value in known.values() if value is not None]
        claimed = np.sum(given, axis=0, dtype=np.float32) if given else np.zeros(self._shape, np.float32)
        rest = np.maximum(probability - claimed, 0)
        if len(open_children) > 1 and (rest > CONFLICT).any():
            raise InputError(
                f"what the maps under {node!r} leave over could be {' or '.join(map(repr, open_children))}",
                file=next(iter(self._files.values())),
                field="labels",
                hint="give a soft map for all but one of them",
            )
        for name, value in known.items():
            if value is not None:
                self._hand_down(name, value)
        if len(open_children) == 1:
            self._hand_down(open_children[0], rest)
        elif not open_children and (rest > CONFLICT).any():
            self._probabilities[self._tree.class_index(node)] = rest

    def _any_below(self, node: str) -> bool:
        return node in self._maps or any(self._any_below(child.id) for child in self._tree.children(node))

    def _check_sum(self) -> None:
        total = np.sum(list(self._probabilities.values()), axis=0, dtype=np.float32)
        highest = float(total.max(initial=0))
        files = ", ".join(str(path) for path in self._files.values())
        if highest > 1 + OVERSHOOT:
            raise InputError(
                f"expected soft labels that sum to at most 1, got {highest:.4g}", file=files, field="labels"
            )
        if highest > 1 + 1e-6:
            over = total > 1
            if highest > 1 + CONFLICT:
                self._warn(f"{files}: {int(over.sum())} sums of soft labels, up to {highest:.4g}, were scaled to 1")
            scale = np.where(over, 1 / np.maximum(total, 1), 1).astype(np.float32)
            self._probabilities = {index: probability * scale for index, probability in self._probabilities.items()}


def _read_on(path: Path, geometry: Geometry, field: str, warn: Warn) -> Image:
    image = read_label_map(path)
    say_notes(image.notes, path, warn)
    if not same_voxels(image.geometry, geometry):
        raise InputError(
            f"lies on another grid than the images: {describe_grid(image.geometry)} against {describe_grid(geometry)}",
            file=path,
            field=field,
            hint="resample one onto the other",
        )
    if not same_grid(image.geometry, geometry):
        warn(f"{path}: lies on the image's other form (qform against sform); its voxels are taken as the image's")
        return Image(image.array, geometry)
    return image
