"""The memory of a training step, reported before it starts."""

from __future__ import annotations

import math

import torch
from torch import nn

from softseg.backends.memory import learning_memory
from softseg.data import Plan
from softseg.errors import OutOfMemoryError
from softseg.events import Events
from softseg.network import Head
from softseg.system import memory, resolve_precision
from softseg.training.ranks import Ranks
from softseg.training.recipe import Recipe

_LOSS_COPIES = 2  # of the logits, in float32: the loss's gradient and its work arrays
_OPTIMIZER_COPIES = {"adamw": 2, "sgd": 1}  # of the weights


def require_step_memory(
    network: nn.Module, head: Head, plan: Plan, recipe: Recipe, device: torch.device, ranks: Ranks, events: Events
) -> None:
    """Report the least memory of a step, and raise an error where that is more than is free.

    Counted are the tensors that must be there at once: activations kept for the backward pass, weights, gradients,
    state of the optimizer, mean of the weights, batch and loss. What libraries take beside is not, so a step that is
    let through may still not fit; one that is refused does not.

    Raises
    ------
    OutOfMemoryError: with what to lower.
    """
    items = math.ceil(plan.batch_size / ranks.size)
    needed = step_memory(network, head, plan, recipe, device, items)
    there = memory(device)
    at_once = ranks.local_size if device.type == "cpu" else 1
    events.estimate(
        f"a step will take {needed / 1e9:.2f} GB of memory or more; {there.free / 1e9:.1f} GB are free on {device}",
        memory=needed,
        free=there.free,
    )
    if needed * at_once <= there.free:
        return
    patch = " x ".join(map(str, plan.patch_size))
    several = f", {at_once} processes as much each" if at_once > 1 else ""
    raise OutOfMemoryError(
        f"a step with {items} patches of {patch} voxels takes {needed / 1e9:.2f} GB of memory or more{several}; "
        f"{there.free / 1e9:.2f} GB are free on {device}",
        field="plan",
        hint=f"use {'--set batch_size=1, or ' if items > 1 else ''}a smaller --set plan.patch_size=[...] or network "
        "(--set plan.network.options.filters=[...])",
    )


def step_memory(network: nn.Module, head: Head, plan: Plan, recipe: Recipe, device: torch.device, items: int) -> int:
    """Return the bytes that a step with ``items`` patches takes at least.

    Parameters
    ----------
    network: on any device.
    head, plan, recipe: of the training.
    device: that computes; it decides what ``precision: auto`` is.
    items: patches.
    """
    dtype = resolve_precision(plan.precision, device)
    patch = tuple(plan.patch_kji)
    passes = learning_memory(network, plan.inputs, patch, plan.dimensions, dtype, items)
    weights = sum(value.numel() * 4 for value in network.parameters())
    states = _OPTIMIZER_COPIES.get(recipe.optimizer.name, 0) + (recipe.average is not None)
    voxels = items * math.prod(patch)
    target = head.classes * 4 if recipe.targets == "soft" else 8
    return passes + weights * states + voxels * (plan.inputs * 4 + target + _LOSS_COPIES * head.out_channels * 4)
