"""The base of the losses over a label tree, and their evaluation in blocks of voxels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlocks, scaled_gradient
from softseg.losses.targets import voxel_weights
from softseg.losses.tree_kernel import labelled_block, soft_block
from softseg.losses.tree_terms import TreeTables, TreeTerms


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
        layout = self.terms.layout
        if logits.shape[1] != layout.classes:
            raise InputError(
                f"logits have {logits.shape[1]} channels, the tree has {layout.classes} leaves", field="logits"
            )
        weights = voxel_weights(logits, target, mask, labels=len(layout.targets), nothing=layout.root_class)
        tables = self.terms.tables(logits.device, weights.dtype)
        with_gradient = torch.is_grad_enabled() and logits.requires_grad
        with torch.autocast(logits.device.type, enabled=False):
            value: Tensor = _Blockwise.apply(  # type: ignore[no-untyped-call]
                logits, target.detach(), weights.detach(), tables, with_gradient
            )
        return value


class _Blockwise(torch.autograd.Function):
    """Mean of a tree loss over the weighted voxels; the gradient is formed with the value, block by block."""

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, target: Tensor, weights: Tensor, tables: TreeTables, with_gradient: bool
    ) -> Tensor:
        blocks = VoxelBlocks(logits, target, weights)
        total = weights.sum(dtype=torch.float64)
        scale = torch.where(total > 0, 1 / total, 0.0).to(weights.dtype)
        # float16 cannot hold gradients of a mean over a million voxels: it keeps them per voxel until the backward pass
        late = logits.dtype == torch.float16
        factor = torch.ones_like(scale) if late else scale
        gradient = blocks.empty_output() if with_gradient else None
        value = torch.zeros((), dtype=torch.float64, device=logits.device)
        for block in blocks:
            evaluate = soft_block if block.target.is_floating_point() else labelled_block
            loss, slopes = evaluate(block.predicted, block.target, tables, block.scratch)
            value += (loss * block.weight).sum(dtype=torch.float64)
            if gradient is not None:
                block.store(slopes.mul_(block.weight * factor), gradient)
        if gradient is not None:
            ctx.save_for_backward(gradient, scale if late else torch.ones_like(scale))
            ctx.shape = logits.shape
        return (value * scale).to(weights.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient, scale = ctx.saved_tensors
        gradient = scaled_gradient(gradient, output_gradient * scale)
        return gradient.view(ctx.shape), None, None, None, None
