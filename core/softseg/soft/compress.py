"""Slabs of a dense distribution in, the arrays of a soft parcellation out.

Only what is stored is held for the whole grid, and once: pieces are let go while the result is put together.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import MOST_DROPPED, NODE_ERROR, SCALE, encode
from softseg.soft.slabs import Slab
from softseg.types import BoolArray

_CHUNK_VALUES = 1 << 18  # few enough that the steps of the encoding work within a processor's cache

_Leaves = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class Stored(NamedTuple):
    """What :class:`softseg.soft.parcellation.SoftParcellation` stores; its attributes say more."""

    start: tuple[int, int, int]
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    shares: npt.NDArray[np.uint8]
    node_error: float


class _Piece(NamedTuple):
    voxels: npt.NDArray[np.int64]
    counts: npt.NDArray[np.uint8]
    leaves: _Leaves
    shares: npt.NDArray[np.uint8]
    error: float


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
    if k < 1:
        raise ValueError(f"expected to keep at least one leaf, got k = {k}")
    pieces: list[_Piece] = []
    done = 0
    for slab in slabs:
        _check(slab, leaves, shape, done)
        done = slab.rows.stop
        if slab.values.size:
            pieces.extend(_encode_slab(slab, leaves, background, shape, k))
    return _join(pieces, leaves, background, shape)


def _check(slab: Slab, leaves: int, shape: tuple[int, int, int], done: int) -> None:
    if slab.rows.start < done or slab.rows.stop > shape[0]:
        raise ValueError(f"expected a slab within rows {done} to {shape[0]}, got {slab.rows.start} to {slab.rows.stop}")
    if slab.classes.size and not 0 <= slab.classes[0] <= slab.classes[-1] < leaves:
        raise ValueError(f"expected leaf indices below {leaves}, got {slab.classes.max()}")
    expected = (slab.classes.size, slab.rows.stop - slab.rows.start)
    inside = all(n + size <= most for n, size, most in zip(slab.start, slab.values.shape[2:], shape[1:], strict=True))
    if slab.values.shape[:2] != expected or not inside:
        raise ValueError(f"a slab of shape {slab.values.shape} at {slab.start} does not fit into {shape}")


def _encode_slab(
    slab: Slab, leaves: int, background: int | None, shape: tuple[int, int, int], k: int
) -> Iterable[_Piece]:
    values = slab.values.reshape(slab.classes.size, -1)
    classes = slab.classes.astype(np.uint8 if leaves <= 256 else np.uint16)
    here = np.flatnonzero(slab.classes == background) if background is not None else np.zeros(0, np.int64)
    likely = np.flatnonzero(~(values[here[0]] > 1 - MOST_DROPPED)) if here.size else np.arange(values.shape[1])
    k_, j, i = np.unravel_index(likely, slab.values.shape[1:])
    voxels = np.ravel_multi_index((k_ + slab.rows.start, j + slab.start[0], i + slab.start[1]), shape)
    step = max(1, _CHUNK_VALUES // slab.classes.size)
    for first in range(0, likely.size, step):
        part = np.asarray(values[:, likely[first : first + step]], np.float32)
        found, where = encode(part, k), voxels[first : first + step]
        if background is None:  # a voxel that claims nothing is not stored
            where, found = where[found.counts > 0], found._replace(counts=found.counts[found.counts > 0])
        yield _Piece(where, found.counts, classes[found.leaves], found.shares, found.error)


def _join(pieces: list[_Piece], leaves: int, background: int | None, shape: tuple[int, int, int]) -> Stored:
    everywhere = np.full(shape, 0 if background is None else 1, np.uint8)
    likely = np.zeros(shape, bool)
    for piece in pieces:
        everywhere.reshape(-1)[piece.voxels] = piece.counts
        likely.reshape(-1)[piece.voxels] = True
    error = max([NODE_ERROR, *(piece.error for piece in pieces)])
    start, box = _box(likely)
    counts = np.ascontiguousarray(everywhere[box])
    inside = np.flatnonzero(likely[box])
    total = int(counts.sum(dtype=np.int64))
    out_leaves = np.empty(total, np.uint8 if leaves <= 256 else np.uint16)
    out_shares = np.empty(total, np.uint8)
    flat, is_likely = counts.reshape(-1), likely[box].reshape(-1)
    voxel = entry = done = 0
    pieces.reverse()
    while pieces:
        piece = pieces.pop()
        done += piece.voxels.size
        upto = int(inside[done - 1]) + 1 if done and done < inside.size else (flat.size if done else 0)
        span = slice(voxel, upto)
        from_piece = np.repeat(is_likely[span], flat[span])
        out = slice(entry, entry + from_piece.size)
        out_leaves[out] = 0 if background is None else background
        out_shares[out] = SCALE
        out_leaves[out][from_piece] = piece.leaves
        out_shares[out][from_piece] = piece.shares
        voxel, entry = upto, out.stop
    return Stored(start, counts, out_leaves, out_shares, error)


def _box(likely: BoolArray) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
    """Return the smallest box of what is likely: its first voxel, and its slices."""
    if not likely.any():
        return (0, 0, 0), (slice(0, 0), slice(0, 0), slice(0, 0))
    places = [np.flatnonzero(likely.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    k, j, i = (slice(int(place[0]), int(place[-1]) + 1) for place in places)
    return (k.start, j.start, i.start), (k, j, i)
