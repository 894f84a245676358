"""Dice loss for crisp and soft targets."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlock, VoxelBlocks, scaled_gradient
from softseg.losses.targets import leaf_channels, leaf_weights


class DiceLoss(nn.Module):
    """MONAI's Dice loss; for soft targets its semimetric form, whose minimum is at the target (Wang et al. 2023).

    ``1 - (2 TP + s) / (|p| + |g| + s)`` per class, mean over classes, with ``TP = sum of p g`` for integer targets and
    ``TP = (|p| + |g| - |p - g|) / 2`` for soft ones. The values are those of ``monai.losses.DiceLoss`` (with
    ``soft_label=True`` for soft targets); it is evaluated in blocks of voxels, so that a hundred classes fit.

    Parameters
    ----------
    on: what the first argument is: ``"logits"`` (softmax is applied here) or ``"probabilities"``.
    background: channel that is left out (the background leaf); None: all channels take part.
    batch: sum over the whole batch before dividing, instead of per item.
    smooth: the ``s`` above.

    Notes
    -----
    ``loss(logits, target, mask=None)``, targets as for all losses. Dice compares leaves: voxels labelled with an inner
    node are left out like unlabelled ones. A mask of weights multiplies what a voxel adds to every sum. Nothing
    labelled: a differentiable 0.
    """

    def __init__(
        self,
        *,
        on: Literal["logits", "probabilities"] = "logits",
        background: int | None = None,
        batch: bool = False,
        smooth: float = 1e-5,
    ) -> None:
        super().__init__()
        if on not in ("logits", "probabilities"):
            raise InputError(f"{on!r} is not known, expected 'logits' or 'probabilities'", field="on")
        if not smooth > 0:
            raise InputError(f"{smooth:g} is not above 0", field="smooth")
        self.on: Literal["logits", "probabilities"] = on
        self.background = background
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        weights = leaf_weights(logits, target, mask).detach()
        with_gradient = torch.is_grad_enabled() and logits.requires_grad
        with torch.autocast(logits.device.type, enabled=False):
            value: Tensor = _Dice.apply(  # type: ignore[no-untyped-call]
                logits, target.detach(), weights, self, with_gradient
            )
        return value


class _Dice(torch.autograd.Function):
    """Two passes over the voxels: the sums of every class, then the gradient."""

    @staticmethod
    def forward(
        ctx: Any, predicted: Tensor, target: Tensor, weights: Tensor, dice: DiceLoss, with_gradient: bool
    ) -> Tensor:
        blocks = VoxelBlocks(predicted, target, weights)
        batch, classes = predicted.shape[:2]
        overlap = torch.zeros(batch, classes, dtype=torch.float64, device=predicted.device)
        volume = torch.zeros_like(overlap)
        for block in blocks:
            shares = _probabilities(block, dice.on)
            block_overlap, block_volume = _sums(block, shares)
            overlap[block.item] += block_overlap
            volume[block.item] += block_volume
        if dice.batch:
            overlap, volume = overlap.sum(0, keepdim=True), volume.sum(0, keepdim=True)
        part = torch.zeros(classes, dtype=torch.float64, device=predicted.device)
        part[leaf_channels(classes, dice.background)] = 1
        part /= part.sum() * len(overlap)
        ratio = (2 * overlap + dice.smooth) / (volume + dice.smooth)
        if with_gradient:
            # per voxel times the number of voxels: float16 cannot hold less
            size = float(weights[:, 0].numel())
            gain = (-2 * part / (volume + dice.smooth) * size).to(weights.dtype).expand(batch, -1)
            price = (part * ratio / (volume + dice.smooth) * size).to(weights.dtype).expand(batch, -1)
            late = predicted.dtype == torch.float16
            factor = torch.tensor(1 / size, dtype=weights.dtype, device=predicted.device)
            gradient = blocks.empty_output()
            for block in blocks:
                slopes = _slopes(block, dice.on, gain[block.item], price[block.item])
                block.store(slopes if late else slopes.mul_(factor), gradient)
            ctx.save_for_backward(gradient, factor if late else torch.ones_like(factor))
            ctx.shape = predicted.shape
        return (part * (1 - ratio)).sum().to(weights.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        gradient, scale = ctx.saved_tensors
        gradient = scaled_gradient(gradient, output_gradient * scale)
        return gradient.view(ctx.shape), None, None, None, None


def _probabilities(block: VoxelBlock, on: str) -> Tensor:
    """Return the leaves' probabilities ``[C, n]``."""
    if on == "probabilities":
        return block.predicted
    return torch.softmax(block.predicted, 0, out=block.scratch.array("probabilities", *block.predicted.shape))


def _sums(block: VoxelBlock, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return, per class in float64, the overlap of prediction and target and the sum of their volumes."""
    work = block.scratch.array("work", *shares.shape)
    volume = torch.mul(shares, block.weight, out=work).sum(1).double()
    if block.target.is_floating_point():
        volume += torch.mul(block.target, block.weight, out=work).sum(1)
        return torch.minimum(shares, block.target, out=work).mul_(block.weight).sum(1).double(), volume
    hit = shares.gather(0, block.target[None])[0] * block.weight
    overlap = torch.zeros_like(volume).index_add_(0, block.target, hit.double())
    return overlap, volume.index_add_(0, block.target, block.weight.double())


def _slopes(block: VoxelBlock, on: str, gain: Tensor, price: Tensor) -> Tensor:
    """Return the gradient ``[C, n]``, from the derivatives by overlap (``gain``) and by volume (``price``), ``[C]``."""
    shares = _probabilities(block, on)
    slopes = block.scratch.array("slopes", *shares.shape)
    if block.target.is_floating_point():
        # overlap is the minimum of both; where they are equal, half of its slope
        torch.sub(block.target, shares, out=slopes).sign_().add_(1).mul_(gain[:, None] / 2).add_(price[:, None])
    else:
        slopes.copy_(price[:, None].expand_as(slopes))
        slopes.scatter_add_(0, block.target[None], gain[block.target][None])
    if on == "logits":
        slopes.mul_(shares)
        slopes.addcmul_(shares, slopes.sum(0), value=-1)
    return slopes.mul_(block.weight)
