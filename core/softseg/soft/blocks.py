"""A distribution that comes block by block on its own grid, handed on block by block on the grid of the input.

A target voxel needs source voxels from one block or from several neighbours. It belongs to the last block that it needs
anything of; of the blocks before that one, only a rim as wide as the kernel reaches is kept. So nothing but the blocks
that still change, and rims of those that do not, exists for all leaves.

Arrays of blocks are ``(k, j, i, C)``: the probabilities of a voxel lie together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.soft.compress import box_voxels
from softseg.soft.grids import AlignedGrids, AxisWeights, align, index_map, sample_points
from softseg.types import FloatArray

_MOST_VALUES = 1 << 22  # of a part of the target grid: 16 MB

_SURELY = 1e-5  # a block with less than this beside the background everywhere is background
_NEGLIGIBLE = 1e-6  # leaves that stay below this, all together, are left out of a block

Index = tuple[int, int, int]
SparseVoxels = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], FloatArray]
"""Flat target voxels ``(N,)``, leaf indices ``(c,)`` and probabilities ``(c, N)``; other leaves have probability 0."""


@dataclass(frozen=True)
class Partition:
    """Where a box of the source grid is cut into blocks.

    Attributes
    ----------
    edges: per axis (k, j, i), increasing positions; block ``n`` along an axis is ``edges[n] .. edges[n + 1] - 1``.
    order: axes in the order in which blocks follow each other, the slowest first.
    """

    edges: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    order: Index = (0, 1, 2)

    def blocks(self) -> Iterator[Index]:
        """Go through the blocks' positions (k, j, i), in their order."""
        counts = [len(self.edges[axis]) - 1 for axis in self.order]
        for position in np.ndindex(*counts):
            block = [0, 0, 0]
            for axis, n in zip(self.order, position, strict=True):
                block[axis] = n
            yield block[0], block[1], block[2]

    def start(self, block: Index) -> Index:
        """Return the first voxel of a block."""
        k, j, i = (edges[n] for edges, n in zip(self.edges, block, strict=True))
        return k, j, i

    def shape(self, block: Index) -> Index:
        """Return the number of voxels of a block along each axis."""
        k, j, i = (edges[n + 1] - edges[n] for edges, n in zip(self.edges, block, strict=True))
        return k, j, i

    def place(self, block: Index) -> tuple[slice, slice, slice]:
        """Return where a block lies, as slices of the source grid."""
        k, j, i = (slice(edges[n], edges[n + 1]) for edges, n in zip(self.edges, block, strict=True))
        return k, j, i


class BlockResampler:
    """Brings blocks to the target grid as they come; the kernel is that of :mod:`softseg.soft.grids`.

    Parameters
    ----------
    source, target: grids in any orientation; fastest when their axes are parallel.
    leaves: number of leaves.
    background: leaf index of the background, ``None`` where there is none.
    """

    def __init__(self, source: Geometry, target: Geometry, leaves: int, background: int | None) -> None:
        self.source, self.target = source, target
        self.leaves, self.background = leaves, background
        grids = align(source, target)
        self._kernel: _Aligned | _Oblique = _Oblique(source, target) if grids is None else _Aligned(grids, target)

    @property
    def rim(self) -> Index:
        """Source voxels of earlier blocks that a target voxel may need, per axis (k, j, i)."""
        return self._kernel.rim

    def resampled(
        self, blocks: Iterator[tuple[Index, FloatArray | None]], partition: Partition
    ) -> Iterator[SparseVoxels]:
        """Yield the target voxels that each block completes, a small part at a time.

        Parameters
        ----------
        blocks: all blocks of the partition in its order, each position with its probabilities ``(k, j, i, C)``, or
            ``None`` for nothing but background.
        partition: where they lie; outside of it all is background.
        """
        completed = self.one_by_one(partition)
        for block, probabilities in blocks:
            yield from completed(block, probabilities)

    def one_by_one(self, partition: Partition) -> Callable[[Index, FloatArray | None], Iterator[SparseVoxels]]:
        """Return a function that takes the partition's blocks in order, one per call, and yields the finished voxels.

        Parameters
        ----------
        partition: as for :meth:`resampled`, which does the same for an iterator of blocks.
        """
        rims = _Rims(partition, self.rim, self.leaves, self.background)

        def completed(block: Index, probabilities: FloatArray | None) -> Iterator[SparseVoxels]:
            start, whole = rims.extended(block, probabilities)
            classes = None if whole is None else self._classes(whole)
            if whole is None or classes is None or not classes.size:
                return iter(())
            if classes.size < 0.75 * self.leaves:
                whole = whole[..., classes]
            else:
                classes = np.arange(self.leaves)
            return self._on_target(partition, block, start, classes, whole)

        return completed

    def _classes(self, whole: FloatArray) -> npt.NDArray[np.int64]:
        """Return the leaves that a block needs, none where it is surely background."""
        if self.background is not None and 1 - whole[..., self.background].min() < _SURELY:
            return np.zeros(0, np.int64)
        peaks = whole.max(axis=(0, 1, 2))
        if self.background is not None:
            peaks[self.background] = 1
        return np.flatnonzero(peaks > _NEGLIGIBLE / self.leaves)

    def _on_target(
        self,
        partition: Partition,
        block: Index,
        start: Index,
        classes: npt.NDArray[np.int64],
        whole: FloatArray,
    ) -> Iterator[SparseVoxels]:
        for voxels, values in self._kernel.completed(partition, block, start, whole):
            if self.background is None:
                filled = values.any(axis=1)
                voxels, values = voxels[filled], values[filled]
            if voxels.size:
                yield voxels, classes, values.T


