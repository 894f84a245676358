"""The loss of a batch, and what goes wrong with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from softseg.errors import InputError, OutOfMemoryError
from softseg.system import MEMORY_ERRORS, is_out_of_memory

if TYPE_CHECKING:
    from softseg.network import Head, Scope


def loss_of(
    loss: nn.Module,
    head: Head,
    scope: Scope,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    coarse: Tensor | None = None,
) -> Tensor:
    """Return the scalar loss of raw outputs ``[B, out_channels, *spatial]``; targets are those of a batch.

    A loss with ``on == "probabilities"`` gets the head's probabilities of the leaves, with that scope.
    """
    predicted = head.logits(logits.float()) if loss.on == "logits" else head.probabilities(logits, scope)
    if coarse is None:
        return loss(predicted, target, mask)  # type: ignore[no-any-return]
    return loss(predicted, target, mask, coarse)  # type: ignore[no-any-return]


def require_finite(loss: float, step: int) -> None:
    """Raise :class:`InputError` if the loss is not a number any more."""
    if loss != loss or loss in (float("inf"), float("-inf")):
        raise InputError(
            f"the loss is {loss} at step {step}: the training has diverged",
            field="loss",
            hint="resume from an earlier checkpoint with a smaller learning rate "
            "(--set optimizer.learning_rate=...), or use --set plan.precision=float32",
        )


@contextlib.contextmanager
def plain_memory_errors(device: torch.device, batch_size: int, patch: tuple[int, ...]) -> Iterator[None]:
    """Turn the many ways in which memory runs out into :class:`OutOfMemoryError`."""
    try:
        yield
    except MEMORY_ERRORS as error:
        if isinstance(error, OutOfMemoryError) or not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"a step with {batch_size} patches of {' x '.join(map(str, patch))} voxels does not fit into the memory "
            f"of {device}",
            hint="try --set batch_size=1, a smaller --set plan.patch_size=[...] or a smaller network",
        ) from error
