"""The tree as rows of a matrix: how shares of leaves become shares of every node, block by block.

All metrics work on blocks of voxels ``[V, n]``: one row for each node in the order of ``tree.nodes``, one column for
each voxel of the block. The share of an inner node is the *sum* of the shares below it, in predictions and references.
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
"""Voxels worked on at a time: with 200 nodes a block of shares stays within a processor's cache."""


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

    def from_leaves(self, leaf_shares: FloatArray) -> FloatArray:
        """Return ``[V, n]`` shares of all nodes from ``[C, n]`` shares of the leaves."""
        shares = np.zeros((self.count, leaf_shares.shape[1]), dtype=np.float32)
        shares[self.leaves] = leaf_shares
        return self._summed(shares)

    def from_classes(self, indices: IntArray, class_shares: FloatArray) -> FloatArray:
        """Return ``[V, n]`` shares of all nodes from the sparse form ``[K, n]`` of class indices and their shares.

        Mass on an inner node counts for that node and everything above it, for nothing below.
        """
        shares = np.zeros((self.count, indices.shape[1]), dtype=np.float32)
        columns = np.arange(indices.shape[1])
        for index, share in zip(indices, class_shares, strict=True):
            used = np.flatnonzero(share > 0)
            shares[self.row_of_class[index[used]], columns[used]] += share[used]
        return self._summed(shares)

    def _summed(self, shares: FloatArray) -> FloatArray:
        for row in range(self.count - 1, 0, -1):  # depth-first order: children stand after their parent
            shares[self.parents[row]] += shares[row]
        return shares


@dataclass(frozen=True, eq=False)
class LevelBlock:
    """A block of voxels seen at a cut; only voxels about which the reference says something there.

    Attributes
    ----------
    known: ``[n]``, the columns of the block that are kept.
    predicted, reference: ``[nodes, kept]``, shares of the cut's nodes.
    label, truth: ``[kept]``, position in the cut of the node with the largest summed share; -1 where all are zero.
    """

    known: npt.NDArray[np.intp]
    predicted: FloatArray
    reference: FloatArray
    label: npt.NDArray[np.int16]
    truth: npt.NDArray[np.int16]

    @staticmethod
    def of(predicted: FloatArray, reference: FloatArray, rows: npt.NDArray[np.intp]) -> LevelBlock:
        """Look at shares ``[V, n]`` of all nodes at the cut with these ``rows``.

        Left out are voxels without a label and those labelled with something coarser than the cut: where not more than
        half of the reference's mass (our default) lies on the cut's nodes and below.
        """
        p, g = predicted[rows], reference[rows]
        said = (reference[0] > 0) & (g.sum(axis=0) > 0.5 * reference[0])
        known = np.flatnonzero(said)
        if known.size < said.size:
            p, g = p[:, known], g[:, known]
        return LevelBlock(known, p, g, _winners(p), _winners(g))


def _winners(shares: FloatArray) -> npt.NDArray[np.int16]:
    best = shares.argmax(axis=0)
    best[shares[best, np.arange(best.size)] <= 0] = -1
    return np.asarray(best, np.int16)