class _Rims:
    """Puts in front of each block what is left of the blocks before it, axis by axis."""

    def __init__(self, partition: Partition, rim: Index, leaves: int, background: int | None) -> None:
        self._partition, self._rim = partition, rim
        self._leaves, self._background = leaves, background
        self._kept: dict[tuple[int, ...], FloatArray | None] = {}

    def extended(self, block: Index, probabilities: FloatArray | None) -> tuple[Index, FloatArray | None]:
        """Return first voxel and probabilities of the block with its rims; ``None`` for nothing but background."""
        order, rim = self._partition.order, self._rim
        start, shape = list(self._partition.start(block)), list(self._partition.shape(block))
        for level, axis in enumerate(order):
            if not rim[axis]:
                continue
            key = (level, *(block[later] for later in order[level + 1 :]))
            kept = self._kept.pop(key, None)
            width = min(rim[axis], start[axis] - self._partition.edges[axis][0])
            if width:
                probabilities = self._joined(kept, probabilities, shape, axis, width)
                start[axis] -= width
                shape[axis] += width
            if block[axis] < len(self._partition.edges[axis]) - 2:
                self._kept[key] = None if probabilities is None else _last(probabilities, axis, rim[axis])
        return (start[0], start[1], start[2]), probabilities

    def _joined(
        self, before: FloatArray | None, after: FloatArray | None, shape: Sequence[int], axis: int, width: int
    ) -> FloatArray | None:
        if before is None and after is None:
            return None
        front = [*shape]
        front[axis] = width
        before = self._empty(front) if before is None else before
        return np.concatenate([before, self._empty(shape) if after is None else after], axis)

    def _empty(self, shape: Sequence[int]) -> FloatArray:
        out = np.zeros((*shape, self._leaves), np.float32)
        if self._background is not None:
            out[..., self._background] = 1
        return out


def _last(probabilities: FloatArray, axis: int, width: int) -> FloatArray:
    part = [slice(None)] * probabilities.ndim
    part[axis] = slice(max(0, probabilities.shape[axis] - width), None)
    return np.array(probabilities[tuple(part)], np.float32)


