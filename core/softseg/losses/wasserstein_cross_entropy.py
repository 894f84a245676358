"""Cross-entropy plus the Wasserstein distance along a tree."""

from __future__ import annotations

import math

from softseg.errors import InputError
from softseg.losses.tree_layout import TreeLayout
from softseg.losses.tree_loss import TreeLoss
from softseg.losses.tree_terms import TreeTerms
from softseg.losses.tree_wasserstein import wasserstein_terms
from softseg.tree import LabelTree


class WassersteinCrossEntropyLoss(TreeLoss):
    """``alpha * cross-entropy + beta * Wasserstein`` of Wang et al., arXiv 2507.15777, in one pass over the voxels.

    For soft targets both terms take their exact soft form. Inputs and outputs as in
    :class:`~softseg.losses.tree_loss.TreeLoss`.

    Parameters
    ----------
    tree: the label tree.
    alpha: weight of the cross-entropy, above 0 (default ours).
    beta: weight of the Wasserstein distance, 0 or more (default ours).
    normalize: divide distances by the largest one (default ours).

    Raises
    ------
    InputError: ``alpha`` is 0, so that confidently wrong voxels would have no gradient; a negative weight.
    """

    def __init__(self, tree: LabelTree, alpha: float = 1.0, beta: float = 1.0, normalize: bool = True) -> None:
        if not (alpha > 0 and math.isfinite(alpha)):
            raise InputError(
                f"alpha is {alpha:g}, expected more than 0: the Wasserstein gradient vanishes wherever the network is"
                " certain, also where it is certainly wrong, so cross-entropy must stand beside it",
                field="alpha",
                hint="give alpha > 0, or add another loss to tree-wasserstein",
            )
        if not (beta >= 0 and math.isfinite(beta)):
            raise InputError(f"beta is {beta:g}, expected 0 or more", field="beta")
        layout = TreeLayout.from_tree(tree)
        distance = wasserstein_terms(tree, layout, normalize=normalize)
        super().__init__(TreeTerms.leaves(layout).scaled(alpha).plus(distance.scaled(beta)))
