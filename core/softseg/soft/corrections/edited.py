"""Corrections from an edited label map, and the label map of mixed depth that corrections are."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.corrections.apply import with_added
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.layer import allowed_leaves, smallest_node
from softseg.soft.corrections.runs import Indices, Runs
from softseg.soft.views import ParcellationViews
from softseg.tree import Cut, LabelTree
from softseg.tree.labels import whole_numbers
from softseg.types import BoolArray

Box = tuple[slice, slice, slice]
Labels = npt.NDArray[np.integer]

_Parcellation = TypeVar("_Parcellation", bound=ParcellationViews)


def corrected_by_labels(
    parcellation: _Parcellation,
    cut: Cut,
    labels: npt.ArrayLike,
    box: Box | None,
    author: str,
    time: datetime | str | None,
) -> _Parcellation:
    """Return a parcellation with what was changed in a label map; see :meth:`SoftParcellation.corrected_by_labels`."""
    edited = whole_numbers(labels)
    where = tuple(slice(0, size) for size in parcellation.geometry.shape) if box is None else box
    before = parcellation.labels(cut)[where]
    if edited.shape != before.shape:
        raise ValueError(f"expected labels of shape {before.shape}, got {edited.shape}")
    changed = edited != before
    if parcellation.outliers is not None:  # such a label map shows outliers by a value of their own
        changed &= edited != parcellation.labels(cut, outliers=True)[where]
    _require_values(edited[changed], cut)
    corrections = []
    for node_id, is_node, mask in _said(parcellation.tree, cut, before, edited, changed):
        whole = np.zeros(parcellation.geometry.shape, bool)
        whole[where] = mask
        corrections.append(Correction.new(node_id, Runs.of_mask(whole), is_node, author, time))
    return with_added(parcellation, corrections) if corrections else parcellation


def _require_values(values: Labels, cut: Cut) -> None:
    unknown = [str(value) for value in np.unique(values).tolist() if value != 0 and value not in cut.values]
    if unknown:
        many = "values" if len(unknown) > 1 else "value"
        raise InputError(
            f"no node of the cut has the {many} {', '.join(unknown[:10])}{' ...' if len(unknown) > 10 else ''}",
            field="labels",
            hint="edit the label map of this very cut",
        )


def _said(
    tree: LabelTree, cut: Cut, before: Labels, edited: Labels, changed: BoolArray
) -> Iterable[tuple[str, bool, BoolArray]]:
    """Go through nodes, whether the voxels are it, and the voxels: in tree order, what was erased last."""
    found = set(np.unique(edited[changed]).tolist())
    for node, value in zip(cut.nodes, cut.values, strict=True):
        if value in found:
            yield node.id, True, changed & (edited == value)
    if 0 not in found or 0 in cut.values:
        return
    erased = changed & (edited == 0)
    if tree.background is not None:
        yield tree.background.id, True, erased
        return
    for node, value in zip(cut.nodes, cut.values, strict=True):
        mask = erased & (before == value)
        if mask.any():
            yield node.id, False, mask


def correction_map(
    tree: LabelTree, corrections: Iterable[Correction], shape: tuple[int, int, int]
) -> npt.NDArray[np.uint16]:
    """Return what was last said of each voxel; see :meth:`SoftParcellation.correction_map`."""
    number = len(tree.nodes)
    said = np.full(int(np.prod(shape)), number, np.int32)  # positions in tree.nodes; their number: nothing yet
    for correction in corrections:
        voxels = correction.runs.voxels()
        if correction.is_node:
            said[voxels] = tree.position(correction.node_id)
        else:
            said[voxels] = _left_over(tree, correction.node_id, said[voxels])
    values = np.array([*tree.node_values().values(), 0], np.uint16)
    return values[said].reshape(shape)


def _left_over(tree: LabelTree, node_id: str, said: npt.NDArray[np.int32]) -> Indices:
    """Return the deepest node that holds what was said before without a node; without it alone where that is empty."""
    beside = allowed_leaves(node_id, False, tree)
    table = np.zeros(len(tree.nodes) + 1, np.int64)
    for position in np.unique(said).tolist():
        leaves = np.flatnonzero(beside)
        if position < len(tree.nodes):
            span = tree.leaf_slice(tree.nodes[position].id)
            own = leaves[(leaves >= span.start) & (leaves < span.stop)]
            leaves = own if own.size else leaves
        table[position] = tree.position(smallest_node(tree, int(leaves[0]), int(leaves[-1])))
    return np.asarray(table[said])
