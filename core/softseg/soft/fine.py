"""One of several distributions that will be averaged: kept for the whole grid, nearly exactly, in little room.

Like what a soft parcellation stores (:mod:`softseg.soft.encoding`), but in 12 bits and with every leaf that has a step
of them: cumulated along tree order, the distribution is rounded to multiples of 1/4095, so that any node's probability
is off by at most that, however many leaves it has. Voxels that would store more than ``MOST_KEPT`` leaves are rounded
to coarser multiples, as coarse as it takes. A voxel takes three bytes for each stored leaf.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softseg.soft.rows import cumulate
from softseg.types import FloatArray

SCALE = 4095
"""Stored steps per unit of probability."""

MOST_KEPT = 128
"""Leaves that a voxel stores at most (our default)."""

_COARSER = (5, 15, 65)  # steps that are rounded to where more leaves have a probability; the last leaves 63 at most
_CHUNK_VALUES = 1 << 18  # few enough that the steps of the encoding work within a processor's cache
_CHUNK_VOXELS = 1 << 13

_Leaves = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
_Voxels = npt.NDArray[np.uint32] | npt.NDArray[np.int64]


class _FinePart(NamedTuple):
    voxels: _Voxels
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    probabilities: npt.NDArray[np.uint16]


class FineStore:
    """Takes a distribution in parts of any shape and order, each voxel once, and returns it chunk by chunk.

    Voxels in no part are background (or hold nothing, where there is no background).

    Parameters
    ----------
    leaves: number of leaves.
    background: leaf index of the background, if any.
    voxels: of the grid.

    Attributes
    ----------
    error: no node's probability in what is given back is further than this from what was taken.
    """

    def __init__(self, leaves: int, background: int | None, voxels: int) -> None:
        self._leaves, self._background, self._voxels = leaves, background, voxels
        self._number = np.uint32 if voxels < 1 << 32 else np.int64
        self._parts: list[_FinePart] = []
        self._counts = np.zeros(0, np.uint8)
        self._stored: tuple[_Leaves, npt.NDArray[np.uint16]] | None = None
        self.error = 1 / SCALE

    def add(self, voxels: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], values: FloatArray) -> None:
        """Keep some voxels.

        Parameters
        ----------
        voxels: ``(N,)``, flat indices.
        classes: ``(c,)``: leaf indices, increasing; leaves not listed have probability 0.
        values: float32 ``(c, N)``: probabilities in 0..1 that sum to at most 1.
        """
        names = classes.astype(np.uint8 if self._leaves <= 256 else np.uint16)
        here = np.flatnonzero(classes == self._background) if self._background is not None else classes[:0]
        likely = np.flatnonzero(values[here[0]] < 1 - 0.5 / SCALE) if here.size else np.arange(voxels.size)
        by_voxel = values.T
        step = max(1, _CHUNK_VALUES // max(1, classes.size))
        for first in range(0, likely.size, step):
            chosen = likely[first : first + step]
            probabilities = self._rounded(np.array(by_voxel[chosen].T, np.float32, order="C"))
            counts = np.count_nonzero(probabilities, axis=0).astype(np.uint8)
            probabilities = np.ascontiguousarray(probabilities.T).reshape(-1)
            places = np.flatnonzero(probabilities > 0)
            leaves = names[places % classes.size]
            self._parts.append(_FinePart(voxels[chosen].astype(self._number), counts, leaves, probabilities[places]))

    def _rounded(self, values: FloatArray) -> npt.NDArray[np.uint16]:
        """Return probabilities ``(c, N)`` in steps; ``values`` are used up."""
        cumulated = np.minimum(cumulate(values), 1, out=values)
        cumulated *= np.float32(SCALE)
        steps = np.rint(cumulated).astype(np.uint16)
        steps[1:] -= steps[:-1].copy()
        crowded = np.flatnonzero(np.count_nonzero(steps, axis=0) > MOST_KEPT)
        for multiple in _COARSER:
            if not crowded.size:
                break
            coarse = (np.rint(cumulated[:, crowded] / np.float32(multiple)) * multiple).astype(np.uint16)
            coarse[1:] -= coarse[:-1].copy()
            steps[:, crowded] = coarse
            self.error = max(self.error, multiple / SCALE)
            crowded = crowded[np.count_nonzero(coarse, axis=0) > MOST_KEPT]
        return steps

    def finish(self) -> None:
        """Assemble the parts, once; nothing can be added after that."""
        self._counts = np.zeros(self._voxels, np.uint8)
        for part in self._parts:
            self._counts[part.voxels] = part.counts
        ends = np.cumsum(self._counts, dtype=np.int64)
        total = int(ends[-1]) if ends.size else 0
        leaves = np.zeros(total, np.uint8 if self._leaves <= 256 else np.uint16)
        probabilities = np.zeros(total, np.uint16)
        self._parts.reverse()
        while self._parts:
            part = self._parts.pop()
            first = ends[part.voxels] - np.cumsum(part.counts, dtype=np.int64)
            entries = np.repeat(first, part.counts) + np.arange(part.leaves.size)
            leaves[entries], probabilities[entries] = part.leaves, part.probabilities
        self._stored = leaves, probabilities

    @property
    def nbytes(self) -> int:
        """Bytes of what is kept."""
        stored = () if self._stored is None else self._stored
        return self._counts.nbytes + sum(array.nbytes for array in stored)

    def chunks(self) -> Iterator[_Chunk]:
        """Go through the grid, a few voxels in a row at a time."""
        if self._stored is None:
            self.finish()
        assert self._stored is not None  # noqa: S101 - finished
        entry = 0
        for first in range(0, self._voxels, _CHUNK_VOXELS):
            counts = self._counts[first : first + _CHUNK_VOXELS]
            inside = slice(entry, entry + int(counts.sum(dtype=np.int64)))
            entry = inside.stop
            yield _Chunk(first, counts, self._stored[0][inside], self._stored[1][inside])


class _Chunk(NamedTuple):
    """Some voxels in a row: the first, how many leaves each stores, and these."""

    first: int
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    probabilities: npt.NDArray[np.uint16]

    def dense(self, chosen: npt.NDArray[np.intp], classes: npt.NDArray[np.int64], background: int | None) -> FloatArray:
        """Return float32 ``(N, c)`` of the ``chosen`` voxels, increasing; among them all that store anything."""
        out = np.zeros((chosen.size, classes.size), np.float32)
        row = np.zeros(self.counts.size, np.intp)
        row[chosen] = np.arange(chosen.size)
        column = np.zeros(int(classes[-1]) + 1, np.intp)
        column[classes] = np.arange(classes.size)
        out[np.repeat(row, self.counts), column[self.leaves]] = self.probabilities
        out /= np.float32(SCALE)
        if background is not None:
            out[self.counts[chosen] == 0, np.searchsorted(classes, background)] = 1
        return out


Samples = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[FloatArray]]
"""Flat voxels ``(N,)``, leaf indices ``(c,)`` and for each store probabilities ``(N, c)``; 0 for other leaves."""


def side_by_side(stores: Sequence[FineStore]) -> Iterator[Samples]:
    """Iterate in order over the voxels in which any of the stores, all of one grid, holds more than background."""
    background = stores[0]._background
    for chunks in zip(*(store.chunks() for store in stores), strict=True):
        chosen = np.flatnonzero(np.logical_or.reduce([chunk.counts > 0 for chunk in chunks]))
        if not chosen.size:
            continue
        used = np.zeros(stores[0]._leaves, bool)
        for chunk in chunks:
            used[chunk.leaves] = True
        if background is not None:
            used[background] = True
        classes = np.flatnonzero(used)
        yield chunks[0].first + chosen, classes, [chunk.dense(chosen, classes, background) for chunk in chunks]
