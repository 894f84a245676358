"""Gradients of every loss are exact, for every kind of target."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from softseg.losses import AdaptiveWingLoss, build_loss
from softseg.tree import LabelTree

SPECS = {
    "cross-entropy": [{"name": "cross-entropy"}],
    "tree-wasserstein": [{"name": "tree-wasserstein"}, {"name": "cross-entropy", "weight": 1e-9}],
    "wasserstein-cross-entropy": [{"name": "wasserstein-cross-entropy", "alpha": 0.7, "beta": 2}],
    "tree-cross-entropy": [{"name": "tree-cross-entropy", "level_weights": [2, 0, 0.5]}],
    "tree-cross-entropy, nodes": [{"name": "tree-cross-entropy", "level_weights": [2, 0.3, 0.5], "form": "node"}],
    "dice": [{"name": "dice"}],
    "tree-dice": [{"name": "tree-dice", "level_weights": [2, 0.5, 1]}],
    "adaptive-wing": [{"name": "adaptive-wing"}],
    "calibration-error": [
        {"name": "calibration-error", "levels": "all", "bins": 5},
        {"name": "cross-entropy", "weight": 1e-9},
    ],
    "compound": [
        {"name": "wasserstein-cross-entropy", "weight": 0.5},
        {"name": "tree-cross-entropy", "form": "node", "weight": 2},
        {"name": "dice", "weight": 0.3},
    ],
}


@pytest.fixture(params=SPECS)
def loss(request: pytest.FixtureRequest, tree: LabelTree) -> nn.Module:
    return build_loss(SPECS[request.param], tree)


@pytest.mark.parametrize("kind", ["crisp", "mixed", "soft"])
@pytest.mark.parametrize("masked", [False, True])
def test_gradient_is_exact(
    loss: nn.Module, kind: str, masked: bool, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    values = logits.sigmoid() if loss.on == "probabilities" else logits
    mask = torch.tensor([1, 0, 1, 0.25, 1, 2] * 2, dtype=torch.float64).view(2, 1, 2, 3) if masked else None
    assert torch.autograd.gradcheck(lambda x: loss(x, targets[kind], mask), values.clone().requires_grad_())


@pytest.mark.parametrize("spread", [30.0, 1000.0])
@pytest.mark.parametrize("kind", ["crisp", "mixed", "soft"])
def test_gradient_is_exact_where_probabilities_underflow(
    spread: float, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS["compound"][:2], tree)
    values = (spread * logits).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets[kind]), values, atol=1e-4)


def test_gradient_scales_with_what_follows(tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    loss = build_loss(SPECS["compound"], tree)
    values = logits.requires_grad_()
    (once,) = torch.autograd.grad(loss(values, targets["crisp"]), values)
    value = 3 * loss(values, targets["crisp"])
    for _ in range(2):  # a kept graph gives the same again
        (thrice,) = torch.autograd.grad(value, values, retain_graph=True)
        torch.testing.assert_close(thrice, 3 * once)


def test_a_kept_graph_adds_the_same_gradient_every_time(
    tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    """The gradient that was handed over becomes ``logits.grad``: what is added to it must not be itself."""
    loss = build_loss(SPECS["compound"], tree)
    values = logits.requires_grad_()
    value = loss(values, targets["soft"])
    value.backward(retain_graph=True)
    once = values.grad.clone()
    for _ in range(2):
        value.backward(retain_graph=True)
    torch.testing.assert_close(values.grad, 3 * once)


def test_adaptive_wing_is_smooth_at_theta() -> None:
    """Value and slope agree on both sides of ``d = theta``."""
    loss = AdaptiveWingLoss(reduction="sum")
    for wanted in (0.0, 0.3, 1.0):
        y = torch.full((1, 1, 1, 1), wanted, dtype=torch.float64)
        values, slopes = zip(*(_value_and_slope(loss, y, 0.5 + step) for step in (-1e-9, 1e-9)), strict=True)
        assert values[0] == pytest.approx(values[1], abs=1e-6)
        assert slopes[0] == pytest.approx(slopes[1], abs=1e-6)


def _value_and_slope(loss: Callable[..., Tensor], wanted: Tensor, distance: float) -> tuple[float, float]:
    activation = (wanted + distance).requires_grad_()
    value = loss(activation, wanted + 1e-300)
    (slope,) = torch.autograd.grad(value, activation)
    return float(value.detach()), float(slope)
