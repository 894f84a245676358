"""Cross-entropy over the leaves of a tree."""

from __future__ import annotations

from softseg.losses.tree_layout import TreeLayout
from softseg.losses.tree_loss import TreeLoss
from softseg.losses.tree_terms import TreeTerms
from softseg.tree import LabelTree


class CrossEntropyLoss(TreeLoss):
    """Cross-entropy: ``- ln P_g`` of the labelled node ``g``, ``- sum_k q_k ln p_k`` for soft targets.

    For a voxel labelled with an inner node ("grey matter", nothing finer known), ``P_g`` is the sum over the leaves
    below it. Inputs and outputs as in :class:`~softseg.losses.tree_loss.TreeLoss`.

    Parameters
    ----------
    tree: the label tree; its leaves are the classes.
    """

    def __init__(self, tree: LabelTree) -> None:
        super().__init__(TreeTerms.leaves(TreeLayout.from_tree(tree)))
