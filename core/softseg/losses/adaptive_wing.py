"""Adaptive wing loss: the regression loss of SoftSeg."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.losses.targets import leaf_channels, leaf_shares, leaf_weights


class AdaptiveWingLoss(nn.Module):
    """Adaptive wing loss (Wang, Bo, Fuxin, ICCV 2019) as in SoftSeg (Gros et al., Medical Image Analysis 2021).

    With target ``y``, activation ``a``, ``d = |y - a|`` and ``k = alpha - y``: ``omega ln(1 + (d / epsilon)^k)`` where
    ``d < theta``, and ``A d - C`` above, with ``A`` and ``C`` such that value and slope are continuous at ``theta``.

    Parameters
    ----------
    omega, theta, alpha, epsilon: shape of the loss; ``alpha`` is at least 2, so that the gradient is finite at
        ``d = 0``. The defaults are those of ivadomed; for multiple-sclerosis lesions its authors recommend ``omega=8``.
    reduction: ``"mean"`` over labelled voxels and channels (our default), or ``"sum"`` (as in ivadomed).
    weight_map: None (default): every voxel counts the same. A number ``w``: voxels near foreground (where the target,
        dilated by one voxel, is at least 0.2) count ``1 + w`` times, as the loss' paper proposes with ``w = 10``.
    background: channel that is left out (the background leaf); None: all channels take part.

    Notes
    -----
    ``loss(activations, target, mask=None)`` on activations in 0..1 (``[B, C, *spatial]``, softmax or NormReLU), not on
    logits; targets as for all losses. A voxel labelled with an inner node has no value for the leaves: it is left out.

    Raises
    ------
    InputError: a parameter outside its range.
    """

    on: Literal["logits", "probabilities"] = "probabilities"

    def __init__(
        self,
        omega: float = 14.0,
        theta: float = 0.5,
        alpha: float = 2.1,
        epsilon: float = 1.0,
        reduction: Literal["mean", "sum"] = "mean",
        *,
        weight_map: float | None = None,
        background: int | None = None,
    ) -> None:
        super().__init__()
        for field, value in (("omega", omega), ("theta", theta), ("epsilon", epsilon)):
            if not (value > 0 and math.isfinite(value)):
                raise InputError(f"{value:g} is not above 0", field=field)
        if not (alpha >= 2 and math.isfinite(alpha)):
            raise InputError(f"{alpha:g} is below 2, where the gradient is infinite at a perfect voxel", field="alpha")
        if weight_map is not None and not (weight_map >= 0 and math.isfinite(weight_map)):
            raise InputError(f"{weight_map:g} is not 0 or more", field="weight_map")
        if reduction not in ("mean", "sum"):
            raise InputError(f"{reduction!r} is not known, expected 'mean' or 'sum'", field="reduction")
        self.omega, self.theta, self.alpha, self.epsilon = omega, theta, alpha, epsilon
        self.reduction = reduction
        self.weight_map = weight_map
        self.background = background

    def forward(self, activations: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        with torch.autocast(activations.device.type, enabled=False):
            weights = leaf_weights(activations, target, mask)
            channels = leaf_channels(activations.shape[1], self.background)
            wanted = leaf_shares(target, activations.shape[1])[:, channels].to(weights.dtype)
            predicted = activations[:, channels].to(weights.dtype)
            predicted = torch.where(weights > 0, predicted, wanted)
            total = weights.sum() * len(channels)
            if self.weight_map is not None:
                weights = weights * (1 + self.weight_map * _near_foreground(wanted))
            loss = (self.pointwise(predicted, wanted) * weights).sum()
            return loss if self.reduction == "sum" else loss / total.clamp(min=torch.finfo(total.dtype).tiny)

    def pointwise(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        """Return the loss of every element; both arguments of one shape, values in 0..1."""
        distance = (wanted - predicted).abs()
        power = self.alpha - wanted
        edge = self.theta / self.epsilon
        slope = self.omega / (1 + edge**power) * power * edge ** (power - 1) / self.epsilon
        shift = self.theta * slope - self.omega * torch.log1p(edge**power)
        curved = self.omega * torch.log1p((distance / self.epsilon) ** power)
        return torch.where(distance < self.theta, curved, slope * distance - shift)


def _near_foreground(wanted: Tensor) -> Tensor:
    """Return 1 where a voxel or a neighbour of it has a target of 0.2 or more, else 0, per channel."""
    if wanted.ndim == 5:
        return (F.max_pool3d(wanted, 3, stride=1, padding=1) >= 0.2).to(wanted.dtype)
    return (F.max_pool2d(wanted, 3, stride=1, padding=1) >= 0.2).to(wanted.dtype)
