"""The base of the losses over a label tree, and their evaluation in blocks of voxels."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softseg.errors import InputError
from softseg.losses.scratch import Scratch
from softseg.losses.targets import voxel_weights
from softseg.losses.tree_kernel import labelled_block, soft_block
from softseg.losses.tree_terms import TreeTables, TreeTerms

BLOCK_VOXELS = {"cpu": 4096, "cuda": 65536}
"""Voxels per block: few enough for a processor's cache, enough to keep a graphics card busy."""


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
        scores, shares = _flat(logits), _flat(target)
        voxel_weight = _flat(weights)[:, 0]
        total = voxel_weight.sum(dtype=torch.float64)
        scale = torch.where(total > 0, 1 / total, 0.0).to(weights.dtype)
        # float16 cannot hold gradients of a mean over a million voxels: it keeps them per voxel until the backward pass
        late = logits.dtype == torch.float16
        factor = torch.ones_like(scale) if late else scale
        gradient = torch.empty_like(scores) if with_gradient else None
        value = torch.zeros((), dtype=torch.float64, device=logits.device)
        size = BLOCK_VOXELS.get(logits.device.type, BLOCK_VOXELS["cuda"])
        scratch = Scratch(min(size, scores.shape[2]), weights.dtype, logits.device)
        for item in range(scores.shape[0]):
            for start in range(0, scores.shape[2], size):
                part = (item, slice(None), slice(start, start + size))
                weight = voxel_weight[item, start : start + size]
                loss, slopes = _block(scores[part], shares[part], weight, factor, tables, scratch)
                value += loss
                if gradient is not None:
                    _store(slopes, gradient[part])
        if gradient is not None:
            ctx.save_for_backward(gradient, scale if late else torch.ones_like(scale))
            ctx.shape = logits.shape
        return (value * scale).to(weights.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient, scale = ctx.saved_tensors
        factor = output_gradient * scale
        if factor.device.type != "cpu" or factor != 1:
            gradient = gradient * factor
        return gradient.view(ctx.shape), None, None, None, None


def _block(
    scores: Tensor, target: Tensor, weight: Tensor, scale: Tensor, tables: TreeTables, scratch: Scratch
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of the loss over ``scores`` ``[C, n]`` and ``scale`` times its gradient ``[C, n]``."""
    labelled = (weight != 0).nonzero().flatten()
    if len(labelled) < len(weight):
        gradient = torch.zeros(scores.shape, dtype=weight.dtype, device=scores.device)
        if not len(labelled):
            return weight.sum(dtype=torch.float64), gradient
        loss, part = _block(scores[:, labelled], target[:, labelled], weight[labelled], scale, tables, scratch)
        return loss, gradient.index_copy_(1, labelled, part)
    logits = _load(scores, scratch, "logits")
    if target.is_floating_point():
        loss, gradient = soft_block(logits, _load(target, scratch, "target"), tables, scratch)
    else:
        loss, gradient = labelled_block(logits, target[0].long(), tables, scratch)
    return (loss * weight).sum(dtype=torch.float64), gradient.mul_(weight * scale)


def _load(values: Tensor, scratch: Scratch, name: str) -> Tensor:
    """Return ``values`` ``[C, n]`` contiguous and in the type that is computed in."""
    if values.stride(0) == 1 and values.dtype != scratch.dtype:
        values = values.contiguous()
    return scratch.array(name, *values.shape).copy_(values)


def _store(values: Tensor, place: Tensor) -> None:
    """Copy ``values`` ``[C, n]`` to ``place`` of the same shape, whichever of its axes is contiguous."""
    values = values.to(place.dtype)
    if place.stride(0) == 1:
        place.t().copy_(values.t())
    else:
        place.copy_(values)


def _flat(values: Tensor) -> Tensor:
    """Return ``[B, C, *spatial]`` as ``[B, C, voxels]``, a view for contiguous and channels-last layouts."""
    try:
        return values.view(*values.shape[:2], -1)
    except RuntimeError:
        return values.contiguous().view(*values.shape[:2], -1)
