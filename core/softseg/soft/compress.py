"""Slabs of a dense distribution in, the arrays of a soft parcellation out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import MOST_DROPPED, SCALE, Encoded, encode
from softseg.soft.slabs import Slab

_CHUNK_VALUES = 1 << 24

Stored = tuple[
    tuple[int, int, int],
    npt.NDArray[np.uint8],
    "npt.NDArray[np.uint8] | npt.NDArray[np.uint16]",
    npt.NDArray[np.uint8],
]
"""Start of the box, counts, leaves and shares."""

_Piece = tuple[npt.NDArray[np.int64], Encoded]


def compress(slabs: Iterable[Slab], leaves: int, background: int | None, shape: tuple[int, int, int], k: int) -> Stored:
    """Return what :class:`softseg.soft.parcellation.SoftParcellation` stores.

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
            pieces.extend(_encode_slab(slab, background, shape, k))
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


def _encode_slab(slab: Slab, background: int | None, shape: tuple[int, int, int], k: int) -> Iterable[_Piece]:
    values = slab.values.reshape(slab.classes.size, -1)
    here = np.flatnonzero(slab.classes == background) if background is not None else np.zeros(0, np.int64)
    likely = np.flatnonzero(~(values[here[0]] > 1 - MOST_DROPPED)) if here.size else np.arange(values.shape[1])
    k_, j, i = np.unravel_index(likely, slab.values.shape[1:])
    voxels = np.ravel_multi_index((k_ + slab.rows.start, j + slab.start[0], i + slab.start[1]), shape)
    step = max(1, _CHUNK_VALUES // slab.classes.size)
    for first in range(0, likely.size, step):
        part = np.ascontiguousarray(values[:, likely[first : first + step]].T, np.float32)
        counts, columns, shares = encode(part, k)
        yield voxels[first : first + step], (counts, slab.classes[columns], shares)


def _join(pieces: list[_Piece], leaves: int, background: int | None, shape: tuple[int, int, int]) -> Stored:
    kind = np.uint8 if leaves <= 256 else np.uint16
    nothing = np.zeros(0, np.uint8)
    voxels = np.concatenate([piece[0] for piece in pieces] or [nothing.astype(np.int64)])
    counts = np.concatenate([piece[1][0] for piece in pieces] or [nothing])
    stored = np.concatenate([piece[1][1].astype(kind) for piece in pieces] or [nothing.astype(kind)])
    shares = np.concatenate([piece[1][2] for piece in pieces] or [nothing])
    start, box = _box(voxels if background is not None else voxels[counts > 0], shape)
    everywhere = np.full(shape, 0 if background is None else 1, np.uint8)
    everywhere.reshape(-1)[voxels] = counts
    likely = np.zeros(shape, bool)
    likely.reshape(-1)[voxels] = True
    box_counts = np.ascontiguousarray(everywhere[box])
    from_piece = np.repeat(likely[box].reshape(-1), box_counts.reshape(-1))
    box_leaves = np.full(from_piece.size, 0 if background is None else background, kind)
    box_shares = np.full(from_piece.size, SCALE, np.uint8)
    box_leaves[from_piece] = stored
    box_shares[from_piece] = shares
    return start, box_counts, box_leaves, box_shares


def _box(
    voxels: npt.NDArray[np.int64], shape: tuple[int, int, int]
) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
    if voxels.size == 0:
        return (0, 0, 0), (slice(0, 0), slice(0, 0), slice(0, 0))
    k, j, i = (slice(int(axis.min()), int(axis.max()) + 1) for axis in np.unravel_index(voxels, shape))
    return (k.start, j.start, i.start), (k, j, i)
