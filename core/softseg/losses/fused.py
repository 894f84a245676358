"""A loss whose gradient is formed together with its value, as one function for automatic differentiation."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class Evaluated(NamedTuple):
    """Value and gradient of a loss.

    Attributes
    ----------
    value: a scalar.
    gradient: by the prediction, ``[B, C, V]``, still to be multiplied by ``scale``; None where none was asked for.
    scale: a scalar; not 1 where the gradient's type cannot hold the scaled numbers.
    """

    value: Tensor
    gradient: Tensor | None
    scale: Tensor


class Evaluate(Protocol):
    """How a loss is evaluated: what :func:`fused` calls."""

    def __call__(self, predicted: Tensor, target: Tensor, weights: Tensor | None, *, with_gradient: bool) -> Evaluated:
        """Return value and, if asked for, gradient."""
        ...


def fused(evaluate: Evaluate, predicted: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Return the value of a loss, differentiable once by ``predicted``; computed in the type of the prediction.

    Parameters
    ----------
    evaluate: computes value and gradient.
    predicted, target: ``[B, C, *spatial]``, and ``[B, C or 1, *spatial]``.
    weights: ``[B, 1, *spatial]`` or None.
    """
    with_gradient = torch.is_grad_enabled() and predicted.requires_grad
    weights = None if weights is None else weights.detach()
    with torch.autocast(predicted.device.type, enabled=False):
        value: Tensor = _Fused.apply(predicted, target.detach(), weights, evaluate, with_gradient)  # type: ignore[no-untyped-call]
    return value


class _Fused(torch.autograd.Function):
    """The gradient is handed over, not kept: scaling it in place needs no second one.

    Where a kept graph is differentiated again, it is formed again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        predicted: Tensor,
        target: Tensor,
        weights: Tensor | None,
        evaluate: Evaluate,
        with_gradient: bool,
    ) -> Tensor:
        result = evaluate(predicted, target, weights, with_gradient=with_gradient)
        if with_gradient:
            ctx.save_for_backward(predicted, target, weights)
            ctx.evaluate = evaluate
            ctx.formed = result
        return result.value

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        predicted, target, weights = ctx.saved_tensors
        formed: Evaluated | None = ctx.formed
        ctx.formed = None
        if formed is None:
            with torch.autocast(predicted.device.type, enabled=False):
                formed = ctx.evaluate(predicted, target, weights, with_gradient=True)
        gradient = formed.gradient
        assert gradient is not None  # noqa: S101 - asked for above
        factor = output_gradient * formed.scale
        if factor.device.type != "cpu" or factor != 1:
            gradient.mul_(factor)
        return gradient.view(predicted.shape), None, None, None, None
