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

    Examples
    --------
    >>> import torch
    >>> from softseg.losses import CrossEntropyLoss
    >>> from softseg.resources import label_tree_path
    >>> from softseg.tree import LabelTree
    >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
    >>> logits = torch.zeros(1, 3, 4)  # three leaves, four voxels
    >>> loss = CrossEntropyLoss(tree)
    >>> round(loss(logits, torch.tensor([[[1, 1, 2, 2]]])).item(), 3)  # ln 3
    1.099
    >>> round(loss(logits, torch.full((1, 1, 4), tree.class_index("cord"))).item(), 3)  # coarse labels: ln 3/2
    0.405
    """

    def __init__(self, tree: LabelTree) -> None:
        super().__init__(TreeTerms.leaves(TreeLayout.from_tree(tree)))
