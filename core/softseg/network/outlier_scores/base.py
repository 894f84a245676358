"""What every outlier score is: a number per voxel from a network's output for a window, larger where less familiar.

Any out-of-distribution score made for classification can be used on voxels (Wang et al., OOD-SEG, Medical Image
Analysis 2026, arXiv 2411.09553).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from softseg.network.heads import Head

Needs = Literal["logits", "features", "gradient"]
"""What a score is made from: raw outputs, what enters the last layer, or outputs of an image changed by a gradient."""


@dataclass(frozen=True, eq=False)
class Voxels:
    """A network's output for some voxels.

    Attributes
    ----------
    raw: raw outputs, float32 ``(..., out_channels)``.
    head: what they mean.
    known: probabilities of the leaves ``(..., C)`` where they are computed already.
    features: what entered the network's last layer, float32 ``(..., D)``; only for scores that need it.
    """

    raw: Tensor
    head: Head
    known: Tensor | None = None
    features: Tensor | None = None

    @cached_property
    def logits(self) -> Tensor:
        """Logits of the leaves, ``(..., C)``."""
        return self.head.logits(self.raw, -1)

    @cached_property
    def probabilities(self) -> Tensor:
        """Probabilities of the leaves, ``(..., C)``, summing to 1; all 0 where no leaf of a NormReLU head is active."""
        if self.known is not None:
            return self.known
        if self.head.name != "normrelu":
            return torch.softmax(self.logits, -1)
        positive = torch.relu(self.raw)
        total = positive.sum(-1, keepdim=True)
        return torch.div(positive, torch.where(total > 0, total, torch.ones_like(total)))

    @cached_property
    def log_total(self) -> Tensor:
        """Log-sum-exp of the logits, ``(...)``: the largest logit less its log probability."""
        return self.logits.amax(-1) - self.probabilities.amax(-1).log()  # sooner there than torch.logsumexp


class OutlierScore(ABC):
    """One score to detect voxels of no trained class.

    Attributes
    ----------
    name: in options, files and reports.
    title: for people.
    needs: what it is made from.
    heads: names of the heads that it makes sense for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    needs: ClassVar[Needs] = "logits"
    heads: ClassVar[tuple[str, ...]] = ("softmax", "godin")

    @abstractmethod
    def of(self, voxels: Voxels) -> Tensor:
        """Return the score of voxels: float32 ``(...)``, larger where stranger."""

    def options(self) -> dict[str, Any]:
        """Return what it was made with, as plain values."""
        return {}

    def bounds(self, classes: int) -> tuple[float, float] | None:
        """Return the smallest and the largest value that the score can have for so many leaves, if there are any."""
        del classes
        return None

    def perturbed(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Return the images ``[B, channels, *spatial]`` whose outputs are evaluated; for ``needs == "gradient"``."""
        raise NotImplementedError(f"{self.name} changes no image; {type(network).__name__} sees {tuple(batch.shape)}")

    @classmethod
    @abstractmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> OutlierScore:
        """Return the score with options that a user gave, or that were stored, and with stored estimates.

        Raises
        ------
        ValueError: an option is unknown or out of range, or an estimate is missing or has another shape.
        """


def number(options: Mapping[str, Any], name: str, default: float, least: float, strictly: bool = False) -> float:
    """Return a numerical option.

    Raises
    ------
    ValueError: it is not a finite number, or less than ``least`` (or equal to it, if ``strictly``).
    """
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= float(value) < float("inf"):
        raise ValueError(f"{name}: expected a number of at least {least:g}, got {value!r}")
    if strictly and float(value) == least:
        raise ValueError(f"{name}: expected a number above {least:g}, got {value!r}")
    return float(value)


def only(options: Mapping[str, Any], *names: str) -> None:
    """Raise ValueError if there is an option of another name."""
    unknown = sorted(set(options) - set(names))
    if unknown:
        raise ValueError(f"unknown option {unknown[0]!r}; there are {', '.join(names) or 'none'}")
