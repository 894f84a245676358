"""The base of the losses over a label tree, and their evaluation in blocks of voxels."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.losses.blocks import VoxelBlock, VoxelBlocks
from softseg.losses.checked import Checked
from softseg.losses.convention import Classes
from softseg.losses.fused import Evaluated
from softseg.losses.loss import FusedLoss
from softseg.losses.tree_kernel import labelled_block, soft_block
from softseg.losses.tree_terms import TreeTerms


class TreeLoss(FusedLoss):
    """A loss over the nodes of a label tree, as a sum of weighted terms.

    Parameters
    ----------
    terms: what is added up per node.

    Notes
    -----
    ``loss(logits, target, mask=None)`` with logits ``[B, C, *spatial]``; target either class indices
    ``[B, 1, *spatial]`` (leaf, inner node, or ``IGNORE_INDEX``) or probabilities of the leaves ``[B, C, *spatial]`` (a
    sum of 0 means unlabelled; used as they are, never renormalised); mask ``[B, 1, *spatial]``, a weight per voxel; see
    :mod:`softseg.losses.convention`. Returns the mean over labelled voxels, a differentiable 0 where there is none. A
    voxel that is labelled with the root counts as unlabelled. Computed in float32 (float64 for float64
    logits).
    """

    uses_inner_nodes = True

    def __init__(self, terms: TreeTerms) -> None:
        layout = terms.layout
        super().__init__(Classes(layout.classes, len(layout.targets), layout.root_class))
        self.terms = terms

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean loss over the labelled voxels, a scalar."""
        return self.of(self.check(logits, target, mask))

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient, block by block."""
        blocks = VoxelBlocks(given, self.terms.layout.rows)
        tables = self.terms.tables(given.predicted.device, blocks.dtype)
        inverse = _inverse(given.total_weight())
        scale = inverse.to(blocks.dtype)
        # float16 cannot hold gradients of a mean over a million voxels: it keeps them per voxel until the backward pass
        late = given.predicted.dtype == torch.float16
        factor = torch.ones_like(scale) if late else scale
        gradient = blocks.empty_output() if with_gradient else None
        evaluate_block = soft_block if given.soft else labelled_block

        def work(block: VoxelBlock) -> Tensor:
            loss, slopes = evaluate_block(block, tables)
            if gradient is not None:
                block.store(slopes, block.weight * factor, gradient)
            return (loss * block.weight).sum(dtype=torch.float64)

        sums = blocks.each(work, gradient)
        value = torch.stack(sums).sum() if sums else torch.zeros_like(inverse)
        return Evaluated((value * inverse).to(scale.dtype), gradient, scale if late else torch.ones_like(scale))


def _inverse(total: Tensor) -> Tensor:
    return torch.where(total > 0, 1 / total, 0.0)
