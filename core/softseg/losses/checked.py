"""The arguments of a loss after they were checked: what every loss computes with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from softseg.errors import InputError


@dataclass(frozen=True)
class Checked:
    """Arguments that keep the convention (:mod:`softseg.losses.convention`), without gradients but for the prediction.

    Attributes
    ----------
    predicted: floating point ``[B, C, *spatial]``.
    target: floating point ``[B, C, *spatial]``, probabilities of the leaves (or of the foreground where C is 1); or
        integers ``[B, 1, *spatial]``, class indices.
    weights: ``[B, 1, *spatial]`` in the type that is computed in, not negative, 0 where a voxel takes no part; None: 1
        everywhere.
    sums: ``[B, 1, *spatial]``, sums of a soft target over its channels; None beside class indices.
    highest: the largest class index; -1 beside soft targets.
    """

    predicted: Tensor
    target: Tensor
    weights: Tensor | None = None
    sums: Tensor | None = None
    highest: int = -1

    @property
    def soft(self) -> bool:
        """Whether the target holds probabilities."""
        return self.target.is_floating_point()

    @property
    def dtype(self) -> torch.dtype:
        """The type that is computed in: float32, or float64 for a prediction in float64."""
        return compute_type(self.predicted)

    @property
    def empty(self) -> bool:
        """Whether there is no voxel at all."""
        return self.predicted.numel() == 0

    def nothing(self) -> Tensor:
        """Return a differentiable 0."""
        return self.predicted.sum(dtype=self.dtype) * 0

    def total_weight(self) -> Tensor:
        """Return the sum of the weights of all voxels, a scalar in float64."""
        if self.weights is not None:
            return self.weights.sum(dtype=torch.float64)
        voxels = self.predicted.numel() // self.predicted.shape[1]
        return torch.tensor(float(voxels), dtype=torch.float64, device=self.predicted.device)

    def inner_labels(self) -> Tensor | None:
        """Return where a voxel that takes part is labelled with an inner node, bool ``[B, 1, *spatial]``; or None."""
        if self.highest < self.predicted.shape[1]:
            return None
        inner = self.target >= self.predicted.shape[1]
        return inner if self.weights is None else inner & (self.weights != 0)

    def leaves_only(self) -> Checked:
        """Return the same with weight 0 where the label is an inner node, which has no probabilities of leaves."""
        inner = self.inner_labels()
        if inner is None:
            return self
        leaves = (~inner).to(self.dtype)
        return replace(self, weights=leaves if self.weights is None else self.weights * leaves)

    def leaf_target(self) -> Tensor:
        """Return the target as ``[B, C, *spatial]`` in the type that is computed in; 0 for labels that are no leaf."""
        if self.soft:
            return self.target.to(self.dtype)
        leaves = torch.arange(self.predicted.shape[1], device=self.target.device)
        return (self.target == leaves.view(1, -1, *[1] * (self.target.ndim - 2))).to(self.dtype)


def compute_type(predicted: Tensor) -> torch.dtype:
    """Return float64 for float64 and float32 for everything else."""
    return torch.float64 if predicted.dtype == torch.float64 else torch.float32


def leaf_channels(classes: int, background: int | None) -> list[int]:
    """Return the channels without the background.

    Raises
    ------
    InputError: the background is not a channel, or the only one.
    """
    channels = [channel for channel in range(classes) if channel != background]
    if background is not None and len(channels) not in range(1, classes):
        raise InputError(f"background is channel {background} of {classes}, nothing else is left", field="background")
    return channels
