"""Corrections from an edited label map."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.correcting.apply import with_added
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Runs
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
    before: Labels = parcellation.labels(cut)[where]
    if edited.shape != before.shape:
        raise ValueError(f"expected labels of shape {before.shape}, got {edited.shape}")
    if parcellation.outliers is not None:
        before = _nearer(edited, before, parcellation.labels(cut, outliers=True)[where])
    changed = edited != before
    _require_values(edited[changed], cut)
    corrections = []
    for node_id, is_node, mask in _edits(parcellation.tree, cut, before, edited, changed):
        whole = np.zeros(parcellation.geometry.shape, bool)
        whole[where] = mask
        corrections.append(Correction.new(node_id, Runs.of_mask(whole), is_node, author, time))
    return with_added(parcellation, corrections) if corrections else parcellation


def _nearer(edited: Labels, plain: Labels, marked: Labels) -> Labels:
    """Return the map that was edited: the plain one, or that in which outliers have a value of their own."""
    differ = plain != marked
    own = np.count_nonzero(edited[differ] != plain[differ])
    return marked if own > np.count_nonzero(edited[differ] != marked[differ]) else plain


def _require_values(values: Labels, cut: Cut) -> None:
    unknown = [str(value) for value in np.unique(values).tolist() if value != 0 and value not in cut.values]
    if unknown:
        many = "values" if len(unknown) > 1 else "value"
        raise InputError(
            f"no node of the cut has the {many} {', '.join(unknown[:10])}{' ...' if len(unknown) > 10 else ''}",
            field="labels",
            hint="edit the label map of this very cut",
        )


def _edits(
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
    for node, value in zip(cut.nodes, cut.values, strict=True):  # an outlier, 0 before, cannot be erased
        mask = erased & (before == value)
        if mask.any() and len(cut.nodes) == 1:
            raise InputError(
                f"what was erased can be nothing else, as '{node.id}' holds every leaf",
                field="labels",
                hint="edit a label map of a deeper cut",
            )
        if mask.any():
            yield node.id, False, mask
