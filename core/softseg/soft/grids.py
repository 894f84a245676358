"""How one voxel grid sees another: the weights with which source voxels enter a target voxel.

One kernel serves images, labels and network outputs. A target voxel is a box, at least one source voxel wide; a source
voxel counts by the length of its overlap with that box. On a finer or equally fine grid that is linear interpolation,
on a coarser one it is the area average (the true partial volume), and the change between both is continuous. A target
voxel whose centre lies outside the source grid gets nothing; one that sticks out partly is averaged over the part
inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.types import FloatArray

ALIGNED_VOXELS = 0.01
"""Axes count as parallel when no voxel is displaced by more than this part of a source voxel (our default)."""

_ROUNDING = 1e-6  # overlaps below this, and centres this far outside, are rounding errors


@dataclass(frozen=True, eq=False)
class AxisWeights:
    """The weights along one axis.

    Attributes
    ----------
    indices: int64 ``(target, M)``: source positions that enter each target position.
    weights: float32 ``(target, M)``: their weights, sum 1, or all 0 outside the source.
    source: number of source positions.
    """

    indices: npt.NDArray[np.int64]
    weights: FloatArray
    source: int

    @staticmethod
    def of(target: int, source: int, scale: float, offset: float) -> AxisWeights:
        """Return the weights for target positions ``t`` that lie at ``offset + scale * t`` on the source axis."""
        centre = offset + scale * np.arange(target)
        width = max(1.0, abs(scale))
        low, high = centre - width / 2, centre + width / 2
        first = np.clip(np.floor(low + 0.5 + _ROUNDING), 0, source).astype(
            np.int64
        )  # nothing lies outside of the source
        indices = first[:, None] + np.arange(int(min(np.ceil(width) + 1, source)))
        overlap = np.minimum(high[:, None], indices + 0.5) - np.maximum(low[:, None], indices - 0.5)
        overlap[(overlap < _ROUNDING) | (indices < 0) | (indices >= source)] = 0
        overlap[(centre < -0.5 - _ROUNDING) | (centre > source - 0.5 + _ROUNDING)] = 0
        total = overlap.sum(axis=1, keepdims=True)
        weights = np.divide(overlap, total, out=np.zeros_like(overlap), where=total > 0)
        used = max(1, int(np.count_nonzero(weights.any(axis=0))))
        if not weights[:, used:].any():
            indices, weights = indices[:, :used], weights[:, :used]
        anchor = np.take_along_axis(indices, weights.argmax(axis=1)[:, None], axis=1)
        indices = np.where(weights > 0, indices, np.clip(anchor, 0, source - 1))
        return AxisWeights(indices, weights.astype(np.float32), source)

    def apply(self, array: FloatArray, axis: int) -> FloatArray:
        """Return float32 ``array`` with ``axis`` brought from source to target positions.

        One pass per source position that enters, most often two: no matrix product, whose threads would only wait for
        each other on arrays of this size.
        """
        shape = [1] * array.ndim
        shape[axis] = -1
        out: FloatArray | None = None
        for column, weight in zip(self.indices.T, self.weights.T, strict=True):
            part = array.take(column, axis)
            part *= weight.reshape(shape)
            out = part if out is None else np.add(out, part, out=out)
        return array if out is None else out

    def within(self, first: int, last: int) -> AxisWeights:
        """Return the weights over source positions ``first..last - 1`` alone; what lies outside counts as 0."""
        inside = (self.indices >= first) & (self.indices < last)
        indices = np.clip(self.indices - first, 0, max(0, last - first - 1))
        return AxisWeights(indices, np.where(inside, self.weights, np.float32(0)), last - first)

    def rows(self, start: int, stop: int) -> AxisWeights:
        """Return the weights of target positions ``start..stop - 1`` alone."""
        return AxisWeights(self.indices[start:stop], self.weights[start:stop], self.source)

    @property
    def covered(self) -> npt.NDArray[np.bool_]:
        """Whether each target position lies inside the source: bool ``(target,)``."""
        return np.asarray(self.weights.any(axis=1))


@dataclass(frozen=True, eq=False)
class AlignedGrids:
    """Two grids whose axes are parallel, up to order and direction.

    Attributes
    ----------
    order: for each target axis (k, j, i) the source axis that runs along it.
    axes: the weights along each target axis.
    """

    order: tuple[int, int, int]
    axes: tuple[AxisWeights, AxisWeights, AxisWeights]

    def turn(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return ``array`` (any leading axes, then source k, j, i) with its axes in target order; a view."""
        lead = array.ndim - 3
        return np.transpose(array, (*range(lead), *(lead + axis for axis in self.order)))


def index_map(source: Geometry, target: Geometry) -> npt.NDArray[np.float64]:
    """Return the 4 x 4 matrix from target ``(k, j, i, 1)`` to continuous source ``(k, j, i, 1)`` indices."""
    matrix = np.linalg.solve(source.ijk_to_lps(), target.ijk_to_lps())
    flip = [2, 1, 0, 3]
    return np.asarray(matrix[np.ix_(flip, flip)])


