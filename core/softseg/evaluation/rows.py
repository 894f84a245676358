"""The tree as rows of a matrix: how probabilities of leaves become probabilities of every node, block by block.

All metrics work on blocks of voxels ``[V, n]``: one row for each node in the order of ``tree.nodes``, one column for
each voxel of the block. The probability of an inner node is the *sum* of the probabilities below it, in predictions and
references.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.types import FloatArray, IntArray

if TYPE_CHECKING:
    from softseg.tree import LabelTree

BLOCK_VOXELS = 8192
"""Voxels worked on at a time: with 200 nodes a block of probabilities stays within a processor's cache."""


@dataclass(frozen=True, eq=False)
class TreeRows:
    """Row numbers of a tree's nodes.

    Attributes
    ----------
    tree: the tree.
    parents: ``[V]``, the row of each node's parent, -1 for the root.
    leaves: ``[C]``, the row of each leaf in tree order.
    row_of_class: ``[C + I]``, the row of each class index (leaves, then inner nodes).
    levels: for each level from 1 to the tree's depth the rows of the cut there, in tree order; the last are the leaves.
    background: the row of the background leaf, or -1.
    """

    tree: LabelTree
    parents: npt.NDArray[np.intp]
    leaves: npt.NDArray[np.intp]
    row_of_class: npt.NDArray[np.intp]
    levels: tuple[npt.NDArray[np.intp], ...]
    background: int

    @staticmethod
    def of(tree: LabelTree) -> TreeRows:
        """Number the nodes of ``tree``."""
        row = {node.id: number for number, node in enumerate(tree.nodes)}
        classes = [*tree.leaves, *tree.inner_nodes]
        cuts = [tree.cut_at(level) for level in range(1, tree.depth + 1)]
        background = tree.background
        return TreeRows(
            tree=tree,
            parents=np.asarray(tree.parents, dtype=np.intp),
            leaves=np.array([row[node.id] for node in tree.leaves], dtype=np.intp),
            row_of_class=np.array([row[node.id] for node in classes], dtype=np.intp),
            levels=tuple(np.array([row[node.id] for node in cut.nodes], dtype=np.intp) for cut in cuts),
            background=-1 if background is None else row[background.id],
        )

    @property
    def count(self) -> int:
        """Number of nodes, V."""
        return len(self.parents)

    def from_leaves(self, leaf_probabilities: FloatArray) -> FloatArray:
        """Return ``[V, n]`` probabilities of all nodes from ``[C, n]`` probabilities of the leaves."""
        probabilities = np.zeros((self.count, leaf_probabilities.shape[1]), dtype=np.float32)
        probabilities[self.leaves] = leaf_probabilities
        return self._summed(probabilities)

    def from_classes(self, indices: IntArray, class_probabilities: FloatArray) -> FloatArray:
        """Return ``[V, n]`` probabilities of all nodes from the sparse form ``[K, n]`` (indices, probabilities).

        Mass on an inner node counts for that node and everything above it, for nothing below.
        """
        probabilities = np.zeros((self.count, indices.shape[1]), dtype=np.float32)
        columns = np.arange(indices.shape[1])
        for index, probability in zip(indices, class_probabilities, strict=True):
            used = np.flatnonzero(probability > 0)
            probabilities[self.row_of_class[index[used]], columns[used]] += probability[used]
        return self._summed(probabilities)

    def _summed(self, probabilities: FloatArray) -> FloatArray:
        for row in range(self.count - 1, 0, -1):  # depth-first order: children stand after their parent
            probabilities[self.parents[row]] += probabilities[row]
        return probabilities


@dataclass(frozen=True, eq=False)
class LevelBlock:
    """A block of voxels seen at a cut; only voxels that the reference labels there.

    Attributes
    ----------
    known: ``[n]``, the columns of the block that are kept.
    predicted, reference: ``[nodes, kept]``, probabilities of the cut's nodes.
    label, truth: ``[kept]``, position in the cut of the node with the largest summed probability; -1 where all are
        zero.
    """

    known: npt.NDArray[np.intp]
    predicted: FloatArray
    reference: FloatArray
    label: npt.NDArray[np.int16]
    truth: npt.NDArray[np.int16]

    @staticmethod
    def of(predicted: FloatArray, reference: FloatArray, rows: npt.NDArray[np.intp]) -> LevelBlock:
        """Look at probabilities ``[V, n]`` of all nodes at the cut with these ``rows``.

        Left out are voxels without a label and those labelled with something coarser than the cut: where not more than
        half of the reference's mass (our default) lies on the cut's nodes and below.
        """
        p, g = predicted[rows], reference[rows]
        labelled = (reference[0] > 0) & (g.sum(axis=0) > 0.5 * reference[0])
        known = np.flatnonzero(labelled)
        if known.size < labelled.size:
            p, g = p[:, known], g[:, known]
        return LevelBlock(known, p, g, _winners(p), _winners(g))


def _winners(probabilities: FloatArray) -> npt.NDArray[np.int16]:
    best = probabilities.argmax(axis=0)
    best[probabilities[best, np.arange(best.size)] <= 0] = -1
    return np.asarray(best, np.int16)
