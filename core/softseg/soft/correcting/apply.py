"""From a layer of corrections to what a parcellation stores, changed in few voxels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from softseg.errors import InputError
from softseg.soft.corrections.box import StoredBox
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.layer import CorrectionLayer
from softseg.soft.corrections.runs import Indices
from softseg.soft.distribution import StoredDistribution
from softseg.soft.node_sums import NodeSums, node_sums
from softseg.soft.patched_sums import moved, patched

_Parcellation = TypeVar("_Parcellation", bound=StoredDistribution)


def predicted(parcellation: _Parcellation) -> _Parcellation:
    """Return the model's own distribution."""
    layer = parcellation.layer
    return parcellation if layer is None else _with_box(parcellation, layer.own, None)


def with_corrections(parcellation: _Parcellation, corrections: Iterable[Correction]) -> _Parcellation:
    """Return the model's prediction under these corrections alone, the oldest first.

    Raises
    ------
    InputError: the tree lacks a node of them, or nothing is left beside it.
    """
    own = parcellation.stored_box if parcellation.layer is None else parcellation.layer.own
    layer = CorrectionLayer(own).with_all(corrections, parcellation.tree, parcellation.geometry.spacing_kji)
    return _with_layer(predicted(parcellation), layer, layer.rows.voxels)


def with_added(parcellation: _Parcellation, corrections: Sequence[Correction]) -> _Parcellation:
    """Return a parcellation with more corrections, the oldest first; they come after those it has.

    Raises
    ------
    InputError: the tree lacks a node of them, or nothing is left beside it.
    """
    layer = CorrectionLayer(parcellation.stored_box) if parcellation.layer is None else parcellation.layer
    layer = layer.with_all(corrections, parcellation.tree, parcellation.geometry.spacing_kji)
    return _with_layer(parcellation, layer, _voxels_of(corrections))


def without(parcellation: _Parcellation, id_: str) -> _Parcellation:
    """Return a parcellation without the correction of this id.

    Raises
    ------
    InputError: there is none.
    """
    layer = parcellation.layer
    ids = [] if layer is None else [correction.id for correction in layer.corrections]
    if layer is None or id_ not in ids:
        raise InputError(f"there is no correction {id_!r}", field="corrections", hint="list them")
    number = ids.index(id_)
    rest = layer.without(number, parcellation.tree, parcellation.geometry.spacing_kji)
    return _with_layer(parcellation, rest, _voxels_of(layer.corrections[number:]))


def _voxels_of(corrections: Sequence[Correction]) -> Indices:
    """Return the voxels that any of some corrections covers, increasing."""
    every = np.sort(np.concatenate([correction.runs.voxels() for correction in corrections]), kind="stable")
    return every[np.diff(every, prepend=-1) > 0]


def _with_layer(parcellation: _Parcellation, layer: CorrectionLayer, changed: Indices) -> _Parcellation:
    """Return a parcellation with another layer, which differs in the voxels ``changed`` (increasing) alone."""
    low, high = layer.own.bounds(layer.probabilities)
    box = parcellation.stored_box
    if not _holds(low, high, box):
        box, changed = layer.own, layer.rows.voxels  # the box shrinks: begin again
    if layer.corrections:
        _, at = layer.probabilities.find(changed)
        box = box.grown(low, high).replaced(layer.own.rows(changed).replaced(layer.probabilities.take(at)))
    else:
        box = layer.own
    old = parcellation.stored_box
    if old.has_sums and not box.has_sums:
        sums = _moved_sums(old, box)
        box = box if sums is None else box.with_sums(_patched_sums(sums, old, box, changed))
    return _with_box(parcellation, box, layer if layer.corrections else None)


def _with_box(parcellation: _Parcellation, box: StoredBox, layer: CorrectionLayer | None) -> _Parcellation:
    out = replace(
        parcellation,
        start=box.start,
        counts=box.counts,
        leaves=box.leaves,
        shares=box.probabilities,
        layer=layer,
    )
    return out.with_stored_box(box)


def _holds(low: Sequence[int], high: Sequence[int], box: StoredBox) -> bool:
    """Whether the voxels from ``low`` to before ``high`` (k, j, i) hold a box."""
    parts = zip(low, high, box.slices, strict=True)
    return not box.counts.size or all(first <= part.start and part.stop <= last for first, last, part in parts)


def _moved_sums(old: StoredBox, new: StoredBox) -> NodeSums | None:
    """Return the sums of a box for another one, ``None`` where this does not hold it."""
    if old.start == new.start and old.counts.shape == new.counts.shape:
        return old.sums
    if not _holds(new.start, [part.stop for part in new.slices], old):
        return None
    k, j, i = (np.arange(a.start - b.start, a.stop - b.start) for a, b in zip(old.slices, new.slices, strict=True))
    _, rows, columns = new.counts.shape
    places = ((k[:, None, None] * rows + j[:, None]) * columns + i).reshape(-1)
    return moved(old.sums, places, new.counts.size, new.background)


def _patched_sums(sums: NodeSums, old: StoredBox, new: StoredBox, changed: Indices) -> NodeSums:
    """Return the sums of a box that differs from another in some voxels."""
    here, places = new.inside(changed)
    if not places.size:
        return sums
    before, after = (_sums_of(box, changed[here], sums.number) for box in (old, new))
    return patched(sums, places, before, after)


def _sums_of(box: StoredBox, voxels: Indices, number: int) -> NodeSums:
    rows = box.rows(voxels)
    leaves = rows.leaves.astype(np.uint8 if box.leaves.dtype == np.uint8 else np.uint16)
    return node_sums(rows.counts.astype(np.uint8), leaves, rows.steps, number)
