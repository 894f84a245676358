"""The base of all losses: arguments are checked, then the loss is computed."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from softseg.losses.checked import Checked
from softseg.losses.convention import Classes, check
from softseg.losses.fused import Evaluated, fused


class Loss(nn.Module):
    """A loss that keeps the convention (:mod:`softseg.losses.convention`).

    Parameters
    ----------
    classes: what it knows about classes.
    """

    on: Literal["logits", "probabilities"] = "logits"
    uses_inner_nodes: bool = False
    """Whether it can learn from a voxel that is labelled with an inner node."""

    def __init__(self, classes: Classes) -> None:
        super().__init__()
        self.classes = classes

    @property
    def argument(self) -> str:
        """What messages call the first argument."""
        return self.on

    def check(self, predicted: Tensor, target: Tensor, mask: Tensor | None) -> Checked:
        """Check the arguments (:func:`softseg.losses.convention.check`)."""
        return check(predicted, target, mask, self.classes, self.argument)

    def of(self, given: Checked) -> Tensor:
        """Return the loss of arguments that were checked, a scalar; 0 where there is no voxel.

        Raises
        ------
        InputError: what the convention allows but this loss cannot learn from.
        """
        return given.nothing() if given.empty else self.value(self.own(given))

    def own(self, given: Checked) -> Checked:
        """Return the arguments without the voxels that this loss cannot learn from."""
        return given

    def value(self, given: Checked) -> Tensor:
        """Return the loss of at least one voxel."""
        raise NotImplementedError


class FusedLoss(Loss):
    """A loss that forms its gradient together with its value."""

    def value(self, given: Checked) -> Tensor:
        """Return the loss of at least one voxel."""
        return fused(self.evaluate, given)

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and, if asked for, gradient."""
        raise NotImplementedError
