"""Losses by recipe: a list of names, weights and options becomes one module."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.losses.adaptive_wing import AdaptiveWingLoss
from softseg.losses.calibration_error import CalibrationErrorLoss
from softseg.losses.checked import Checked
from softseg.losses.coarse import value_with_coarse
from softseg.losses.convention import Classes
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.losses.dice import DiceLoss
from softseg.losses.fused import Evaluated, fused
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.losses.loss import FusedLoss, Loss
from softseg.losses.tree_cross_entropy import TreeCrossEntropyLoss
from softseg.losses.tree_dice import TreeDiceLoss
from softseg.losses.tree_loss import TreeLoss
from softseg.losses.tree_wasserstein import TreeWassersteinLoss
from softseg.losses.wasserstein_cross_entropy import WassersteinCrossEntropyLoss
from softseg.tree import LabelTree

LOSSES: dict[str, Callable[..., Loss]] = {
    "cross-entropy": CrossEntropyLoss,
    "dice": DiceLoss,
    "wasserstein-cross-entropy": WassersteinCrossEntropyLoss,
    "tree-wasserstein": TreeWassersteinLoss,
    "tree-cross-entropy": TreeCrossEntropyLoss,
    "tree-dice": TreeDiceLoss,
    "adaptive-wing": AdaptiveWingLoss,
    "calibration-error": CalibrationErrorLoss,
    "generalized-wasserstein-dice": GeneralizedWassersteinDiceLoss,
}
"""Losses by the names that recipes use."""


class CompoundLoss(Loss):
    """A weighted sum of losses; those over the tree's nodes are evaluated together in one pass.

    Parameters
    ----------
    losses: the losses, all on logits or all on probabilities, over one tree.
    weights: their weights, in the same order.

    Raises
    ------
    InputError: some losses read logits and others probabilities, or they belong to different trees.
    """

    def __init__(self, losses: Sequence[Loss], weights: Sequence[float]) -> None:
        known = {loss.classes for loss in losses} - {Classes()}
        if len(known) > 1:
            raise InputError("the losses belong to different trees", field="loss", hint="make them with one tree")
        super().__init__(known.pop() if known else Classes())
        kinds = {loss.on for loss in losses}
        if len(kinds) != 1:
            raise InputError(
                "some losses read logits, others probabilities",
                field="loss",
                hint="adaptive-wing reads probabilities: give dice the option 'on: probabilities' beside it",
            )
        self.on: Literal["logits", "probabilities"] = kinds.pop()
        parts: list[Loss] = []
        self.weights: list[float] = []
        terms = None
        for loss, weight in zip(losses, weights, strict=True):
            if isinstance(loss, TreeLoss):
                scaled = loss.terms.scaled(weight)
                terms = scaled if terms is None else terms.plus(scaled)
            else:
                parts.append(loss)
                self.weights.append(weight)
        if terms is not None:
            parts.insert(0, TreeLoss(terms))
            self.weights.insert(0, 1.0)
        self._parts = nn.ModuleList(parts)

    @property
    def parts(self) -> list[Loss]:
        """The losses that are evaluated, one for all over the tree's nodes; in the order of ``weights``."""
        return list(self._parts)  # type: ignore[arg-type]

    def forward(
        self, predicted: Tensor, target: Tensor, mask: Tensor | None = None, coarse: Tensor | None = None
    ) -> Tensor:
        """Return the weighted sum, a scalar; ``predicted`` as the attribute ``on`` requires.

        ``coarse`` names, beside a soft target, the voxels of which only a group is known
        (:func:`softseg.losses.coarse.value_with_coarse`).
        """
        given = self.check(predicted, target, mask)
        if coarse is None:
            return self.of(given)
        groups = self.check(predicted, coarse, None)
        values = [value_with_coarse(part, given, groups) for part in self.parts]
        return _weighted(values, self.weights)

    def value(self, given: Checked) -> Tensor:
        """Return the weighted sum of at least one voxel."""
        parts = [part for part in self.parts if isinstance(part, FusedLoss)]
        if len(parts) == len(self.parts) and given.predicted.dtype != torch.float16:
            return fused(partial(_evaluate_sum, parts, self.weights), given)
        return _weighted([part.of(given) for part in self.parts], self.weights)