class _Aligned:
    """Grids with parallel axes: a block completes a box of target voxels."""

    def __init__(self, grids: AlignedGrids, target: Geometry) -> None:
        self._grids, self._target = grids, target
        self._needs = [_needed(axis.indices, axis.weights) for axis in grids.axes]
        rim = [0, 0, 0]
        for axis, (low, high) in zip(grids.order, self._needs, strict=True):
            rim[axis] = int(np.max(high - low, initial=0))
        self.rim: Index = (rim[0], rim[1], rim[2])

    def completed(
        self, partition: Partition, block: Index, start: Index, whole: FloatArray
    ) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
        spans = []
        for axis, (low, high) in zip(self._grids.order, self._needs, strict=True):
            first, last = partition.edges[axis][block[axis]], partition.edges[axis][block[axis] + 1]
            where = np.flatnonzero((high >= first) & (high < last) & (low >= start[axis]))
            spans.append(slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0))
        size = [span.stop - span.start for span in spans]
        if not all(size):
            return
        turned = np.transpose(whole, (*self._grids.order, 3))
        origin = [start[axis] for axis in self._grids.order]
        rows = max(1, _MOST_VALUES // max(1, size[1] * size[2] * whole.shape[3]))
        for row in range(spans[0].start, spans[0].stop, rows):
            part = [slice(row, min(row + rows, spans[0].stop)), *spans[1:]]
            voxels = box_voxels(
                (part[0].start, part[1].start, part[2].start),
                (part[0].stop - part[0].start, size[1], size[2]),
                self._target.shape,
            )
            yield voxels, self._resampled(turned, part, origin).reshape(voxels.size, -1)

    def _resampled(self, turned: FloatArray, part: Sequence[slice], origin: Sequence[int]) -> FloatArray:
        weights = [
            axis.rows(span.start, span.stop).within(first, first + length)
            for axis, span, first, length in zip(self._grids.axes, part, origin, turned.shape, strict=False)
        ]
        copies = [_copied(axis) for axis in weights]
        k, j, i = (slice(None) if copied is None else copied for copied in copies)
        out = turned[k, j, i]
        changed = [n for n in range(3) if copies[n] is None]
        for position in sorted(changed, key=lambda n: weights[n].indices.shape[0] / turned.shape[n]):
            out = weights[position].apply(out, position)
        return out


def _copied(axis: AxisWeights) -> slice | None:
    """Return the source positions that are taken over as they are, ``None`` if anything is averaged or turned."""
    if axis.indices.shape[1] > 1 or (axis.weights != 1).any() or (np.diff(axis.indices[:, 0]) != 1).any():
        return None
    return slice(int(axis.indices[0, 0]), int(axis.indices[-1, 0]) + 1)


def _needed(indices: npt.NDArray[np.int64], weights: FloatArray) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the first and last source position of each target position; -1 where it lies outside."""
    used = weights > 0
    outside = ~used.any(axis=1)
    low = np.where(used, indices, np.iinfo(np.int64).max).min(axis=1)
    high = np.where(used, indices, -1).max(axis=1)
    return np.where(outside, -1, low), np.where(outside, -1, high)


class _Oblique:
    """Grids that lie in any way to each other: a block completes target voxels one by one."""

    def __init__(self, source: Geometry, target: Geometry) -> None:
        self._source, self._target = source, target
        self._matrix = index_map(source, target)
        linear = self._matrix[:3, :3]
        counts = np.maximum(1, np.ceil(np.linalg.norm(linear, axis=0) - 0.05))
        # the inner points of a target voxel lie this far from its centre, along the source's axes
        self._spread = np.abs(linear) @ ((1 - 1 / counts) / 2)
        k, j, i = (int(n) for n in np.ceil(2 * self._spread) + 2)
        self.rim: Index = (k, j, i)

    def completed(
        self, partition: Partition, block: Index, start: Index, whole: FloatArray
    ) -> Iterator[tuple[npt.NDArray[np.int64], FloatArray]]:
        first = np.array(partition.start(block), np.int64)
        last = first + np.array(partition.shape(block), np.int64)
        low, high = self._reached(first, last)
        if (low >= high).any():
            return
        inner = self._source.cropped(start, (whole.shape[0], whole.shape[1], whole.shape[2]))
        flat = whole.reshape(-1, whole.shape[3])
        # few enough voxels that eight corners of all inner points of them fit
        rows = max(1, _MOST_VALUES // 64 // int(np.prod(high[1:] - low[1:])))
        for row in range(low[0], high[0], rows):
            size = (min(rows, high[0] - row), int(high[1] - low[1]), int(high[2] - low[2]))
            voxels = box_voxels((row, int(low[1]), int(low[2])), size, self._target.shape)
            voxels = voxels[self._belongs(voxels, first, last, start)]
            step = max(1, _MOST_VALUES // whole.shape[3])
            for begin in range(0, voxels.size, step):
                chosen = voxels[begin : begin + step]
                indices, weights = sample_points(inner, self._target, chosen)
                values = np.zeros((chosen.size, whole.shape[3]), np.float32)
                for where, weight in zip(indices.T, weights.T, strict=True):
                    values += flat[where] * weight[:, None]
                yield chosen, values

    def _reached(
        self, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the target box in which every voxel lies that the block may complete."""
        margin = self._spread + 1.5
        corners = np.stack(np.meshgrid(*zip(first - margin, last + margin, strict=True), indexing="ij"), -1)
        there = np.linalg.solve(self._matrix[:3, :3], (corners.reshape(-1, 3) - self._matrix[:3, 3]).T)
        low = np.clip(np.floor(there.min(axis=1)), 0, None).astype(np.int64)
        high = np.minimum(np.ceil(there.max(axis=1)).astype(np.int64) + 1, self._target.shape)
        return low, high

    def _belongs(
        self, voxels: npt.NDArray[np.int64], first: npt.NDArray[np.int64], last: npt.NDArray[np.int64], start: Index
    ) -> npt.NDArray[np.bool_]:
        """Whether this block is the last that each voxel needs, and everything it needs is at hand."""
        position = np.stack(np.unravel_index(voxels, self._target.shape), axis=-1).astype(np.float64)
        centre = position @ self._matrix[:3, :3].T + self._matrix[:3, 3]
        limits = np.asarray(self._source.shape)
        inside = ((centre >= -0.5 - 1e-6) & (centre <= limits - 0.5 + 1e-6)).all(axis=1)
        least = np.clip(np.floor(centre - self._spread), 0, limits - 1)
        most = np.clip(np.floor(centre + self._spread) + 1, 0, limits - 1)
        ours = (most >= first) & (most < last) & (least >= start)
        return np.asarray(inside & ours.all(axis=1))
