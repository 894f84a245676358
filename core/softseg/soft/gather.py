"""Moving a soft parcellation voxel by voxel: every new voxel takes what one old voxel stores, unchanged.

So a result follows a transform that bends: no probability is interpolated, and the labels at any cut are those that
taking the nearest voxel of the old labels gives.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.soft.correcting.apply import with_corrections
from softseg.soft.corrections.follow import on_grid
from softseg.soft.encoding import SCALE
from softseg.soft.outliers import StoredOutliers

if TYPE_CHECKING:
    from softseg.soft.parcellation import SoftParcellation

Indices = npt.NDArray[np.integer]


def gather(parcellation: SoftParcellation, source: Indices, geometry: Geometry) -> SoftParcellation:
    """Return a soft parcellation on another grid; see :meth:`SoftParcellation.gathered`."""
    if source.shape != geometry.shape:
        raise ValueError(f"expected an array of shape {geometry.shape}, got {source.shape}")
    voxels = int(np.prod(parcellation.geometry.shape))
    if source.size and (int(source.min()) < -1 or int(source.max()) >= voxels):
        raise ValueError(f"expected voxels -1 to {voxels - 1}, got {int(source.min())} to {int(source.max())}")
    corrections = on_grid(parcellation.corrections, source, geometry.shape)
    parcellation = parcellation.predicted
    stored = np.full(voxels, -1, np.int64)
    stored.reshape(parcellation.geometry.shape)[parcellation.box] = np.arange(parcellation.counts.size).reshape(
        parcellation.counts.shape
    )
    rows = np.where(source < 0, -1, stored[source])
    start, box = _around(rows)
    background = parcellation.background
    outside = [] if background is None else [background]
    counts = np.append(parcellation.counts.reshape(-1), np.uint8(len(outside)))
    leaves = np.append(parcellation.leaves, np.asarray(outside, parcellation.leaves.dtype))
    probabilities = np.append(parcellation.shares, np.full(len(outside), SCALE, np.uint8))
    first = np.cumsum(counts, dtype=np.int64) - counts
    taken = rows[box].reshape(-1)  # -1 is the last row: what lies outside
    number = counts[taken].astype(np.int64)
    begins = np.cumsum(number) - number
    places = np.repeat(first[taken] - begins, number) + np.arange(int(number.sum()))
    gathered = replace(
        parcellation,
        geometry=geometry,
        start=start,
        counts=counts[taken].reshape(rows[box].shape),
        leaves=leaves[places],
        shares=probabilities[places],
        outliers=None if parcellation.outliers is None else _scores(parcellation.outliers, source, geometry),
    )
    return with_corrections(gathered, corrections)


def _scores(outliers: StoredOutliers, source: Indices, geometry: Geometry) -> StoredOutliers:
    steps = np.zeros(outliers.shape, np.uint8)
    steps[outliers.box] = outliers.steps
    taken = np.where(source < 0, np.uint8(0), steps.reshape(-1)[source])
    start, box = _around(np.where(taken > 0, 0, -1))
    return replace(outliers, start=start, steps=np.ascontiguousarray(taken[box]), shape=geometry.shape)


def _around(rows: Indices) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
    """Return the smallest box around what is not negative, and where it begins."""
    inside = rows >= 0
    edges = []
    for axis in range(3):
        hit = np.flatnonzero(inside.any(axis=tuple(other for other in range(3) if other != axis)))
        edges.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 0))
    k, j, i = edges
    return (k.start, j.start, i.start), (k, j, i)
