"""The tree as decisions: at every inner node one among its children, given the node.

The probability of a leaf is the product of the decisions on its path. What follows from that splits up along the tree:

- the likelihood is a sum over decisions, so a temperature may be fitted for each level by itself;
- the entropy of the leaves is the sum over inner nodes of ``P_v`` times the entropy of the decision at ``v``;
- where several predictions are averaged, their mutual information splits up in the same way, when each decision is
  weighted by the probability that the predictions give to its node.

Arrays are ``[nodes, voxels]``; nodes stand breadth first, so that the children of one level's nodes are neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.tree import LabelTree
from softseg.types import FloatArray, IntArray

Rows = npt.NDArray[np.intp]

CHUNK = 4096
"""Voxels worked on at a time: a few hundred nodes of them stay within a processor's cache."""


@dataclass(frozen=True, eq=False)
class Level:
    """The decisions of the inner nodes at one depth.

    Attributes
    ----------
    parents: rows of the inner nodes, ``[I]``.
    children: rows of all their children.
    starts: where the children of each parent begin, counted from the first child.
    parent_of: for each child the position of its parent in ``parents``.
    """

    parents: Rows
    children: slice
    starts: Rows
    parent_of: Rows

    def summed(self, children: FloatArray) -> FloatArray:
        """Return the sum over the children of each parent, ``[I, n]``; several times as fast as ``reduceat``."""
        out = np.empty((len(self.parents), children.shape[1]), children.dtype)
        stops = [*self.starts[1:], len(children)]
        for number, (start, stop) in enumerate(zip(self.starts, stops, strict=True)):
            np.sum(children[start:stop], axis=0, out=out[number])
        return out


@dataclass(frozen=True, eq=False)
class Decisions:
    """Tables of one tree; :meth:`of` makes them.

    Attributes
    ----------
    leaves: row of each leaf, in tree order.
    inner: row of each inner node, in the order of ``tree.inner_nodes``.
    levels: depth 0, the decision at the root, first.
    rows: number of nodes.
    """

    leaves: Rows
    inner: Rows
    levels: tuple[Level, ...]
    rows: int

    @staticmethod
    def of(tree: LabelTree) -> Decisions:
        """Return the tables of ``tree``."""
        order = np.argsort(tree.depths, kind="stable")  # breadth first: tree order is depth first
        row = np.empty(len(order), np.intp)
        row[order] = np.arange(len(order))
        ids = [node.id for node in tree.nodes]
        levels = []
        for depth in range(tree.depth):
            parents = [node.id for node in tree.inner_nodes if tree.depth_of(node.id) == depth]
            numbers = np.array([len(tree.children(id_)) for id_ in parents])
            first = int(row[ids.index(tree.children(parents[0])[0].id)])
            levels.append(
                Level(
                    np.array([row[tree.position(id_)] for id_ in parents], np.intp),
                    slice(first, first + int(numbers.sum())),
                    np.cumsum(numbers) - numbers,
                    np.repeat(np.arange(len(parents)), numbers),
                )
            )
        return Decisions(
            np.array([row[tree.position(node.id)] for node in tree.leaves], np.intp),
            np.array([row[tree.position(node.id)] for node in tree.inner_nodes], np.intp),
            tuple(levels),
            len(ids),
        )

    def node_probabilities(self, leaf_probabilities: FloatArray) -> FloatArray:
        """Return the probabilities of all nodes ``[V, n]`` from those of the leaves ``[C, n]``."""
        probabilities = np.zeros((self.rows, leaf_probabilities.shape[1]), leaf_probabilities.dtype)
        probabilities[self.leaves] = leaf_probabilities
        return self._summed(probabilities)

    def probabilities_of_classes(self, indices: IntArray, class_probabilities: FloatArray) -> FloatArray:
        """Return the probabilities of all nodes ``[V, n]`` from class indices ``[K, n]`` and their probabilities.

        What a voxel gives to an inner node counts for that node and everything above it, for nothing below.
        """
        row = np.concatenate([self.leaves, self.inner])
        probabilities = np.zeros((self.rows, indices.shape[1]), np.float32)
        columns = np.arange(indices.shape[1])
        for index, probability in zip(indices, class_probabilities, strict=True):
            used = np.flatnonzero(probability > 0)
            probabilities[row[index[used]], columns[used]] += probability[used]
        return self._summed(probabilities)

    def _summed(self, probabilities: FloatArray) -> FloatArray:
        for level in reversed(self.levels):
            probabilities[level.parents] += level.summed(probabilities[level.children])
        return probabilities

    def entropies(self, probabilities: FloatArray) -> FloatArray:
        """Return the entropy of every decision, given its node: ``[I, n]`` in nats, as ``tree.inner_nodes``.

        Parameters
        ----------
        probabilities: of all nodes, ``[V, n]``, see :meth:`node_probabilities`. Where a node has nothing the entropy is
            0.
        """
        out = np.zeros((self.rows, probabilities.shape[1]), probabilities.dtype)
        for level in self.levels:
            given = _given(probabilities[level.children], probabilities[level.parents], level)
            surprise = np.log(np.maximum(given, np.finfo(np.float32).tiny))
            surprise *= given
            out[level.parents] = -level.summed(surprise)
        return np.asarray(np.maximum(out[self.inner], 0))

    def sharpened(self, leaf_probabilities: FloatArray, exponents: Sequence[float]) -> FloatArray:
        """Return leaf probabilities ``[C, n]`` with each level's decisions raised to a power, summing to 1 again.

        The probability of the root, the sum over the leaves, stays what it is; so does what is 0.

        Parameters
        ----------
        leaf_probabilities: ``[C, n]``, each 0 or more.
        exponents: one for each level, the decision at the root first; 1 changes nothing.
        """
        probabilities = self.node_probabilities(leaf_probabilities)
        out = np.empty_like(probabilities)
        out[0] = probabilities[0]
        for level, exponent in zip(self.levels, exponents, strict=True):
            given = _given(probabilities[level.children], probabilities[level.parents], level)
            if exponent != 1:  # the largest of siblings has at least its part of the whole: no power of it vanishes
                given = _power(given, exponent)
                given = _given(given, level.summed(given), level)
            out[level.children] = given * out[level.parents][level.parent_of]
        return out[self.leaves]


def _given(children: FloatArray, parents: FloatArray, level: Level) -> FloatArray:
    """Return the children's probabilities divided by those of their parents; 0 where the parent has none."""
    whole = parents[level.parent_of]
    return np.asarray(np.divide(children, whole, out=np.zeros_like(children), where=whole > 0))


def _power(values: FloatArray, exponent: float) -> FloatArray:
    """Return values in 0..1 raised to a power above 0."""
    with np.errstate(divide="ignore"):
        out = np.log(values)
    out *= values.dtype.type(exponent)
    return np.exp(out, out=out)
