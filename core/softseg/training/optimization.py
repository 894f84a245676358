"""Optimizer, learning-rate schedule and the running mean of the weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from softseg.training.recipe import OptimizerSpec


def make_optimizer(spec: OptimizerSpec, network: nn.Module) -> torch.optim.Optimizer:
    """Return the optimizer; biases and normalisation weights do not decay."""
    decay = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim > 1]
    plain = [weight for weight in network.parameters() if weight.requires_grad and weight.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decay, "weight_decay": spec.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    if spec.name == "sgd":
        return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=spec.momentum, nesterov=spec.momentum > 0)
    return torch.optim.AdamW(groups, lr=spec.learning_rate)


def learning_rate(spec: OptimizerSpec, passed: float) -> float:
    """Return the learning rate when the fraction ``passed`` (0..1) of the training has gone by."""
    if passed < spec.warmup:
        return spec.learning_rate * max(passed / spec.warmup, 1e-3)
    fraction = min(1.0, (passed - spec.warmup) / max(1e-9, 1 - spec.warmup))
    if spec.schedule == "constant":
        return spec.learning_rate
    if spec.schedule == "poly":
        return spec.learning_rate * float((1 - fraction) ** 0.9)
    return spec.learning_rate * 0.5 * (1 + math.cos(math.pi * fraction))


def average_of(network: nn.Module, decay: float) -> AveragedModel:
    """Return the exponential running mean of the weights and buffers of ``network``.

    The decay of update ``n`` is ``min(decay, (1 + n) / (10 + n))``, so that the mean forgets the random start quickly;
    both are our defaults.
    """
    return AveragedModel(network, multi_avg_fn=_ramped(decay), use_buffers=True)


def _ramped(decay: float) -> Callable[[Sequence[Tensor], Sequence[Tensor], Tensor | int], None]:
    @torch.no_grad()
    def update(averaged: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int) -> None:
        weight = 1 - min(decay, (1 + float(count)) / (10 + float(count)))
        for mean, value in zip(averaged, current, strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, weight)
            else:
                mean.copy_(value)

    return update
