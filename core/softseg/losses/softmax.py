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
    probabilities: ``[C, n]``, contiguous.
    scores: ``[C, n]``, logits minus the largest of the voxel.
    log_sum: ``[n]``, logarithm of the sum of ``exp(scores)``.
    """

    probabilities: Tensor
    scores: Tensor
    log_sum: Tensor

    @classmethod
    def of(cls, logits: Tensor, scratch: Scratch, probabilities: Tensor | None = None) -> Softmax:
        """Compute them for ``logits`` ``[C, n]``, in ``scratch``; the probabilities in ``probabilities`` if given.

        Step by step, because over the first axis this takes two thirds of the time of ``torch.softmax``.
        """
        scores = torch.sub(logits, logits.amax(0), out=scratch.array("scores", *logits.shape))
        probabilities = torch.exp(
            scores, out=scratch.array("probabilities", *logits.shape) if probabilities is None else probabilities
        )
        total = probabilities.sum(0)
        return cls(probabilities.mul_(total.reciprocal()), scores, total.log_())