def align(source: Geometry, target: Geometry) -> AlignedGrids | None:
    """Return the weights along each axis, or ``None`` where the axes of the two grids are not parallel."""
    matrix = index_map(source, target)
    linear = matrix[:3, :3]
    # compare in units that do not depend on anisotropic voxels: source voxels moved over the whole target grid
    travel = np.abs(linear) * (np.asarray(target.shape) - 1).clip(1)
    choices = itertools.permutations(range(3))
    order = max(choices, key=lambda rows: float(np.prod([abs(linear[rows[n], n]) for n in range(3)])))
    for axis, row in enumerate(order):
        if linear[row, axis] == 0:
            return None
        travel[row, axis] = 0
    if travel.sum(axis=1).max() > ALIGNED_VOXELS:
        return None
    sizes = source.shape
    k, j, i = (
        AxisWeights.of(target.shape[axis], sizes[row], float(linear[row, axis]), float(matrix[row, 3]))
        for axis, row in enumerate(order)
    )
    return AlignedGrids((order[0], order[1], order[2]), (k, j, i))


def sample_points(
    source: Geometry, target: Geometry, voxels: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Return which source voxels enter each target voxel, for grids that lie in any way to each other.

    Each target voxel is sampled linearly at as many inner points along each of its axes as it is source voxels wide;
    one point, its centre, on a finer grid.

    Parameters
    ----------
    source, target: the grids.
    voxels: int64 ``(N,)``, flat indices (k, j, i order) of target voxels.

    Returns
    -------
    indices, weights: int64 and float32 ``(N, M)``: flat source indices; weights that sum to 1, or 0 outside.
    """
    matrix = index_map(source, target)
    offsets = _inner_points(matrix)
    position = np.stack(np.unravel_index(voxels, target.shape), axis=-1).astype(np.float64)
    limits = np.asarray(source.shape)
    centre = position @ matrix[:3, :3].T + matrix[:3, 3]
    inside = _inside(centre, limits)
    indices, weights = [], []
    for offset in offsets:
        point = centre + matrix[:3, :3] @ offset
        counts = inside & _inside(point, limits)
        point = np.clip(point, 0, limits - 1)
        low = np.minimum(np.floor(point).astype(np.int64), np.maximum(limits - 2, 0))
        part = point - low
        for corner in itertools.product((0, 1), repeat=3):
            step = np.asarray(corner)
            weight = np.prod(np.where(step == 1, part, 1 - part), axis=1)
            weight = np.where(counts, weight, 0.0)
            index = np.minimum(low + step, limits - 1)
            indices.append(np.ravel_multi_index(tuple(index.T), source.shape))
            weights.append(weight)
    total = np.sum(weights, axis=0)
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    return np.stack(indices, axis=1), (np.stack(weights, axis=1) * scale[:, None]).astype(np.float32)


def nearest_values(
    array: npt.NDArray[Any], source: Geometry, target: Geometry, rows: slice, outside: int
) -> npt.NDArray[Any]:
    """Return the value of the source voxel nearest to each target voxel, for some rows (k) of the target.

    Parameters
    ----------
    array: ``(k, j, i)`` on ``source``.
    source, target: the grids.
    rows: which target rows.
    outside: what target voxels get whose centre is outside the source grid.
    """
    matrix = index_map(source, target)
    out = np.full((rows.stop - rows.start, *target.shape[1:]), outside, array.dtype)
    limits = np.asarray(source.shape)[:, None]
    plane = matrix[:3, 1:3] @ np.indices(target.shape[1:]).reshape(2, -1) + matrix[:3, 3:]
    for row in range(rows.start, rows.stop):
        points = plane + matrix[:3, :1] * row
        inside = ((points >= -0.5 - _ROUNDING) & (points <= limits - 0.5 + _ROUNDING)).all(axis=0)
        nearest = np.clip(np.rint(points[:, inside]).astype(np.int64), 0, limits - 1)
        out[row - rows.start].reshape(-1)[inside] = array[tuple(nearest)]
    return out


def reach(source: Geometry, target: Geometry) -> tuple[int, int, int]:
    """Return how far (source voxels along k, j, i) from a target voxel's nearest source voxel its samples may lie."""
    matrix = index_map(source, target)
    spread = np.abs([matrix[:3, :3] @ offset for offset in _inner_points(matrix)]).max(axis=0)
    k, j, i = (int(n) for n in np.floor(spread + 0.5 + 1))
    return k, j, i


def _inner_points(matrix: npt.NDArray[np.float64]) -> Sequence[npt.NDArray[np.float64]]:
    widths = np.linalg.norm(matrix[:3, :3], axis=0)
    counts = np.maximum(1, np.ceil(widths - 0.05).astype(int))
    steps = [(np.arange(count) + 0.5) / count - 0.5 for count in counts]
    return [np.array(point) for point in itertools.product(*steps)]


def _inside(points: npt.NDArray[np.float64], limits: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(((points >= -0.5 - _ROUNDING) & (points <= limits - 0.5 + _ROUNDING)).all(axis=1))
