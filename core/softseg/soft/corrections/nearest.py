"""The nearest voxel, in mm, that has any of a set of leaves.

On the way from a voxel without to the nearest with, one step before the end there is none: so only voxels next to one
without are searched, and only around the ones without, in a region that widens until it holds a source for each.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from softseg.soft.corrections.box import Index
from softseg.soft.corrections.runs import Indices
from softseg.system import threads_each
from softseg.types import BoolArray

FloatArray64 = npt.NDArray[np.float64]

Presence = Callable[[Index, Index], BoolArray]
"""From the first voxel of a part of the grid and one past its last (k, j, i) to where the leaves are in it."""

_FIRST_REACH_MM = 8.0  # most sources are this near (our default); only the time depends on it

_MANY = 50_000  # voxels for which it takes less time to start threads

_TIE = np.array([1e-4, 1e-7, 1e-10])
"""Shift along k, j, i, in voxels: by it the first, in C order, of equally near voxels is nearer than the others."""


def nearest_voxels(asking: Indices, presence: Presence, shape: Index, spacing: tuple[float, float, float]) -> Indices:
    """Return for each voxel the nearest one that has the leaves, the first in C order of equally near ones.

    Parameters
    ----------
    asking: flat indices of voxels, which have none of the leaves.
    presence: where the leaves are.
    shape: ``(k, j, i)`` of the grid.
    spacing: of the grid in mm, ``(k, j, i)``.

    Returns
    -------
    Flat indices; -1 for all where no voxel of the grid has any.
    """
    found = np.full(asking.size, -1, np.int64)
    places = np.stack(np.unravel_index(asking, shape), axis=1)
    steps, limits = np.asarray(spacing) / min(spacing), np.asarray(shape)
    open_ = np.arange(asking.size)
    reach = _FIRST_REACH_MM / min(spacing)
    while open_.size:
        own = places[open_]
        margin = np.ceil(reach / steps).astype(np.int64)
        low, high = np.maximum(own.min(axis=0) - margin, 0), np.minimum(own.max(axis=0) + 1 + margin, limits)
        sources = low + np.argwhere(_surface(presence(_index(low), _index(high))))
        whole = bool((low == 0).all() and (high == limits).all())
        if sources.size:
            source, distance = _search(own * steps, sources * steps)
            sure = distance < _room(own, low, high, limits, steps)
            found[open_[sure]] = np.ravel_multi_index(tuple(sources[source[sure]].T), shape)
            open_ = open_[~sure]
        if whole:
            break
        reach *= 2
    return found


def prepare() -> None:
    """Load what a search needs, which takes a moment: before somebody waits for the first one."""
    import scipy.spatial  # noqa: F401


def _index(values: Indices) -> Index:
    k, j, i = (int(value) for value in values)
    return k, j, i


def _surface(there: BoolArray) -> BoolArray:
    """Return the voxels of a part that have a neighbour without along an axis."""
    out = np.zeros(there.shape, bool)
    for axis in range(3):
        ahead, behind = (np.moveaxis(there, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        edge = np.moveaxis(out, axis, 0)
        edge[1:] |= ahead & ~behind
        edge[:-1] |= behind & ~ahead
    return out


def _search(asking: FloatArray64, sources: FloatArray64) -> tuple[Indices, FloatArray64]:
    from scipy.spatial import cKDTree  # only voxels without any of the leaves need it

    found = cKDTree(sources, balanced_tree=False, compact_nodes=False)
    distance, source = found.query(asking - _TIE, workers=threads_each(1) if len(asking) > _MANY else 1)
    return np.asarray(source, np.int64), np.asarray(distance, np.float64)


def _room(own: Indices, low: Indices, high: Indices, limits: Indices, steps: FloatArray64) -> FloatArray64:
    """Return how far each voxel is from the nearest one that was not looked at; no voxel lies beyond the grid."""
    before = np.where(low > 0, (own - low + 1) * steps, np.inf)
    after = np.where(high < limits, (high - own) * steps, np.inf)
    return np.asarray(np.minimum(before, after).min(axis=1) - _TIE.sum())
