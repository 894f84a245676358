"""The exact Wasserstein distance between two distributions over the leaves of a tree."""

from __future__ import annotations

import torch

from softseg.losses.tree_layout import TreeLayout
from softseg.losses.tree_loss import TreeLoss
from softseg.losses.tree_terms import TreeTerms
from softseg.tree import LabelTree


class TreeWassersteinLoss(TreeLoss):
    """Wasserstein distance with the tree as ground metric: ``sum over nodes v of w_v |P_v - Q_v|``, root excluded.

    This is the exact optimal transport cost for crisp and soft targets alike; for a crisp leaf ``g`` it equals
    ``sum_k p_k M[k, g]`` with the leaf distances ``M``. For a voxel labelled with an inner node, the cost of moving all
    mass to that node (mass below it stays): our choice. Inputs and outputs as in
    :class:`~softseg.losses.tree_loss.TreeLoss`.

    Parameters
    ----------
    tree: the label tree; ``w_v`` is the weight of the edge above ``v``.
    normalize: divide by the largest distance between two leaves, so that the loss is in 0..1.

    Notes
    -----
    The gradient ``p_k (M[k, g] - W)`` vanishes at every one-hot prediction, also at a wrong one: train with it only
    beside another term, as in :class:`~softseg.losses.wasserstein_cross_entropy.WassersteinCrossEntropyLoss`.

    Examples
    --------
    >>> import torch
    >>> from softseg.losses import TreeWassersteinLoss
    >>> from softseg.resources import label_tree_path
    >>> from softseg.tree import LabelTree
    >>> loss = TreeWassersteinLoss(LabelTree.load(label_tree_path("spinal-cord-grey-matter")), normalize=False)
    >>> white = torch.tensor([[[-99.0], [-99.0], [99.0]]])
    >>> round(loss(white, torch.tensor([[[1]]])).item(), 3)  # white instead of grey matter: two edges
    2.0
    """

    def __init__(self, tree: LabelTree, normalize: bool = True) -> None:
        super().__init__(wasserstein_terms(tree, TreeLayout.from_tree(tree), normalize=normalize))


def wasserstein_terms(tree: LabelTree, layout: TreeLayout, *, normalize: bool) -> TreeTerms:
    """Return the terms of the distance with the tree's edge weights, divided by the largest one if ``normalize``."""
    edges = torch.tensor(layout.edges, dtype=torch.float64)
    if normalize:
        edges = edges / float(tree.distance_matrix().max())
    return TreeTerms.moved(layout, edges)
