"""Weights on their way between networks and files: what fits together, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from softseg.data.plan import Plan
from softseg.errors import InputError
from softseg.network.architectures import build_network, weight_count
from softseg.network.heads import Head
from softseg.network.weights import read_weights


def built_network(plan: Plan, head: Head, weights: Path, metadata: Path) -> nn.Module:
    """Return the network of a plan with the weights of a file, in evaluation mode, float32, on the CPU.

    Parameters
    ----------
    plan, head: what it is.
    weights: a file of plain weights.
    metadata: the file that holds the plan, for messages.

    Raises
    ------
    InputError: the weights are damaged or not those of this network; the file is named.
    """
    state = read_weights(weights)
    _require_sound_plan(plan, head, weights.stat().st_size, metadata)
    network = build_network(plan.network, plan.inputs, head.out_channels, plan.dimensions)
    load_state(network, state, weights)
    return network.eval()


def load_state(network: nn.Module, state: Any, file: Path) -> None:
    """Put weights into a network.

    Raises
    ------
    InputError: they are not the weights of this network; ``file`` and a weight are named.
    """
    if not isinstance(state, dict):
        raise InputError("holds no named weights", file=file)
    expected = network.state_dict()
    for name, value in expected.items():
        found = state.get(name)
        if not isinstance(found, Tensor):
            raise InputError(f"the weight {name!r} is missing", file=file, hint="weights and plan are of two models")
        if found.shape != value.shape:
            raise InputError(
                f"the weight {name!r} has the shape {tuple(found.shape)}, expected {tuple(value.shape)}",
                file=file,
                hint="weights and plan are of two models",
            )
    extra = sorted(map(str, set(state) - set(expected)))
    if extra:
        raise InputError(f"holds weights that the network lacks, e.g. {extra[0]!r}", file=file)
    network.load_state_dict(state)


def state_of(network: nn.Module, half: bool) -> dict[str, Tensor]:
    """Return copies of the weights; those that a network holds under several names stay one tensor, stored once."""
    copies: dict[tuple[int, tuple[int, ...]], Tensor] = {}
    state = {}
    for name, tensor in network.state_dict().items():
        value = tensor.detach().cpu()
        key = value.data_ptr(), tuple(value.shape)
        if value.numel() == 0 or key not in copies:
            copies[key] = value.half() if half and value.is_floating_point() else value.clone()
        state[name] = copies[key]
    return state


def _require_sound_plan(plan: Plan, head: Head, size: int, file: Path) -> None:
    """Hold the network that the plan declares against the size of the file of weights, before it is built."""
    try:
        weights = weight_count(plan.network, plan.inputs, head.out_channels, plan.dimensions)
    except InputError as error:
        raise InputError(error.message, file=file, field=f"softseg.plan.{error.field}", hint=error.hint) from error
    if weights > max(size, 1 << 22):  # stored in two bytes or more; small ones are compared weight by weight
        raise InputError(
            f"the network of its plan has {weights} weights, the file of weights {size} bytes",
            file=file,
            field="softseg.plan.network",
            hint="weights and plan are of two models",
        )
