"""Dice loss for crisp and soft targets."""

from __future__ import annotations

from typing import Literal

import torch
from monai.losses.dice import DiceLoss as MonaiDiceLoss
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.losses.targets import leaf_channels, leaf_shares, leaf_weights


class DiceLoss(nn.Module):
    """MONAI's Dice loss; for soft targets in its semimetric form, whose minimum is at the target (Wang et al. 2023).

    ``1 - (2 TP + s) / (|p| + |g| + s)`` per class, mean over classes, with ``TP = sum of p g`` for integer targets and
    ``TP = (|p| + |g| - |p - g|) / 2`` for soft ones.

    Parameters
    ----------
    on: what the first argument is: ``"logits"`` (softmax is applied here) or ``"probabilities"``.
    background: channel that is left out (the background leaf); None: all channels take part.
    batch: sum over the whole batch before dividing, instead of per item.
    smooth: the ``s`` above.

    Notes
    -----
    ``loss(logits, target, mask=None)``, targets as for all losses. Dice compares leaves: voxels labelled with an inner
    node are left out like unlabelled ones (0 in prediction and target). A mask of weights multiplies both. Nothing
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
        self.crisp = MonaiDiceLoss(batch=batch, smooth_nr=smooth, smooth_dr=smooth)
        self.soft = MonaiDiceLoss(batch=batch, smooth_nr=smooth, smooth_dr=smooth, soft_label=True)

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        with torch.autocast(logits.device.type, enabled=False):
            weights = leaf_weights(logits, target, mask)
            classes = logits.shape[1]
            channels = leaf_channels(classes, self.background)
            values = logits.to(weights.dtype)
            values = torch.where(weights > 0, values, 0)
            probabilities = torch.softmax(values, 1) if self.on == "logits" else values
            predicted = probabilities[:, channels] * weights
            wanted = leaf_shares(target, classes)[:, channels].to(weights.dtype) * weights
            loss: Tensor = (self.soft if target.is_floating_point() else self.crisp)(predicted, wanted)
            return loss
