"""Compress a dense distribution, part by part, to the arrays of a soft parcellation.

Only what is stored is held for the whole grid, and once: parts are freed while the result is assembled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import MOST_DROPPED, NODE_ERROR, SCALE, encode
from softseg.soft.slabs import Slab
from softseg.types import BoolArray, FloatArray

_CHUNK_VALUES = 1 << 18  # few enough that the steps of the encoding work within a processor's cache

_SURE = 1 - 0.4 / SCALE  # above it every cumulated value rounds to 0 or 255: the leaf is stored alone
_TOTAL = 0.05 / SCALE

_Voxels = npt.NDArray[np.uint32] | npt.NDArray[np.int64]
_Leaves = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Stored(NamedTuple):
    """What :class:`softseg.soft.parcellation.SoftParcellation` stores; see its attributes."""

    start: tuple[int, int, int]
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    probabilities: npt.NDArray[np.uint8]
    node_error: float


class _EncodedVoxels(NamedTuple):
    voxels: _Voxels
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    probabilities: npt.NDArray[np.uint8]


class Compressor:
    """Takes the distribution in parts of any shape and order, each voxel once, and compresses each part at once.

    Voxels in no part are background (or hold nothing, where there is no background).

    Parameters
    ----------
    leaves: number of leaves.
    background: leaf index of the background, if any.
    shape: (k, j, i) of the grid.
    k: leaves kept in a voxel.
    """

    def __init__(self, leaves: int, background: int | None, shape: tuple[int, int, int], k: int) -> None:
        if k < 1:
            raise ValueError(f"expected to keep at least one leaf, got k = {k}")
        self._leaves, self._background, self._shape, self._k = leaves, background, shape, k
        self._number = np.uint32 if int(np.prod(shape)) < 1 << 32 else np.int64
        self._parts: list[_EncodedVoxels] = []
        self._error = NODE_ERROR

    def add(self, voxels: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], values: FloatArray) -> None:
        """Compress some voxels.

        Parameters
        ----------
        voxels: ``(N,)``, flat indices (k, j, i order), increasing.
        classes: ``(c,)``: leaf indices, increasing; leaves not listed have probability 0.
        values: float32 ``(c, N)``: probabilities in 0..1 that sum to at most 1; fastest where the probabilities of a
            voxel lie together in memory.

        Raises
        ------
        ValueError: the values are not distributions.
        """
        if not voxels.size or not classes.size:
            return
        names = classes.astype(np.uint8 if self._leaves <= 256 else np.uint16)
        here = np.flatnonzero(classes == self._background) if self._background is not None else classes[:0]
        likely = np.flatnonzero(~(values[here[0]] > 1 - MOST_DROPPED)) if here.size else np.arange(voxels.size)
        by_voxel = values.T
        step = max(1, _CHUNK_VALUES // classes.size)
        for first in range(0, likely.size, step):
            chosen = likely[first : first + step]
            self._encode(voxels[chosen].astype(self._number), names, np.ascontiguousarray(by_voxel[chosen], np.float32))

    def _encode(self, voxels: _Voxels, names: _Leaves, values: FloatArray) -> None:
        """Compress voxels with the probabilities ``(N, c)`` of the leaves ``names``."""
        sure = values.max(axis=1) > _SURE
        if sure.any():
            sure &= (np.abs(values.sum(axis=1) - 1) < _TOTAL) & (values.min(axis=1) >= 0)
            where = voxels[sure]
            alone = names[values[sure].argmax(axis=1)]
            self._parts.append(
                _EncodedVoxels(where, np.ones(where.size, np.uint8), alone, np.full(where.size, SCALE, np.uint8))
            )
            voxels, values = voxels[~sure], values[~sure]
        found = encode(np.ascontiguousarray(values.T), self._k)
        if self._background is None:  # a voxel that claims nothing is not stored
            voxels, found = voxels[found.counts > 0], found._replace(counts=found.counts[found.counts > 0])
        self._error = max(self._error, found.error)
        self._parts.append(_EncodedVoxels(voxels, found.counts, names[found.leaves], found.probabilities))

    def stored(self) -> Stored:
        """Assemble the parts, once; they are freed."""
        everywhere = np.full(self._shape, 0 if self._background is None else 1, np.uint8)
        likely = np.zeros(self._shape, bool)
        for part in self._parts:
            everywhere.reshape(-1)[part.voxels] = part.counts
            likely.reshape(-1)[part.voxels] = True
        start, box = _box(likely)
        counts = np.ascontiguousarray(everywhere[box])
        del everywhere, likely
        ends = np.cumsum(counts.reshape(-1), dtype=np.int64)
        total = int(ends[-1]) if ends.size else 0
        leaves = np.full(total, self._background or 0, np.uint8 if self._leaves <= 256 else np.uint16)
        probabilities = np.full(total, SCALE, np.uint8)
        self._parts.reverse()
        while self._parts:
            part = self._parts.pop()
            places = np.unravel_index(part.voxels, self._shape)
            inside = np.ravel_multi_index(tuple(p - s for p, s in zip(places, start, strict=True)), counts.shape)
            first = ends[inside] - np.cumsum(part.counts, dtype=np.int64)
            entries = np.repeat(first, part.counts) + np.arange(part.leaves.size)
            leaves[entries] = part.leaves
            probabilities[entries] = part.probabilities
        return Stored(start, counts, leaves, probabilities, self._error)


def compress(slabs: Iterable[Slab], leaves: int, background: int | None, shape: tuple[int, int, int], k: int) -> Stored:
    """Return what a soft parcellation stores.

    Parameters
    ----------
    slabs: with increasing rows.
    leaves: number of leaves.
    background: leaf index of the background, if any.
    shape: (k, j, i) of the grid.
    k: leaves kept in a voxel.

    Raises
    ------
    ValueError: a slab is out of order or outside the grid, or does not hold distributions.
    """
    compressor = Compressor(leaves, background, shape, k)
    done = 0
    for slab in slabs:
        _check(slab, leaves, shape, done)
        done = slab.rows.stop
        if slab.values.size:
            compressor.add(_voxels(slab, shape), slab.classes, slab.values.reshape(slab.classes.size, -1))
    return compressor.stored()


def _check(slab: Slab, leaves: int, shape: tuple[int, int, int], done: int) -> None:
    if slab.rows.start < done or slab.rows.stop > shape[0]:
        raise ValueError(f"expected a slab within rows {done} to {shape[0]}, got {slab.rows.start} to {slab.rows.stop}")
    if slab.classes.size and not 0 <= slab.classes[0] <= slab.classes[-1] < leaves:
        raise ValueError(f"expected leaf indices below {leaves}, got {slab.classes.max()}")
    expected = (slab.classes.size, slab.rows.stop - slab.rows.start)
    inside = all(n + size <= most for n, size, most in zip(slab.start, slab.values.shape[2:], shape[1:], strict=True))
    if slab.values.shape[:2] != expected or not inside:
        raise ValueError(f"a slab of shape {slab.values.shape} at {slab.start} does not fit into {shape}")


def _voxels(slab: Slab, shape: tuple[int, int, int]) -> npt.NDArray[np.int64]:
    _, _, height, width = slab.values.shape
    return box_voxels((slab.rows.start, *slab.start), (slab.rows.stop - slab.rows.start, height, width), shape)


def box_voxels(
    start: tuple[int, int, int], size: tuple[int, int, int], shape: tuple[int, int, int]
) -> npt.NDArray[np.int64]:
    """Return the flat indices of the voxels of a box, ``start`` and ``size`` (k, j, i), in a grid of ``shape``."""
    k, j, i = (np.arange(first, first + length) for first, length in zip(start, size, strict=True))
    return np.asarray(((k[:, None, None] * shape[1] + j[:, None]) * shape[2] + i).reshape(-1), np.int64)


def _box(likely: BoolArray) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
    """Return the smallest box of what is likely: its first voxel, and its slices."""
    if not likely.any():
        return (0, 0, 0), (slice(0, 0), slice(0, 0), slice(0, 0))
    places = [np.flatnonzero(likely.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    k, j, i = (slice(int(place[0]), int(place[-1]) + 1) for place in places)
    return (k.start, j.start, i.start), (k, j, i)
