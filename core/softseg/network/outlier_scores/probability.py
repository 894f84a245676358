"""Scores that are made from the outputs alone: they need no training, no estimates and next to no time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from softseg.network.heads import Head
from softseg.network.outlier_scores.base import OutlierScore, Voxels, number, only


class MaxSoftmax(OutlierScore):
    """1 - the largest probability of a leaf, 0 .. 1 - 1 / C (Hendrycks and Gimpel, ICLR 2017, arXiv 1610.02136).

    With a NormReLU head of several channels the probabilities are those of SoftSeg's normalised activation, for which
    the paper defines nothing (ours); where no leaf is active the score is 1.
    """

    name = "max-softmax"
    title = "1 - largest probability of a leaf"
    heads = ("softmax", "godin", "normrelu")

    def of(self, voxels: Voxels) -> Tensor:
        """See :class:`OutlierScore`."""
        return 1 - voxels.probabilities.amax(-1)

    def bounds(self, classes: int) -> tuple[float, float] | None:
        """See :class:`OutlierScore`."""
        del classes
        return 0.0, 1.0

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> MaxSoftmax:
        """See :class:`OutlierScore`; no options."""
        del tensors, head
        only(options)
        return cls()


class Entropy(OutlierScore):
    """The entropy of the probabilities of the leaves, in nats, 0 .. ln C: the plainest measure of uncertainty.

    With a NormReLU head of several channels, of its normalised probabilities (ours); ln C where no leaf is active.
    """

    name = "entropy"
    title = "entropy over the leaves (nats)"
    heads = ("softmax", "godin", "normrelu")

    def of(self, voxels: Voxels) -> Tensor:
        """See :class:`OutlierScore`."""
        probabilities = voxels.probabilities
        if voxels.head.name == "normrelu":
            found = torch.special.entr(probabilities).sum(-1)
            return torch.where(probabilities.any(-1), found, math.log(probabilities.shape[-1]))
        expected: Tensor = torch.einsum("...c,...c->...", probabilities, voxels.logits)  # a product that is never there
        return (voxels.log_total - expected).clamp_min_(0)

    def bounds(self, classes: int) -> tuple[float, float] | None:
        """See :class:`OutlierScore`."""
        return 0.0, math.log(classes)

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> Entropy:
        """See :class:`OutlierScore`; no options."""
        del tensors, head
        only(options)
        return cls()


class Energy(OutlierScore):
    """The free energy of the logits, ``-T ln sum exp(z / T)`` (Liu et al., NeurIPS 2020, arXiv 2010.03759).

    Parameters
    ----------
    temperature: ``T``, 1 by default as in the paper.
    """

    name = "energy"
    title = "energy of the logits"

    def __init__(self, temperature: float = 1.0) -> None:
        self.temperature = temperature

    def of(self, voxels: Voxels) -> Tensor:
        """See :class:`OutlierScore`."""
        if self.temperature == 1:
            return -voxels.log_total
        return -self.temperature * torch.logsumexp(voxels.logits / self.temperature, -1)

    def options(self) -> dict[str, Any]:
        """See :class:`OutlierScore`."""
        return {"temperature": self.temperature}

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> Energy:
        """See :class:`OutlierScore`; option ``temperature``."""
        del tensors, head
        only(options, "temperature")
        return cls(number(options, "temperature", 1.0, 0.0, strictly=True))
