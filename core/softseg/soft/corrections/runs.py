"""A set of voxels of a grid, kept as runs: a scribble of ten thousand voxels takes a few hundred numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.types import BoolArray

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Runs:
    """Voxels of a grid in runs of neighbours, in C order (i fastest).

    Attributes
    ----------
    starts: int64 ``(n,)``: flat index of the first voxel of each run, increasing.
    lengths: int64 ``(n,)``: how many voxels each run has, at least one; runs do not touch.
    shape: ``(k, j, i)`` of the grid.
    """

    starts: Indices
    lengths: Indices
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if self.starts.ndim != 1 or self.starts.shape != self.lengths.shape:
            raise ValueError(f"expected as many starts as lengths of runs, got {self.starts.shape}")
        ends = self.starts + self.lengths
        sound = not self.starts.size or (
            self.starts[0] >= 0
            and self.lengths.min() >= 1
            and ends[-1] <= math.prod(self.shape)
            and bool((self.starts[1:] > ends[:-1]).all())
        )
        if not sound:
            raise ValueError(f"expected increasing runs of voxels within a grid of {self.shape}")

    @staticmethod
    def of_mask(mask: BoolArray) -> Runs:
        """Return the voxels where ``mask``, bool ``(k, j, i)``, is true."""
        k, j, i = mask.shape
        return Runs.of_voxels(np.flatnonzero(mask), (k, j, i))

    @staticmethod
    def of_voxels(voxels: npt.NDArray[np.integer], shape: tuple[int, int, int]) -> Runs:
        """Return the voxels with these flat indices, which increase."""
        first = np.flatnonzero(np.diff(voxels, prepend=-2) > 1)
        lengths = np.diff(first, append=voxels.size)
        return Runs(voxels[first].astype(np.int64), lengths.astype(np.int64), shape)

    @property
    def count(self) -> int:
        """Number of voxels."""
        return int(self.lengths.sum())

    def voxels(self) -> Indices:
        """Return the flat indices of the voxels, increasing."""
        return ranges(self.starts, self.lengths)

    def mask(self) -> BoolArray:
        """Return bool ``(k, j, i)``, true at these voxels."""
        out = np.zeros(math.prod(self.shape), bool)
        out[self.voxels()] = True
        return out.reshape(self.shape)


def ranges(starts: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> Indices:
    """Return ``starts[0], starts[0] + 1, ...`` for ``lengths[0]`` numbers, then the same for the next ones."""
    lengths = lengths.astype(np.int64, copy=False)
    begins = np.cumsum(lengths) - lengths
    return np.asarray(np.repeat(starts - begins, lengths) + np.arange(int(lengths.sum())), np.int64)


def find(among: Indices, voxels: Indices) -> tuple[Indices, Indices]:
    """Return which of ``voxels`` are in ``among`` (both increasing), and where they are in it."""
    at = np.searchsorted(among, voxels)
    here = np.flatnonzero((at < among.size) & (np.append(among, -1)[at] == voxels))
    return here, at[here]
