"""Sums of stored shares over the nodes of a tree, voxel by voxel, a piece of the voxels at a time.

The memory needed beside the result does not grow with what is stored. Positions are those of nodes in a cut; shares
and sums are in steps of 1/255.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import SCALE
from softseg.types import FloatArray

_CHUNK = 1 << 16  # voxels

Leaves = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Piece:
    """The stored leaves of some voxels in a row.

    Attributes
    ----------
    voxels: which voxels of the flattened box.
    entries: which stored leaves.
    counts: uint8: how many leaves each voxel stores.
    """

    voxels: slice
    entries: slice
    counts: npt.NDArray[np.uint8]

    def first(self) -> Indices:
        """Return where the leaves of each voxel begin, counted from the first of the piece."""
        return np.cumsum(self.counts, dtype=np.intp) - self.counts


def pieces(counts: npt.NDArray[np.uint8]) -> Iterator[Piece]:
    """Go through the voxels of the box (``counts`` is ``(k, j, i)``)."""
    flat = counts.reshape(-1)
    entry = 0
    for voxel in range(0, flat.size, _CHUNK):
        part = flat[voxel : voxel + _CHUNK]
        upto = entry + int(part.sum(dtype=np.int64))
        yield Piece(slice(voxel, voxel + part.size), slice(entry, upto), part)
        entry = upto


def span_sums(
    counts: npt.NDArray[np.uint8], leaves: Leaves, shares: npt.NDArray[np.uint8], span: slice
) -> npt.NDArray[np.uint8]:
    """Return the sum of the shares of the leaves in ``span``: uint8 ``(k, j, i)`` of the box."""
    out = np.zeros(counts.size, np.uint8)
    for piece in pieces(counts):
        part = leaves[piece.entries]
        where = np.flatnonzero((part >= span.start) & (part < span.stop))
        if where.size:
            voxel = np.repeat(np.arange(piece.counts.size), piece.counts)[where]
            sums = np.bincount(voxel, shares[piece.entries][where], piece.counts.size)
            out[piece.voxels] = sums.astype(np.uint8)
    return out.reshape(counts.shape)


@dataclass(frozen=True, eq=False)
class Groups:
    """Node sums of some voxels: the nodes of a cut that have a share in a voxel, voxel after voxel.

    Attributes
    ----------
    position: int32: node of each group.
    sums: int32: its sum.
    first: where the groups of each voxel begin.
    """

    position: npt.NDArray[np.int32]
    sums: npt.NDArray[np.int32]
    first: Indices

    def merged(self, position: npt.NDArray[np.int32]) -> Groups:
        """Return the sums over coarser nodes: ``position`` says where each node of the present cut goes."""
        coarser = position[self.position]
        begins = np.ones(coarser.size, bool)
        np.not_equal(coarser[1:], coarser[:-1], out=begins[1:])
        begins[self.first] = True
        starts = np.flatnonzero(begins)
        if starts.size == coarser.size:
            return Groups(coarser, self.sums, self.first)
        group = np.cumsum(begins, dtype=np.intp)[self.first] - 1
        return Groups(coarser[starts], np.add.reduceat(self.sums, starts), group)

    def winners(self, nodes: int) -> npt.NDArray[np.int32]:
        """Return the node with the largest sum of each voxel, the first of equal ones; ``nodes`` is their number."""
        key = self.sums * np.int32(nodes) + (np.int32(nodes - 1) - self.position)
        return np.asarray(np.int32(nodes - 1) - np.maximum.reduceat(key, self.first) % np.int32(nodes), np.int32)


def _groups(piece: Piece, leaves: Leaves, shares: npt.NDArray[np.uint8], least: int) -> tuple[Indices, Groups]:
    """Return the voxels of a piece that store at least ``least`` leaves, and these leaves, each a group."""
    voxels = np.flatnonzero(piece.counts >= least)
    part_leaves, part_shares = leaves[piece.entries], shares[piece.entries]
    kept = piece.counts[voxels]
    if int(kept.sum(dtype=np.int64)) < part_leaves.size:
        chosen = np.repeat(piece.counts >= least, piece.counts)
        part_leaves, part_shares = part_leaves[chosen], part_shares[chosen]
    first = np.cumsum(kept, dtype=np.intp) - kept
    return voxels, Groups(part_leaves.astype(np.int32), part_shares.astype(np.int32), first)


def winners(
    counts: npt.NDArray[np.uint8],
    leaves: Leaves,
    shares: npt.NDArray[np.uint8],
    cuts: Sequence[tuple[npt.NDArray[np.int32], int]],
) -> Iterator[tuple[int, slice, npt.NDArray[np.int32]]]:
    """Find the node with the largest sum in every voxel, at some cuts.

    Parameters
    ----------
    counts, leaves, shares: of the parcellation.
    cuts: position of each leaf's node in the cut, and the number of nodes; each cut coarser than the one before.

    Yields
    ------
    which cut, which voxels of the flattened box, their winners' positions (-1 where nothing is stored).
    """
    steps = _steps_between([position for position, _ in cuts])
    for piece in pieces(counts):
        alone = np.flatnonzero(piece.counts == 1)
        leaf_alone = leaves[piece.entries][piece.first()[alone]]
        voxels, groups = _groups(piece, leaves, shares, 2)
        for number, ((position, nodes), step) in enumerate(zip(cuts, steps, strict=True)):
            best = np.full(piece.counts.size, -1, np.int32)
            best[alone] = position[leaf_alone]
            if voxels.size:
                groups = groups.merged(step)
                best[voxels] = groups.winners(nodes)
            yield number, piece.voxels, best


def _steps_between(positions: Sequence[npt.NDArray[np.int32]]) -> list[npt.NDArray[np.int32]]:
    """Return where the nodes of each cut lie in the next one, beginning with the leaves."""
    steps = list(positions[:1])
    for finer, coarser in pairwise(positions):
        step = np.zeros(int(finer.max(initial=0)) + 1, np.int32)
        step[finer] = coarser
        steps.append(step)
    return steps


def entropies(
    counts: npt.NDArray[np.uint8], leaves: Leaves, shares: npt.NDArray[np.uint8], position: npt.NDArray[np.int32]
) -> FloatArray:
    """Return the entropy over the nodes of a cut, in nats: float32 ``(k, j, i)`` of the box."""
    step = np.arange(1, SCALE + 1) / SCALE
    surprise = np.concatenate([[0.0], -step * np.log(step)]).astype(np.float32)
    out = np.zeros(counts.size, np.float32)
    for piece in pieces(counts):
        voxels, groups = _groups(piece, leaves, shares, 1)
        if voxels.size:
            groups = groups.merged(position)
            out[piece.voxels][voxels] = np.add.reduceat(surprise[groups.sums], groups.first)
    return out.reshape(counts.shape)


def leaf_sums(
    counts: npt.NDArray[np.uint8], leaves: Leaves, shares: npt.NDArray[np.uint8], number: int
) -> npt.NDArray[np.float64]:
    """Return the sum of the shares of each of ``number`` leaves over the box."""
    out = np.zeros(number, np.float64)
    for piece in pieces(counts):
        out += np.bincount(leaves[piece.entries], shares[piece.entries], number)
    return out
