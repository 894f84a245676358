"""A loss whose gradient is formed together with its value, as one function for automatic differentiation."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from softseg.losses.checked import Checked


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

    def __call__(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and, if asked for, gradient."""
        ...


def fused(evaluate: Evaluate, given: Checked) -> Tensor:
    """Return the value of a loss, differentiable once by the prediction; computed in the type of the prediction.

    Parameters
    ----------
    evaluate: computes value and gradient.
    given: the arguments, checked.
    """
    predicted = given.predicted
    with_gradient = torch.is_grad_enabled() and predicted.requires_grad
    with torch.autocast(predicted.device.type, enabled=False):
        value: Tensor = _Fused.apply(predicted, given, evaluate, with_gradient)  # type: ignore[no-untyped-call]
    return value


class _Fused(torch.autograd.Function):
    """The gradient is handed over, not kept: scaling it in place needs no second one.

    Where a kept graph is differentiated again, it is formed again.
    """

    @staticmethod
    def forward(
        ctx: Any,
        predicted: Tensor,
        given: Checked,
        evaluate: Evaluate,
        with_gradient: bool,
    ) -> Tensor:
        result = evaluate(given, with_gradient=with_gradient)
        if with_gradient:
            ctx.save_for_backward(predicted, given.target, given.weights, given.sums)
            ctx.highest = given.highest
            ctx.evaluate = evaluate
            ctx.formed = result
        return result.value

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, output_gradient: Tensor) -> tuple[Tensor | None, ...]:
        predicted, target, weights, sums = ctx.saved_tensors
        formed: Evaluated | None = ctx.formed
        ctx.formed = None
        if formed is None:
            with torch.autocast(predicted.device.type, enabled=False):
                given = Checked(predicted, target, weights, sums, ctx.highest)
                formed = ctx.evaluate(given, with_gradient=True)
        gradient = formed.gradient
        assert gradient is not None  # noqa: S101 - asked for above
        factor = output_gradient * formed.scale
        if factor.device.type != "cpu" or factor != 1:
            gradient.mul_(factor)
        return gradient.view(predicted.shape), None, None, None
