"""Sums of stored probabilities over the nodes of a tree, fast enough to follow a mouse.

The stored list of leaves is sorted once by how much work its voxels make (the scheme is ours):

- most voxels hold one leaf with all of the probability: one table look-up is enough for them;
- the others are grouped by how many leaves they hold, as arrays ``[leaves of a voxel, voxels]``, so that each step is
  one plain operation on whole rows. The nodes of a cut are runs of neighbouring leaves, so a node's sum is a running
  sum that begins again where the node changes;
- where one leaf has more than half of a voxel's probability, its node wins at every cut, and such a voxel is in the
  table when only the winner is wanted. The rest, the undecided, are few (15 % of a soft boundary's voxels in a
  head).

Probabilities and sums are in steps of 1/255; positions are those of nodes in a cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from softseg.lookup import look_up
from softseg.soft.chunks import Indices, Leaves
from softseg.soft.encoding import SCALE
from softseg.soft.sum_cache import SumCache
from softseg.types import FloatArray

_SIZES = (*range(1, 9), 12, 16, 24, 32, 48, 64, 128, 255)  # rows of a group; a voxel with fewer leaves is filled up
COLUMNS = 1 << 15  # voxels at a time: the steps on their rows stay within a processor's cache

Steps = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Group:
    """Voxels that store about the same number of leaves; there are at most ``COLUMNS`` in a group when it is made.

    Attributes
    ----------
    voxels: ``[N]``, places in the flattened box.
    leaves: ``[M, N]``, each voxel's leaves in tree order; the last one again where there are fewer than ``M``.
    probabilities: uint8 ``[M, N]``, their probabilities; 0 for what fills up.
    """

    voxels: Indices
    leaves: Leaves
    probabilities: Steps

    def parts(self) -> Iterator[Group]:
        """Go through the voxels, a few at a time."""
        for first in range(0, self.voxels.size, COLUMNS):
            columns = slice(first, first + COLUMNS)
            yield Group(self.voxels[columns], self.leaves[:, columns], self.probabilities[:, columns])

    @cached_property
    def reach(self) -> tuple[int, int]:
        """The first and the last of the voxels, ``(0, -1)`` where there are none."""
        return (int(self.voxels.min()), int(self.voxels.max())) if self.voxels.size else (0, -1)

    def undecided(self) -> Group:
        """Return the voxels in which no leaf has more than half of what is stored."""
        where = np.flatnonzero(~self._decided)
        return Group(self.voxels[where], self.leaves[:, where], self.probabilities[:, where])

    def decided(self) -> tuple[Indices, Leaves]:
        """Return the other voxels, and the leaf that has more than half."""
        where = np.flatnonzero(self._decided)
        return self.voxels[where], self.leaves[self.probabilities[:, where].argmax(axis=0), where]

    @cached_property
    def _decided(self) -> npt.NDArray[np.bool_]:
        twice = 2 * self.probabilities.max(axis=0).astype(np.uint16)
        return np.asarray(twice > self.probabilities.sum(axis=0, dtype=np.uint16))

    def sum_of(self, span: slice) -> Steps:
        """Return the sum of the probabilities of the leaves in ``span``."""
        start, last = self.leaves.dtype.type(span.start), self.leaves.dtype.type(span.stop - span.start - 1)
        out = np.zeros(self.voxels.size, np.uint8)
        for leaves, probabilities in zip(self.leaves, self.probabilities, strict=True):
            out += probabilities * (leaves - start <= last)  # unsigned: leaves before the span wrap round
        return out

    def winners(self, position: Positions, nodes: int) -> tuple[npt.NDArray[np.int32], Steps]:
        """Return the node with the largest sum, the first of equal ones, and that sum.

        Parameters
        ----------
        position: node of each leaf in the cut.
        nodes: their number.
        """
        kind, bits = (np.uint16, 8) if nodes <= 256 else (np.uint32, 16)
        rank = (nodes - 1 - position).astype(kind)  # below the sum in a key: of equal sums the first node's is larger
        ranks = np.take(rank, self.leaves, mode="clip")
        run = self.probabilities[0].astype(kind)
        best = (run << bits) | ranks[0]
        for before, own, probabilities in zip(ranks, ranks[1:], self.probabilities[1:], strict=False):
            run *= own == before
            run += probabilities
            np.maximum(best, (run << bits) | own, out=best)
        return (nodes - 1 - (best & (2**bits - 1)).astype(np.int32)), (best >> bits).astype(np.uint8)

    def surprises(self, position: Positions, surprise: FloatArray) -> FloatArray:
        """Return the sum over the nodes of ``surprise[sum of the node]``."""
        nodes = np.take(position, self.leaves, mode="clip")
        run = self.probabilities[0].copy()
        out = np.zeros(self.voxels.size, np.float32)
        for row, probabilities in enumerate(self.probabilities[1:], start=1):
            same = nodes[row] == nodes[row - 1]
            out += surprise[run] * ~same
            run *= same
            run += probabilities
        out += surprise[run]
        return out


@dataclass(frozen=True, eq=False)
class NodeSums:
    """The stored leaves of a box, sorted for quick sums; :func:`node_sums` makes one.

    Attributes
    ----------
    number: leaves of the tree.
    certain: leaf of each voxel that holds one leaf with all of the probability, ``number`` elsewhere; flattened box.
    largest: as ``certain``, and the leaf that has more than half of a voxel's probability.
    groups: the voxels that ``certain`` leaves out and that hold anything.
    undecided: the voxels that ``largest`` leaves out and that hold anything.
    """

    number: int
    certain: Leaves
    largest: Leaves
    groups: tuple[Group, ...]
    undecided: tuple[Group, ...]

    @cached_property
    def cache(self) -> SumCache[NodeSums]:
        """Results computed lately."""
        return SumCache()

    def span(self, leaves: slice) -> Steps:
        """Return the sum of the probabilities of neighbouring leaves: uint8, flattened box; not to be written."""
        key = ("span", leaves.start, leaves.stop)
        found: Steps = self.cache.image(key, self, lambda sums: sums._span(leaves))
        return found

    def _span(self, leaves: slice) -> Steps:
        table = np.zeros(self.number + 1, np.uint8)
        table[leaves] = SCALE
        out = look_up(self.certain, table)
        for part in self._parts(self.groups):
            out[part.voxels] = part.sum_of(leaves)
        return out

    def labels(self, position: Positions, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Return the value of the node with the largest sum: voxels of the flattened box, 0 where nothing is stored.

        Parameters
        ----------
        position: node of each leaf in the cut.
        values: value of each node.

        Returns
        -------
        A read-only array: it is cached.
        """
        key = ("labels", position.tobytes(), values.tobytes())
        found: npt.NDArray[np.uint16] = self.cache.image(key, self, lambda sums: sums._labels(position, values))
        return found

    def _labels(self, position: Positions, values: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        out = look_up(self.largest, np.append(values[position], np.uint16(0)))
        for part in self._parts(self.undecided):
            out[part.voxels] = values[part.winners(position, len(values))[0]]
        return out

    def entropies(self, position: Positions) -> FloatArray:
        """Return the entropy over the nodes of a cut, in nats: float32, flattened box; not to be written."""
        key = ("entropies", position.tobytes())
        found: FloatArray = self.cache.image(key, self, lambda sums: sums._entropies(position))
        return found

    def _entropies(self, position: Positions) -> FloatArray:
        step = np.arange(1, SCALE + 1) / SCALE
        surprise = np.concatenate([[0.0], -step * np.log(step)]).astype(np.float32)
        out = np.zeros(self.certain.size, np.float32)
        for part in self._parts(self.groups):
            out[part.voxels] = part.surprises(position, surprise)
        return out

    @cached_property
    def leaf_sums(self) -> npt.NDArray[np.float64]:
        """Sum of the probabilities of each leaf over the box."""
        out = SCALE * self._certain_voxels.astype(np.float64)
        for part in self._parts(self.groups):
            out += np.bincount(part.leaves.reshape(-1), part.probabilities.reshape(-1), self.number)
        return out

    def won(self, position: Positions, nodes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return in how many voxels of the box each node of a cut wins, and the sum of its probabilities there."""
        voxels, sums = self.cache.totals(("won", position.tobytes()), self, lambda sums: sums._won(position, nodes))
        return voxels, sums

    def _won(self, position: Positions, nodes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        voxels: npt.NDArray[np.float64] = np.bincount(position, self._certain_voxels, nodes).astype(np.float64)
        sums = voxels * SCALE
        for part in self._parts(self.groups):
            best, probability = part.winners(position, nodes)
            voxels += np.bincount(best, minlength=nodes)
            sums += np.bincount(best, probability, nodes)
        return voxels, sums

    @cached_property
    def _certain_voxels(self) -> npt.NDArray[np.intp]:
        return np.bincount(self.certain, minlength=self.number + 1)[: self.number]

    @staticmethod
    def _parts(groups: tuple[Group, ...]) -> Iterator[Group]:
        for group in groups:
            yield from group.parts()


def node_sums(counts: Steps, leaves: Leaves, probabilities: Steps, number: int) -> NodeSums:
    """Sort what a parcellation stores; needs once more the memory of what is stored, and that of its undecided voxels.

    Parameters
    ----------
    counts, leaves, probabilities: of the parcellation.
    number: leaves of its tree.
    """
    flat = counts.reshape(-1)
    first: Indices = np.cumsum(flat, dtype=np.int32 if leaves.size < 2**31 else np.int64)
    first -= flat
    certain = np.full(flat.size, number, np.uint8 if number < 256 else np.uint16)
    alone = np.flatnonzero(flat == 1)
    alone = alone[probabilities[first[alone]] == SCALE]
    certain[alone] = leaves[first[alone]]
    groups = tuple(_groups(np.where(certain == number, flat, 0).astype(np.uint8), first, leaves, probabilities))
    largest = certain.copy()
    for group in groups:
        voxels, leaf = group.decided()
        largest[voxels] = leaf
    return NodeSums(number, certain, largest, groups, tuple(joined(group.undecided() for group in groups)))


def joined(groups: Iterable[Group]) -> Iterator[Group]:
    """Go through groups with those of the same size, and without the empty ones, put together."""
    by_size: dict[int, list[Group]] = {}
    for group in groups:
        if group.voxels.size:
            by_size.setdefault(len(group.leaves), []).append(group)
    for size in sorted(by_size):
        parts = by_size[size]
        yield (
            parts[0]
            if len(parts) == 1
            else Group(
                np.concatenate([part.voxels for part in parts]),
                np.concatenate([part.leaves for part in parts], axis=1),
                np.concatenate([part.probabilities for part in parts], axis=1),
            )
        )


def _groups(counts: Steps, first: Indices, leaves: Leaves, probabilities: Steps) -> Iterator[Group]:
    fewer = 0
    for size in _SIZES:
        chosen = np.flatnonzero((counts > fewer) & (counts <= size))
        fewer = size
        for begin in range(0, chosen.size, COLUMNS):
            yield _group(chosen[begin : begin + COLUMNS], size, counts, first, leaves, probabilities)


def _group(voxels: Indices, size: int, counts: Steps, first: Indices, leaves: Leaves, probabilities: Steps) -> Group:
    begin, last = first[voxels], counts[voxels] - np.uint8(1)
    own_leaves = np.empty((size, voxels.size), leaves.dtype)
    own_probabilities = np.empty((size, voxels.size), np.uint8)
    for row in range(size):
        there = begin + np.minimum(last, np.uint8(row))
        own_leaves[row] = leaves[there]
        own_probabilities[row] = probabilities[there] * (last >= row)
    return Group(voxels, own_leaves, own_probabilities)
