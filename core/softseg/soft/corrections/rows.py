"""Sparse distributions of some voxels, exactly as they are conditioned: whole numbers over their own sum.

Conditioning only ever drops leaves, so a voxel's distribution stays a list of the stored 8-bit probabilities (or of
ones, where leaves are equally likely). Rounding happens once, where it becomes probabilities of 1/255 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from softseg.soft.corrections.runs import Indices, find, ranges
from softseg.soft.encoding import SCALE, keep_largest
from softseg.types import BoolArray

Steps = npt.NDArray[np.uint8]
Leaves = npt.NDArray[np.uint16]


@dataclass(frozen=True, eq=False)
class Rows:
    """Distributions of some voxels.

    Attributes
    ----------
    voxels: ``(N,)``: flat indices in the grid, increasing.
    counts: int64 ``(N,)``: leaves of each voxel.
    leaves: uint16: leaf indices, voxel after voxel, increasing within a voxel.
    steps: uint8, at least 1: the probability of a leaf is its steps over those of the voxel.
    """

    voxels: Indices
    counts: Indices
    leaves: Leaves
    steps: Steps

    @staticmethod
    def none() -> Rows:
        """Return the distributions of no voxel."""
        empty = np.zeros(0, np.int64)
        return Rows(empty, empty, empty.astype(np.uint16), empty.astype(np.uint8))

    @staticmethod
    def alike(voxels: Indices, leaves: npt.NDArray[np.integer]) -> Rows:
        """Return voxels in which these leaves, in increasing order, are equally likely."""
        number, size = voxels.size, leaves.size
        return Rows(
            voxels,
            np.full(number, size, np.int64),
            np.tile(leaves.astype(np.uint16), number),
            np.ones(number * size, np.uint8),
        )

    @staticmethod
    def joined(parts: Sequence[Rows]) -> Rows:
        """Return the rows of parts whose voxels follow each other."""
        if len(parts) == 1:
            return parts[0]
        return Rows(*(np.concatenate(each) for each in zip(*map(_arrays, [Rows.none(), *parts]), strict=True)))

    @cached_property
    def first(self) -> Indices:
        """Where the leaves of each voxel begin."""
        return np.cumsum(self.counts) - self.counts

    @property
    def owner(self) -> Indices:
        """The row that each leaf belongs to."""
        return np.repeat(np.arange(self.voxels.size), self.counts)

    def take(self, rows: npt.NDArray[np.integer], voxels: Indices | None = None) -> Rows:
        """Return some of the rows, for their own voxels or for others (increasing)."""
        counts = self.counts[rows]
        entries = ranges(self.first[rows], counts)
        return Rows(self.voxels[rows] if voxels is None else voxels, counts, self.leaves[entries], self.steps[entries])

    def given(self, allowed: BoolArray) -> Rows:
        """Return the distributions given that the leaf is one of ``allowed``, bool ``(C,)``; empty where none is."""
        stays = allowed[self.leaves]
        counts = np.bincount(self.owner[stays], minlength=self.voxels.size)
        return Rows(self.voxels, counts, self.leaves[stays], self.steps[stays])

    @staticmethod
    def stacked(layers: Sequence[Rows]) -> Rows:
        """Return the rows of all; where several have a voxel, those of the last."""
        if not layers:
            return Rows.none()
        every = Rows(*(np.concatenate(parts) for parts in zip(*map(_arrays, layers), strict=True)))
        order = np.argsort(every.voxels, kind="stable")  # of equal voxels the last layer's comes last
        last = np.append(np.diff(every.voxels[order]) > 0, np.ones(min(1, order.size), bool))
        return every.take(order[last])

    def replaced(self, other: Rows) -> Rows:
        """Return the rows of both; where both have a voxel, those of ``other``."""
        return Rows.stacked([self, other])

    def find(self, voxels: Indices) -> tuple[Indices, Indices]:
        """Return which of ``voxels`` (increasing) have a row here, and which row that is."""
        return find(self.voxels, voxels)

    def probabilities(self) -> Rows:
        """Return the same with steps of 1/255 that sum to 255, as a soft parcellation stores them.

        The cumulated distribution is rounded, so that any node is off by at most 1/255 (1.5/255 where one step more is
        given away so that the largest leaf stays the largest). Leaves whose probability vanishes are dropped.
        """
        if not self.voxels.size:
            return self
        running = np.cumsum(self.steps, dtype=np.int64)
        last = self.first + self.counts - 1
        before = np.where(self.first > 0, running[self.first - 1], 0)
        total = running[last] - before
        owner = self.owner
        cumulated = running - before[owner]
        ends = (2 * SCALE * cumulated + total[owner]) // (2 * total[owner])
        probabilities = np.diff(ends, prepend=0)
        probabilities[self.first] = ends[self.first]
        probabilities = _largest_kept(self, probabilities, total)
        stays = probabilities > 0
        counts = np.bincount(owner[stays], minlength=self.voxels.size)
        return Rows(self.voxels, counts, self.leaves[stays], probabilities[stays].astype(np.uint8))


def _arrays(rows: Rows) -> tuple[Indices, Indices, Leaves, Steps]:
    return rows.voxels, rows.counts, rows.leaves, rows.steps


def _largest_kept(rows: Rows, probabilities: Indices, total: Indices) -> Indices:
    """Move one step in voxels in which rounding would let another leaf than the largest win."""
    wrong = np.flatnonzero(_winner(rows, probabilities) != _winner(rows, rows.steps.astype(np.int64)))
    if not wrong.size:
        return probabilities
    counts = rows.counts[wrong]
    entries = ranges(rows.first[wrong], counts)
    place = (np.repeat(np.arange(wrong.size), counts), ranges(np.zeros(wrong.size, np.int64), counts))
    stored = np.zeros((wrong.size, int(counts.max())), np.uint8)
    values = np.zeros(stored.shape, np.float32)
    stored[place] = probabilities[entries]
    values[place] = rows.steps[entries] / total[wrong][place[0]]
    keep_largest(stored, values.T, np.cumsum(values.T, axis=0) * np.float32(SCALE))
    probabilities = probabilities.copy()
    probabilities[entries] = stored[place]
    return probabilities


def _winner(rows: Rows, sizes: Indices) -> Indices:
    """Return the entry with the largest size in each voxel, the first of equal ones."""
    place = np.arange(sizes.size)
    key = sizes * (sizes.size + 1) + (sizes.size - place)
    return np.asarray(sizes.size - np.maximum.reduceat(key, rows.first) % (sizes.size + 1), np.int64)
