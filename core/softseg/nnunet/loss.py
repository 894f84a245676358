"""Our losses as nnU-Net calls them: its channels and label values in, one number out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from softseg.losses import build_loss
from softseg.nnunet.training_labels import TrainingLabels


class LossOnChannels(nn.Module):
    """One of our losses (:mod:`softseg.losses`) on the channels of a network of nnU-Net.

    ``loss(logits, target)`` with logits ``[B, channels, *spatial]`` in the order of label values, and label values
    ``[B, 1, *spatial]``, as nnU-Net hands them out (whole numbers, also in floating point). Ignored voxels take no
    part; a voxel of a coarse label is learnt as the inner node that it is.

    Parameters
    ----------
    labels: what channels and values mean.
    parts: the loss as in a recipe (:func:`softseg.losses.build_loss`).
    """

    def __init__(self, labels: TrainingLabels, parts: Sequence[Mapping[str, Any]]) -> None:
        super().__init__()
        self.loss = build_loss(parts, labels.tree)
        self.ordered = labels.ordered
        self.register_buffer("channels", torch.tensor(labels.channels), persistent=False)
        self.register_buffer("classes", torch.tensor(labels.classes), persistent=False)
        self.channels: Tensor
        self.classes: Tensor

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar; see the class."""
        if self.channels.device != logits.device:
            self.to(logits.device)
        classes = self.classes[target.long().clamp(0, len(self.classes) - 1)]
        value: Tensor = self.loss(logits if self.ordered else logits[:, self.channels], classes)
        return value
