"""Softmax of a block of voxels, with what the losses need beside it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.losses.blocks import Scratch


@dataclass(frozen=True)
class Softmax:
    """Probabilities of the leaves and their logarithms ``scores - log_sum``, exact also where a probability is 0.

    Attributes
    ----------
    shares: ``[C, n]``, contiguous.
    scores: ``[C, n]``, logits minus the largest of the voxel.
    log_sum: ``[n]``, logarithm of the sum of ``exp(scores)``.
    """

    shares: Tensor
    scores: Tensor
    log_sum: Tensor

    @classmethod
    def of(cls, logits: Tensor, scratch: Scratch, shares: Tensor | None = None) -> Softmax:
        """Compute them for ``logits`` ``[C, n]``; the results lie in ``scratch``, the shares in ``shares`` if given.

        Step by step, because over the first axis this takes two thirds of the time of ``torch.softmax``.
        """
        scores = torch.sub(logits, logits.amax(0), out=scratch.array("scores", *logits.shape))
        shares = torch.exp(scores, out=scratch.array("shares", *logits.shape) if shares is None else shares)
        total = shares.sum(0)
        return cls(shares.mul_(total.reciprocal()), scores, total.log_())
