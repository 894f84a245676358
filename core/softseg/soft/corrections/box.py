"""What a soft parcellation stores, read and replaced in some voxels only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.soft.corrections.rows import Rows
from softseg.soft.corrections.runs import Indices, Runs, ranges
from softseg.soft.encoding import SCALE
from softseg.soft.node_sums import NodeSums, node_sums
from softseg.types import BoolArray

Index = tuple[int, int, int]
_PART = 1 << 15  # voxels at a time: what is made of their indices stays within a processor's cache


@dataclass(frozen=True, eq=False)
class StoredBox:
    """The arrays of a soft parcellation; see its attributes.

    Attributes
    ----------
    shape: ``(k, j, i)`` of the grid.
    start, counts, leaves, shares: see :class:`~softseg.soft.parcellation.SoftParcellation`.
    background: leaf index, ``None`` in a tree without.
    number: leaves of the tree.
    """

    shape: Index
    start: Index
    counts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    probabilities: npt.NDArray[np.uint8]
    background: int | None
    number: int

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box (k, j, i) in the grid."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.counts.shape, strict=True))
        return k, j, i

    @cached_property
    def sums(self) -> NodeSums:
        """What is stored, sorted for quick sums; made at the first question and kept for the next ones."""
        return node_sums(self.counts, self.leaves, self.probabilities, self.number)

    @property
    def has_sums(self) -> bool:
        """Whether the sums are made already."""
        return "sums" in vars(self)

    def with_sums(self, sums: NodeSums) -> StoredBox:
        """Return the box, which remembers its sums that were found in another way."""
        vars(self)["sums"] = sums
        return self

    @cached_property
    def _row_starts(self) -> Indices:
        """Where the leaves of each row (k, j) of the box begin."""
        sizes = self.counts.sum(axis=2, dtype=np.int64).reshape(-1)
        return np.asarray(np.cumsum(sizes) - sizes)

    def inside(self, voxels: Indices) -> tuple[Indices, Indices]:
        """Return which of the voxels (flat indices in the grid) lie in the box, and their flat indices in it."""
        places = [at - first for at, first in zip(np.unravel_index(voxels, self.shape), self.start, strict=True)]
        within = np.ones(voxels.size, bool)
        for place, size in zip(places, self.counts.shape, strict=True):
            within &= (place >= 0) & (place < size)
        here = np.flatnonzero(within)
        k, j, i = (place[here] for place in places)
        return here, np.asarray((k * self.counts.shape[1] + j) * self.counts.shape[2] + i, np.int64)

    def first_of(self, places: Indices) -> Indices:
        """Return where the leaves of voxels of the box (flat indices, increasing) begin, counting their rows alone."""
        if not places.size:
            return places
        row, column = np.divmod(places, self.counts.shape[2])
        rows, own = np.unique(row, return_inverse=True)
        counts = self.counts.reshape(-1, self.counts.shape[2])[rows].astype(np.int64)
        within = np.cumsum(counts, axis=1) - counts
        return np.asarray(self._row_starts[row] + within[own.reshape(-1), column], np.int64)

    def rows(self, voxels: Indices) -> Rows:
        """Return what is stored of some voxels (flat indices in the grid, increasing)."""
        parts = [self._rows(voxels[first : first + _PART]) for first in range(0, voxels.size, _PART)]
        return Rows.joined(parts)

    def _rows(self, voxels: Indices) -> Rows:
        here, places = self.inside(voxels)
        outside = self.background is not None
        counts = np.full(voxels.size, 1 if outside else 0, np.int64)
        counts[here] = self.counts.reshape(-1)[places]
        leaves = np.full(int(counts.sum()), self.background or 0, np.uint16)
        steps = np.full(leaves.size, SCALE, np.uint8)
        target = ranges((np.cumsum(counts) - counts)[here], counts[here])
        source = ranges(self.first_of(places), counts[here]) if here.size else target
        leaves[target], steps[target] = self.leaves[source], self.probabilities[source]
        return Rows(voxels, counts, leaves, steps)

    def any_of(self, allowed: BoolArray, low: Index, high: Index) -> BoolArray:
        """Return where a part of the grid stores any of the leaves ``allowed``.

        Parameters
        ----------
        allowed: bool ``(C,)``.
        low, high: the part's first voxel (k, j, i), and one past its last.

        Returns
        -------
        bool ``(k, j, i)`` of the part.
        """
        size = [stop - start for start, stop in zip(low, high, strict=True)]
        out = np.full(size, self.background is not None and bool(allowed[self.background]))
        box = [
            slice(max(start, first) - first, min(stop, first + extent) - first)
            for start, stop, first, extent in zip(low, high, self.start, self.counts.shape, strict=True)
        ]
        if any(part.start >= part.stop for part in box):
            return out
        there = out[
            tuple(
                slice(part.start + first - start, part.stop + first - start)
                for part, first, start in zip(box, self.start, low, strict=True)
            )
        ]
        for k, target in zip(range(box[0].start, box[0].stop), there, strict=True):
            target[:] = self._any_in_rows(allowed, k, box[1])[:, box[2]]
        return out

    def _any_in_rows(self, allowed: BoolArray, k: int, rows: slice) -> BoolArray:
        """Return where some neighbouring rows of a slice of the box store any of the leaves: bool ``(j, i)``."""
        counts = self.counts[k, rows]
        first = int(self._row_starts[k * self.counts.shape[1] + rows.start])
        hit = allowed[self.leaves[first : first + int(counts.sum(dtype=np.int64))]]
        out = np.zeros(counts.shape, bool)
        if hit.any():
            out.reshape(-1)[np.repeat(np.arange(counts.size), counts.reshape(-1))[hit]] = True
        return out

    def bounds(self, rows: Rows) -> tuple[Index, Index]:
        """Return the smallest box that holds this one and all voxels whose probabilities are not those of its outside.

        Returns
        -------
        Its first voxel, and one past its last (k, j, i).
        """
        outside = np.ones(rows.voxels.size, bool)
        outside[self.inside(rows.voxels)[0]] = False
        rest = rows.take(np.flatnonzero(outside))
        plain = (rest.counts == 1) & (rest.leaves[rest.first] == self.background)
        special = rest.voxels[~plain]
        low, high = self.start, (self.slices[0].stop, self.slices[1].stop, self.slices[2].stop)
        if not special.size:
            return low, high
        places = np.unravel_index(special, self.shape)
        if not self.counts.size:
            low, high = self.shape, (0, 0, 0)
        lows = [min(int(place.min()), first) for place, first in zip(places, low, strict=True)]
        highs = [max(int(place.max()) + 1, stop) for place, stop in zip(places, high, strict=True)]
        return (lows[0], lows[1], lows[2]), (highs[0], highs[1], highs[2])

    def grown(self, low: Index, high: Index) -> StoredBox:
        """Return the same in a larger box, from ``low`` to before ``high`` (k, j, i)."""
        size = tuple(stop - start for start, stop in zip(low, high, strict=True))
        if low == self.start and size == self.counts.shape:
            return self
        counts = np.full(size, 0 if self.background is None else 1, np.uint8)
        within = np.zeros(size, bool)
        inner = tuple(
            slice(part.start - first, part.stop - first) for part, first in zip(self.slices, low, strict=True)
        )
        counts[inner], within[inner] = self.counts, True
        leaves = np.full(int(counts.sum(dtype=np.int64)), self.background or 0, self.leaves.dtype)
        probabilities = np.full(leaves.size, SCALE, np.uint8)
        old = np.repeat(within.reshape(-1), counts.reshape(-1))
        leaves[old], probabilities[old] = self.leaves, self.probabilities
        return replace(self, start=low, counts=counts, leaves=leaves, probabilities=probabilities)

    def replaced(self, rows: Rows) -> StoredBox:
        """Return the box with other probabilities in some voxels; what lies outside the box is left out."""
        here, places = self.inside(rows.voxels)
        new = rows.take(here)
        counts = self.counts.copy()
        before = counts.reshape(-1)[places]
        counts.reshape(-1)[places] = new.counts
        runs = Runs.of_voxels(places, (1, 1, self.counts.size))
        starts = np.cumsum(runs.lengths) - runs.lengths  # the first voxel of each run
        old = self.first_of(places)
        cuts = np.stack([old[starts], old[starts + runs.lengths - 1] + before[starts + runs.lengths - 1]], axis=1)
        own = np.append(new.first[starts], new.leaves.size)
        leaves = _spliced(self.leaves, new.leaves.astype(self.leaves.dtype), cuts, own)
        probabilities = _spliced(self.probabilities, new.steps, cuts, own)
        return replace(self, counts=counts, leaves=leaves, probabilities=probabilities)


def _spliced(values: npt.NDArray[Any], new: npt.NDArray[Any], cuts: Indices, own: Indices) -> npt.NDArray[Any]:
    """Return values with parts of ``new``, which begin at ``own``, in place of the spans ``cuts`` (n, 2)."""
    parts: list[npt.NDArray[Any]] = []
    end = 0
    for (first, last), begin, stop in zip(cuts.tolist(), own.tolist(), own.tolist()[1:], strict=False):
        parts += [values[end:first], new[begin:stop]]
        end = last
    return np.concatenate([*parts, values[end:]])
