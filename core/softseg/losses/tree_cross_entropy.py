"""Cross-entropy at every level of a label tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from softseg.errors import InputError
from softseg.losses.level_weights import level_weights as checked_level_weights
from softseg.losses.tree_layout import TreeLayout
from softseg.losses.tree_loss import TreeLoss
from softseg.losses.tree_terms import TreeTerms
from softseg.tree import LabelTree


class TreeCrossEntropyLoss(TreeLoss):
    """Tree-weighted semantic cross-entropy after Wang et al., arXiv 2507.15777; the form is inferred, not read there.

    Form ``"path"``: ``- sum of lambda_v ln P_v`` over the path from the labelled node up to the root (root excluded);
    for soft targets ``- sum over v of lambda_v Q_v ln P_v``. Form ``"node"``: a binary cross-entropy at every node,
    ``- sum over v of lambda_v (Q_v ln P_v + (1 - Q_v) ln(1 - P_v))``. A voxel labelled with an inner node carries no
    information
    about the nodes below it: they take no part. Inputs and outputs as in :class:`~softseg.losses.tree_loss.TreeLoss`.

    Parameters
    ----------
    tree: the label tree.
    level_weights: lambda per depth, depth 1 (below the root) first, each 0 or more; None: 1 everywhere (ours). Or a
        word for :func:`~softseg.losses.level_weights.weights_by_word`: ``"top"``, ``"even"`` or ``"bottom"``.
    form: ``"path"`` or ``"node"``.
    every_level: a leaf above the deepest level counts again, for itself, at each level below it, as it does in the cut
        at that level (ours). Every level is then a distribution that sums to 1, and the minimum for a soft target is
        at the target. Without it the path form draws soft voxels towards the deeper leaves.

    Raises
    ------
    InputError: another number of weights than the tree is deep, a negative weight, all zero, an unknown form.
    """

    def __init__(
        self,
        tree: LabelTree,
        level_weights: Sequence[float] | str | None = None,
        form: Literal["path", "node"] = "path",
        *,
        every_level: bool = False,
    ) -> None:
        if form not in ("path", "node"):
            raise InputError(f"{form!r} is not known, expected 'path' or 'node'", field="form")
        weights = checked_level_weights(level_weights, tree)
        layout = TreeLayout.from_tree(tree)
        per_node = torch.tensor([weights[depth - 1] for depth in layout.depths], dtype=torch.float64)
        if every_level:
            below = [sum(weights[depth:]) for depth in layout.depths[: layout.classes]]
            per_node[: layout.classes] += torch.tensor(below, dtype=torch.float64)
        super().__init__(TreeTerms.paths(layout, per_node, complement=form == "node"))
