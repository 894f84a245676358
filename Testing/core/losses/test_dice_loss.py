"""Dice is MONAI's, and its minimum on soft targets is at the target."""

from __future__ import annotations

import pytest
import torch
from monai.losses.dice import DiceLoss as MonaiDiceLoss
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.dice import DiceLoss
from softseg.tree import LabelTree


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("kind", ["crisp", "soft"])
@pytest.mark.parametrize("on", ["logits", "probabilities"])
def test_equals_monai(on: str, kind: str, batch: bool, logits: Tensor, targets: dict[str, Tensor]) -> None:
    ours = DiceLoss(on=on, batch=batch)  # type: ignore[arg-type]
    soft = kind == "soft"
    theirs = MonaiDiceLoss(
        softmax=on == "logits", to_onehot_y=not soft, soft_label=soft, batch=batch, smooth_nr=1e-5, smooth_dr=1e-5
    )
    values = (logits if on == "logits" else logits.softmax(1)).requires_grad_()
    target = targets[kind].clone()
    if soft:
        target[0, :, 0, 1] = 0.2
    expected = theirs(values, target)
    value = ours(values, target)
    torch.testing.assert_close(value, expected)
    (slopes,) = torch.autograd.grad(expected, values)
    (gradient,) = torch.autograd.grad(value, values)
    torch.testing.assert_close(gradient, slopes)


def pair(predicted: list[float], wanted: list[float]) -> tuple[Tensor, Tensor]:
    """One channel of interest beside a background that is left out."""
    probabilities = [torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1) for values in (predicted, wanted)]
    first, second = (torch.cat([1 - each, each], 1) for each in probabilities)
    return first, second


@pytest.mark.parametrize(
    ("predicted", "wanted", "expected"),
    [
        ([0.25] * 16, [0.5] * 16, 1 / 3),
        ([0.5] * 16, [0.5] * 16, 0),
        ([0.75] * 16, [0.5] * 16, 0.2),
        ([1.0] * 16, [0.5] * 16, 1 / 3),
        ([0.2, 0.7], [0.5, 0.5], 0.2631579),
    ],
)
def test_semimetric_reference_values(predicted: list[float], wanted: list[float], expected: float) -> None:
    loss = DiceLoss(on="probabilities", background=0, smooth=1e-12)
    assert float(loss(*pair(predicted, wanted))) == pytest.approx(expected, abs=1e-6)


def test_inner_node_labels_are_left_out(tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    mixed = targets["mixed"]
    leaves_only = torch.where(mixed >= 5, -1, mixed)
    assert DiceLoss(tree=tree)(logits, mixed) == DiceLoss()(logits, leaves_only)
    with pytest.raises(InputError, match=r"class index 9 is not in 0\.\.4 and not -1"):
        DiceLoss()(logits, mixed)


def test_background_is_left_out(logits: Tensor, targets: dict[str, Tensor]) -> None:
    probabilities = logits.softmax(1)
    theirs = MonaiDiceLoss(include_background=False, to_onehot_y=True, smooth_nr=1e-5, smooth_dr=1e-5)
    ours = DiceLoss(on="probabilities", background=0)
    torch.testing.assert_close(ours(probabilities, targets["crisp"]), theirs(probabilities, targets["crisp"]))


def test_wrong_options_are_refused(logits: Tensor, targets: dict[str, Tensor]) -> None:
    with pytest.raises(InputError, match="on: 'sigmoid' is not known, expected 'logits' or 'probabilities'"):
        DiceLoss(on="sigmoid")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="smooth: 0 is not above 0"):
        DiceLoss(smooth=0)
    with pytest.raises(InputError, match="background is channel 7 of 5"):
        DiceLoss(background=7)(logits, targets["crisp"])
