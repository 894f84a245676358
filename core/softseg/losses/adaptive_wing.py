"""Adaptive wing loss: the regression loss of SoftSeg."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.checked import Checked, leaf_channels
from softseg.losses.convention import Classes
from softseg.losses.loss import Loss
from softseg.tree import LabelTree


class AdaptiveWingLoss(Loss):
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
    tree: the label tree, where labels may name inner nodes; None: they name leaves alone.

    Notes
    -----
    ``loss(activations, target, mask=None)`` on activations in 0..1 (``[B, C, *spatial]``, softmax or NormReLU), not on
    logits; arguments as for all losses (:mod:`softseg.losses.convention`): one channel is the foreground, where a
    target of 0 means background. A voxel labelled with an inner node has no value for the leaves: it is left out.

    Raises
    ------
    InputError: a parameter outside its range.

    Examples
    --------
    >>> import torch
    >>> from softseg.losses import AdaptiveWingLoss
    >>> soft_label = torch.tensor([[[0.0, 0.3, 1.0]]])
    >>> AdaptiveWingLoss()(soft_label, soft_label).item()
    0.0
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
        tree: LabelTree | None = None,
    ) -> None:
        super().__init__(Classes.of(tree))
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

    @property
    def argument(self) -> str:
        """What messages call the first argument."""
        return "activations"

    def forward(self, activations: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        return self.of(self.check(activations, target, mask))

    def own(self, given: Checked) -> Checked:
        """Return the arguments without voxels that are labelled with an inner node."""
        return given.leaves_only()

    def value(self, given: Checked) -> Tensor:
        """Return the loss of at least one voxel."""
        with torch.autocast(given.predicted.device.type, enabled=False):
            channels = leaf_channels(given.predicted.shape[1], self.background)
            wanted, predicted = (
                values if len(channels) == values.shape[1] else values[:, channels]
                for values in (given.leaf_target(), given.predicted.to(given.dtype))
            )
            weights = given.weights
            if weights is not None:
                predicted = torch.where(weights > 0, predicted, wanted)
            total = (given.total_weight() * len(channels)).to(given.dtype)
            if self.weight_map is not None:
                known = wanted if weights is None else wanted * (weights > 0)
                near = 1 + self.weight_map * _near_foreground(known)
                weights = near if weights is None else weights * near
            losses = self.pointwise(predicted, wanted)
            loss = (losses if weights is None else losses * weights).sum()
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
    pool = {3: F.max_pool1d, 4: F.max_pool2d, 5: F.max_pool3d}[wanted.ndim]
    return (pool(wanted, 3, stride=1, padding=1) >= 0.2).to(wanted.dtype)
