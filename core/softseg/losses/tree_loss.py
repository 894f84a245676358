"""The base of the losses over a label tree, and their evaluation in blocks of voxels."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlock, VoxelBlocks
from softseg.losses.fused import Evaluated, fused
from softseg.losses.targets import crisp_weights
from softseg.losses.tree_kernel import labelled_block, soft_block
from softseg.losses.tree_terms import TreeTerms


class TreeLoss(nn.Module):
    """A loss over the nodes of a label tree, as a sum of weighted terms.

    Parameters
    ----------
    terms: what is added up per node.

    Notes
    -----
    ``loss(logits, target, mask=None)`` with logits ``[B, C, *spatial]``; target either int64 ``[B, 1, *spatial]`` (leaf
    index, inner-node class index, or ``IGNORE_INDEX``) or float ``[B, C, *spatial]`` (shares of the leaves; a sum of 0
    means unlabelled; shares are used as they are, never renormalised); mask bool or float ``[B, 1, *spatial]``, a
    weight per voxel. Returns the mean over labelled voxels, a differentiable 0 where there is none. A voxel that is
    labelled with the root says nothing and counts as unlabelled. Computed in float32 (float64 for float64 logits).
    """

    on: Literal["logits", "probabilities"] = "logits"

    def __init__(self, terms: TreeTerms) -> None:
        super().__init__()
        self.terms = terms

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the mean loss over the labelled voxels, a scalar."""
        return fused(self.evaluate, logits, target, self.weights(logits, target, mask))

    def weights(self, logits: Tensor, target: Tensor, mask: Tensor | None) -> Tensor | None:
        """Check the arguments and return the weights that :meth:`evaluate` takes."""
        layout = self.terms.layout
        if logits.shape[1] != layout.classes:
            raise InputError(
                f"logits have {logits.shape[1]} channels, the tree has {layout.classes} leaves", field="logits"
            )
        return crisp_weights(logits, target, mask, labels=len(layout.targets), nothing=layout.root_class)

    def evaluate(self, predicted: Tensor, target: Tensor, weights: Tensor | None, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient, block by block."""
        blocks = VoxelBlocks(predicted, target, weights, self.terms.layout.rows)
        tables = self.terms.tables(predicted.device, blocks.dtype)
        full = blocks.full_weight()
        scale = _inverse(full).to(blocks.dtype)
        # float16 cannot hold gradients of a mean over a million voxels: it keeps them per voxel until the backward pass
        late = predicted.dtype == torch.float16
        factor = torch.ones_like(scale) if late else scale
        gradient = blocks.empty_output() if with_gradient else None
        soft = target.is_floating_point()
        evaluate_block = soft_block if soft else labelled_block

        def work(block: VoxelBlock) -> Tensor:
            loss, slopes = evaluate_block(block.predicted, block.target, tables, block.scratch)
            if gradient is not None:
                block.store(slopes, block.weight * factor, gradient)
            return torch.stack([(loss * block.weight).sum(dtype=torch.float64), block.weight.sum(dtype=torch.float64)])

        sums = blocks.each(work, gradient)
        value, total = torch.stack(sums).sum(0) if sums else full.new_zeros(2)
        if gradient is not None and soft and not late and bool((total - full).abs() > 1e-9 * full):
            gradient.mul_(full * _inverse(total))  # shares that sum to 0, unlabelled, were counted in the scale
        last = _inverse(total).to(scale.dtype) if late else torch.ones_like(scale)
        return Evaluated((value * _inverse(total)).to(scale.dtype), gradient, last)


def _inverse(total: Tensor) -> Tensor:
    return torch.where(total > 0, 1 / total, 0.0)