def _weighted(values: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    first, *others = (value * weight for value, weight in zip(values, weights, strict=True))
    total: Tensor = sum(others, start=first)
    return total


def _evaluate_sum(
    parts: Sequence[FusedLoss], factors: Sequence[float], given: Checked, *, with_gradient: bool
) -> Evaluated:
    """Evaluate a weighted sum. At most two gradients are held, not one a part and the sum."""
    value, gradient, one = None, None, given.predicted.new_ones(())
    for part, factor in zip(parts, factors, strict=True):
        own = part.evaluate(part.own(given), with_gradient=with_gradient)
        value = own.value * factor if value is None else value + own.value * factor
        if own.gradient is not None:
            scaled = own.gradient if factor == 1 else own.gradient.mul_(factor)
            gradient = scaled if gradient is None else gradient.add_(scaled)
    assert value is not None  # noqa: S101 - there is at least one part
    return Evaluated(value, gradient, one)


def build_loss(specs: Sequence[Mapping[str, Any]], tree: LabelTree) -> CompoundLoss:
    """Make the loss that a recipe describes.

    Parameters
    ----------
    specs: one mapping per loss: ``name`` (a key of ``LOSSES``), ``weight`` (default 1) and the options of that loss.
        For ``dice`` and ``adaptive-wing`` the background leaf is left out unless ``background: null`` is given.
    tree: the label tree; its leaves are the classes.

    Returns
    -------
    One module with ``loss(predicted, target, mask=None)`` and the attribute ``on``: ``"logits"`` or
    ``"probabilities"``.

    Raises
    ------
    InputError: no loss at all, an unknown name or option, a weight that is not above 0, a Wasserstein distance alone.

    Examples
    --------
    >>> import torch
    >>> from softseg.losses import build_loss
    >>> from softseg.resources import label_tree_path
    >>> from softseg.tree import LabelTree
    >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
    >>> loss = build_loss([{"name": "wasserstein-cross-entropy"}, {"name": "dice", "weight": 0.5}], tree)
    >>> loss.on
    'logits'
    """
    if not specs:
        raise InputError("no loss is given", field="loss", hint=f"choose from {', '.join(LOSSES)}")
    losses, weights = [], []
    for position, spec in enumerate(specs):
        field = f"loss[{position}]"
        options = dict(spec)
        name = options.pop("name", None)
        if name not in LOSSES:
            raise InputError(f"{name!r} is not a loss", field=field, hint=f"choose from {', '.join(LOSSES)}")
        weights.append(_weight(options.pop("weight", 1.0), f"{field}.weight"))
        losses.append(_build(name, options, tree, field))
    if {spec["name"] for spec in specs} == {"calibration-error"}:
        raise InputError(
            "calibration-error cannot be used alone: it does not locate structures",
            field="loss",
            hint="add cross-entropy, dice or another loss beside it",
        )
    if {spec["name"] for spec in specs} == {"tree-wasserstein"}:
        raise InputError(
            "tree-wasserstein stands alone: its gradient vanishes wherever the network is certain, also where it is"
            " certainly wrong",
            field="loss",
            hint="add cross-entropy or tree-cross-entropy beside it",
        )
    return CompoundLoss(losses, weights)


def _weight(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (value > 0 and math.isfinite(value)):
        raise InputError(f"weight is {value!r}, expected a number above 0", field=field)
    return float(value)


def _build(name: str, options: dict[str, Any], tree: LabelTree, field: str) -> Loss:
    """Make one loss; options are checked against its parameters."""
    make = LOSSES[name]
    known = set(inspect.signature(make).parameters)
    unknown = sorted(set(options) - (known - {"tree"}))
    if unknown:
        allowed = ", ".join(sorted(known - {"tree"})) or "none"
        raise InputError(f"{name} has no option {unknown[0]!r}", field=field, hint=f"its options are: {allowed}")
    if "background" in known and tree.background is not None:
        options.setdefault("background", tree.leaf_index(tree.background.id))
    if "tree" in known:
        options["tree"] = tree
    try:
        return make(**options)
    except InputError as error:
        raise InputError(error.message, field=".".join(filter(None, (field, error.field))), hint=error.hint) from error
    except TypeError as error:
        raise InputError(f"{name}: an option has the wrong type ({error})", field=field) from error
