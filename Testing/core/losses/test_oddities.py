"""Odd arguments: every loss answers them alike, with the same result or the same error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import (
    AdaptiveWingLoss,
    TreeCrossEntropyLoss,
    TreeDiceLoss,
    TreeWassersteinLoss,
    WassersteinCrossEntropyLoss,
    build_loss,
)
from softseg.losses.calibration_error import CalibrationErrorLoss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.losses.dice import DiceLoss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.losses.loss import Loss
from softseg.tree import LabelTree

from .conftest import small_tree

TREE = small_tree()
LOSSES: dict[str, Callable[[], Loss]] = {
    "cross-entropy": lambda: CrossEntropyLoss(TREE),
    "tree cross-entropy": lambda: TreeCrossEntropyLoss(TREE),
    "tree cross-entropy, nodes": lambda: TreeCrossEntropyLoss(TREE, form="node"),
    "tree Wasserstein": lambda: TreeWassersteinLoss(TREE),
    "Wasserstein + cross-entropy": lambda: WassersteinCrossEntropyLoss(TREE),
    "Dice": DiceLoss,
    "Dice of the tree": lambda: DiceLoss(tree=TREE, background=0),
    "Dice of probabilities": lambda: DiceLoss(on="probabilities", batch=True),
    "tree Dice": lambda: TreeDiceLoss(TREE, "top", background=0),
    "adaptive wing": AdaptiveWingLoss,
    "adaptive wing, sum": lambda: AdaptiveWingLoss(reduction="sum", weight_map=10, background=1, tree=TREE),
    "calibration error": lambda: CalibrationErrorLoss(TREE, bins=5, levels="all"),
    "calibration error of probabilities": lambda: CalibrationErrorLoss(TREE, on="probabilities"),
    "generalised Wasserstein Dice": lambda: GeneralizedWassersteinDiceLoss(TREE, 0),
    "compound": lambda: build_loss([{"name": "wasserstein-cross-entropy"}, {"name": "dice", "weight": 0.5}], TREE),
    "compound of probabilities": lambda: build_loss(
        [{"name": "adaptive-wing"}, {"name": "dice", "on": "probabilities"}], TREE
    ),
}
SOFT = [name for name in LOSSES if not name.startswith("generalised")]
ONE_CHANNEL = ("Dice", "Dice of probabilities", "adaptive wing")
SPACES = {"2D": (4, 3), "3D": (2, 4, 3)}
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}

every_loss = pytest.mark.parametrize("name", LOSSES)
soft_losses = pytest.mark.parametrize("name", SOFT)
every_space = pytest.mark.parametrize("space", SPACES)
every_type = pytest.mark.parametrize("dtype", DTYPES)


def predicted_for(
    loss: Loss, space: str, dtype: str = "float32", channels: int = 5, batch: int = 2, seed: int = 1
) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, channels, *SPACES[space], generator=generator, dtype=torch.float64)
    if loss.on == "probabilities":
        values = values.softmax(1) if channels > 1 else values.sigmoid()
    return values.to(DTYPES[dtype]).requires_grad_()


def soft_target(space: str, channels: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    values = torch.rand(2, channels, *SPACES[space], generator=generator)
    return values / values.sum(1, keepdim=True) if channels > 1 else values


def labels_for(space: str) -> Tensor:
    return torch.randint(0, 5, (2, 1, *SPACES[space]), generator=torch.Generator().manual_seed(3))


def run(
    loss: Loss, predicted: Tensor, target: Any, mask: Any = None, *, bfloat16: bool = False
) -> tuple[Tensor, Tensor]:
    values = predicted.detach().clone().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        value = loss(values, target, mask)
    assert value.shape == ()
    assert value.requires_grad
    (gradient,) = torch.autograd.grad(value, values)
    assert gradient.dtype == predicted.dtype
    return value.detach(), gradient


def same(first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(first, second)


def refused(loss: Loss, predicted: Any, target: Any, mask: Any = None) -> str:
    with pytest.raises(InputError) as found:
        loss(predicted, target, mask)
    assert found.value.hint
    return str(found.value)


# --- labels ------------------------------------------------------------------------------------------------------


@every_loss
@every_space
@every_type
def test_labels_of_any_type_are_the_same_labels(name: str, space: str, dtype: str) -> None:
    """Integers of all sizes, and floating point as MONAI hands them out, up to a rounding error."""
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, space, dtype), labels_for(space)
    bfloat16 = dtype == "bfloat16"
    expected = run(loss, predicted, labels, bfloat16=bfloat16)
    assert expected[0] > 0
    for kind in (torch.uint8, torch.int8, torch.int16, torch.uint16, torch.int32, torch.float32, torch.float64):
        same(run(loss, predicted, labels.to(kind), bfloat16=bfloat16), expected)
    same(run(loss, predicted, labels.bfloat16(), bfloat16=bfloat16), expected)
    same(run(loss, predicted, labels.half(), bfloat16=bfloat16), expected)
    same(run(loss, predicted, labels - 0.0009, bfloat16=bfloat16), expected)


@every_loss
@every_space
def test_unlabelled_is_minus_one_in_every_type(name: str, space: str) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, space), labels_for(space)
    hidden = torch.rand(labels.shape, generator=torch.Generator().manual_seed(4)) < 0.4
    ignored = torch.where(hidden, -1, labels)
    expected = run(loss, predicted, labels, ~hidden)
    same(run(loss, predicted, ignored), expected)
    same(run(loss, predicted, ignored.float()), expected)
    disturbed = torch.where(hidden, torch.nan, predicted)
    same(run(loss, disturbed, ignored), expected)


@every_loss
@every_space
@pytest.mark.parametrize("wrong", [-2, -100, 10, 255, 1000])
def test_class_indices_out_of_range_are_refused(name: str, space: str, wrong: int) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, space), labels_for(space)
    labels[1, 0, 0, 1] = wrong
    for target in (labels, labels.short(), labels.float()):
        text = refused(loss, predicted, target)
        assert re.match(rf"target: class index {wrong} is not in 0..(4|9) and not -1 \(unlabelled\); map", text)
    mask = torch.ones(labels.shape)
    mask[1, 0, 0, 1] = 0
    same(run(loss, predicted, labels, mask), run(loss, predicted, labels.where(mask > 0, -1)))


@every_loss
@pytest.mark.parametrize("wrong", [0.5, 1.002, torch.nan, torch.inf, -torch.inf])
def test_labels_that_are_not_whole_are_refused(name: str, wrong: float) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, "2D"), labels_for("2D").float()
    labels[0, 0, 1, 1] = wrong
    text = refused(loss, predicted, labels)
    assert text.startswith(f"target: target has the value {wrong:g}, expected whole class indices; give class indices")


def test_labels_too_large_for_their_type_are_refused() -> None:
    loss, predicted = DiceLoss(), torch.zeros(1, 300, 2, 2)
    labels = torch.full((1, 1, 2, 2), 257)
    assert "which rounds whole numbers of that size" in refused(loss, predicted, labels.bfloat16())
    same(run(loss, predicted, labels.half()), run(loss, predicted, labels))


# --- soft targets ------------------------------------------------------------------------------------------------


@soft_losses
@every_space
@every_type
def test_soft_targets_of_any_type_within_the_tolerance(name: str, space: str, dtype: str) -> None:
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, space, dtype), soft_target(space)
    bfloat16 = dtype == "bfloat16"
    expected = run(loss, predicted, target, bfloat16=bfloat16)
    same(run(loss, predicted, target.double(), bfloat16=bfloat16), expected)
    low = run(loss, predicted, target.bfloat16(), bfloat16=bfloat16)[0]
    torch.testing.assert_close(low, expected[0], rtol=0.02, atol=0.02)
    one_hot = torch.nn.functional.one_hot(labels_for(space)[:, 0], 5).movedim(-1, 1)
    same(
        run(loss, predicted, one_hot.bool(), bfloat16=bfloat16),
        run(loss, predicted, one_hot.float(), bfloat16=bfloat16),
    )
    overshoot = target.clone()
    overshoot[:, 0] += 0.009
    overshoot[:, 1, 0, 0] = -0.009
    assert run(loss, predicted, overshoot, bfloat16=bfloat16)[0].isfinite()


ODD_SOFT = {
    "NaN": (torch.nan, "target: target has values that are not numbers (NaN); give a mask that is 0"),
    "negative": (-0.2, "target: target has the value -0.2, expected probabilities in 0..1; clamp"),
    "minus infinite": (-torch.inf, "target: target has the value -inf, expected probabilities in 0..1; clamp"),
    "above 1": (1.5, "target: the channels of a voxel of the target sum to "),
    "infinite": (torch.inf, "target: the channels of a voxel of the target sum to inf, expected"),
}


@soft_losses
@every_space
@pytest.mark.parametrize("odd", ODD_SOFT)
def test_values_that_are_no_probabilities_are_refused(name: str, space: str, odd: str) -> None:
    loss = LOSSES[name]()
    value, message = ODD_SOFT[odd]
    predicted, target = predicted_for(loss, space), soft_target(space)
    target[1, 2, 0, 1] = value
    for layout in (
        target,
        target.movedim(1, -1).contiguous().movedim(-1, 1),
        target.repeat_interleave(2, -1)[..., ::2],
    ):
        assert refused(loss, predicted, layout).startswith(message)
    mask = torch.ones(2, 1, *SPACES[space])
    mask[1, 0, 0, 1] = 0
    assert refused(loss, predicted, target, torch.ones_like(mask)).startswith(message)
    same(run(loss, predicted, target, mask), run(loss, predicted, soft_target(space), mask))


@soft_losses
def test_sums_above_1_are_refused_and_below_are_used_as_they_are(name: str) -> None:
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, "2D"), soft_target("2D")
    text = refused(loss, predicted, 1.1 * target)
    assert text.startswith(
        "target: the channels of a voxel of the target sum to 1.1, expected probabilities with a sum"
    )
    assert run(loss, predicted, 0.5 * target)[0] != run(loss, predicted, target)[0]


@soft_losses
@every_space
def test_channels_that_sum_to_0_are_unlabelled(name: str, space: str) -> None:
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, space), soft_target(space)
    hidden = torch.rand(2, 1, *SPACES[space], generator=torch.Generator().manual_seed(4)) < 0.4
    unlabelled = torch.where(hidden, 0.0, target)
    expected = run(loss, predicted, target, ~hidden)
    same(run(loss, predicted, unlabelled), expected)
    same(run(loss, torch.where(hidden, torch.nan, predicted), unlabelled), expected)


# --- masks -------------------------------------------------------------------------------------------------------


@every_loss
@every_space
@every_type
def test_masks_of_any_type(name: str, space: str, dtype: str) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, space, dtype), labels_for(space)
    mask = torch.rand(labels.shape, generator=torch.Generator().manual_seed(4)) < 0.6
    expected = run(loss, predicted, labels, mask)
    for kind in (torch.uint8, torch.int64, torch.float32, torch.float64, torch.bfloat16):
        same(run(loss, predicted, labels, mask.to(kind)), expected)
    same(run(loss, predicted, labels, torch.ones_like(labels)), run(loss, predicted, labels))


@every_loss
@pytest.mark.parametrize("wrong", [-1.0, -1e-6, torch.nan, torch.inf])
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_weights_that_are_none_are_refused(name: str, kind: str, wrong: float) -> None:
    if kind == "soft" and name not in SOFT:
        pytest.skip("takes labels only")
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, "2D"), soft_target("2D") if kind == "soft" else labels_for("2D")
    mask = torch.ones(2, 1, 4, 3)
    mask[0, 0, 1, 1] = wrong
    text = refused(loss, predicted, target, mask)
    assert text.startswith(f"mask: mask has the value {wrong:g}, expected finite weights of at least 0; give 0")


@every_loss
@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 5, 4, 3), (1, 1, 4, 3), (2, 1, 4), (2, 1, 3, 4)])
def test_masks_of_another_shape_are_refused(name: str, shape: tuple[int, ...]) -> None:
    loss = LOSSES[name]()
    text = refused(loss, predicted_for(loss, "2D"), labels_for("2D"), torch.ones(shape))
    assert text.startswith(f"mask: mask has shape {list(shape)}, expected [2, 1, 4, 3]; give one weight per voxel")


# --- nothing there -----------------------------------------------------------------------------------------------


@every_loss
@every_type
@pytest.mark.parametrize("kind", ["labels", "float labels", "soft"])
@pytest.mark.parametrize("size", [(0, 4, 3), (0, 2, 4, 3), (2, 0, 3), (2, 2, 4, 0)])
def test_without_a_voxel_the_loss_is_a_differentiable_0(
    name: str, dtype: str, kind: str, size: tuple[int, ...]
) -> None:
    loss = LOSSES[name]()
    batch, *spatial = size
    predicted = torch.zeros(batch, 5, *spatial, dtype=DTYPES[dtype])
    target = torch.zeros(batch, 5 if kind == "soft" else 1, *spatial)
    for mask in (None, torch.ones(batch, 1, *spatial)):
        value, gradient = run(loss, predicted, target if kind != "labels" else target.long(), mask)
        assert value == 0
        assert gradient.shape == predicted.shape


@every_loss
@every_space
@every_type
def test_without_a_label_the_loss_is_a_differentiable_0(name: str, space: str, dtype: str) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, space, dtype), labels_for(space)
    none = torch.zeros_like(labels)
    cases = [(torch.full_like(labels, -1), None), (labels, none), (labels.float() - labels - 1, None)]
    if name in SOFT:
        cases += [(torch.zeros_like(predicted), None), (soft_target(space), none)]
    for target, mask in cases:
        value, gradient = run(loss, predicted, target.detach(), mask)
        assert value == 0
        assert not gradient.any()


# --- shapes, types, devices --------------------------------------------------------------------------------------


@every_loss
def test_shapes_and_types_that_do_not_fit_are_refused(name: str) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, "2D"), labels_for("2D")
    expected = "expected class indices of shape [2, 1, 4, 3] or probabilities of shape [2, 5, 4, 3]"
    for target, hint in (
        (labels[:, 0], "add the axis of channels: target.unsqueeze(1)"),
        (labels.expand(2, 5, 4, 3), "one-hot labels are probabilities: give target.float()"),
        (labels.bool(), "give class indices as int64"),
        (labels.float().expand(2, 3, 4, 3), "give class indices as int64"),
        (labels[:1], "give class indices as int64"),
        (labels[..., :2], "give class indices as int64"),
        (labels.to(torch.complex64), "give class indices as int64"),
    ):
        text = refused(loss, predicted, target)
        assert text.startswith(
            f"target: target of type {target.dtype} has shape {list(target.shape)}, {expected}; {hint}"
        )
    assert refused(loss, predicted, labels.numpy()).startswith("target: expected a tensor, got ndarray; use torch.as_")
    assert refused(loss, predicted, labels, np.ones(3)).startswith("mask: expected a tensor, got ndarray")
    assert "mask has type torch.complex64" in refused(loss, predicted, labels, labels.to(torch.complex64))
    first = loss.argument
    assert refused(loss, labels, labels).startswith(f"{first}: expected floating point, got torch.int64; give the out")
    assert refused(loss, predicted[:, :, 0, 0], labels).startswith(
        f"{first}: shape is [2, 5], expected [B, C, *spatial]"
    )
    assert refused(loss, torch.zeros(2, 0, 4, 3), labels).startswith(f"{first}: shape is [2, 0, 4, 3], expected [B, C")


@every_loss
@pytest.mark.parametrize("channels", [1, 4, 6])
def test_another_number_of_channels_than_leaves_is_refused(name: str, channels: int) -> None:
    loss = LOSSES[name]()
    if loss.classes.leaves is None:
        pytest.skip("knows no tree")
    words = "1 channel" if channels == 1 else f"{channels} channels"
    text = refused(loss, predicted_for(loss, "2D", channels=channels), labels_for("2D"))
    assert text.startswith(f"{loss.argument}: {loss.argument} have {words}, the tree has 5 leaves; the network must")


@every_loss
def test_tensors_on_different_devices_are_refused(name: str) -> None:
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, "2D"), labels_for("2D")
    text = refused(loss, predicted, labels.to("meta"))
    assert text.startswith(f"target: target is on meta, {loss.argument} on cpu; move it with target.to(")
    text = refused(loss, predicted, labels, labels.to("meta"))
    assert text.startswith(f"mask: mask is on meta, {loss.argument} on cpu; move it with mask.to(")


@every_loss
def test_one_and_three_axes_agree(name: str) -> None:
    """Spectra and volumes: a row of voxels is one whatever axes stand around it."""
    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, "2D").detach()[..., 0], labels_for("2D")[..., 0]
    row, gradient = run(loss, predicted, labels)
    volume, slopes = run(loss, predicted[..., None, None], labels[..., None, None])
    same((volume, slopes[..., 0, 0]), (row, gradient))


@every_loss
def test_monai_tensors_are_tensors(name: str) -> None:
    from monai.data import MetaTensor

    loss = LOSSES[name]()
    predicted, labels = predicted_for(loss, "3D"), labels_for("3D")
    expected = run(loss, predicted, labels)
    values = MetaTensor(predicted.detach().clone()).requires_grad_()
    value = loss(values, MetaTensor(labels.float()), MetaTensor(torch.ones(labels.shape)))
    assert type(value) is Tensor
    (gradient,) = torch.autograd.grad(value, values)
    same((value.detach(), gradient.as_subclass(Tensor)), expected)


@every_loss
@every_space
def test_a_prediction_that_is_no_number_makes_the_loss_none(name: str, space: str) -> None:
    """A training that diverges must be seen; losses do not hide it."""
    loss = LOSSES[name]()
    labels = labels_for(space)
    predicted = predicted_for(loss, space).detach().clone()
    predicted[0].flatten(1)[:, 0] = torch.nan
    assert not loss(predicted, labels).isfinite()


@soft_losses
def test_a_target_learns_nothing(name: str) -> None:
    loss = LOSSES[name]()
    target = soft_target("2D").requires_grad_()
    loss(predicted_for(loss, "2D"), target).backward()
    assert target.grad is None


# --- one channel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ONE_CHANNEL)
@every_space
@every_type
def test_one_channel_is_the_foreground(name: str, space: str, dtype: str) -> None:
    """As two channels are, of which the first, the background, is left out."""
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, space, dtype, channels=1), soft_target(space, channels=1)
    target[:, :, 0] = 0
    value, gradient = run(loss, predicted, target, bfloat16=dtype == "bfloat16")
    two = {
        "Dice": DiceLoss(background=0),
        "Dice of probabilities": DiceLoss(on="probabilities", batch=True, background=0),
        "adaptive wing": AdaptiveWingLoss(background=0),
    }[name]
    other = torch.zeros_like(predicted) if loss.on == "logits" else 1 - predicted
    values = torch.cat([other, predicted], 1).detach()
    expected, slopes = run(two, values, torch.cat([1 - target, target], 1))
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slopes[:, 1:])
    labels = (target > 0.5).long()
    as_probability = run(loss, predicted, labels.float())
    for kind in (torch.int64, torch.uint8, torch.bool):
        same(run(loss, predicted, labels.to(kind)), as_probability)
    hidden = target > 0.8
    same(run(loss, predicted, labels.where(~hidden, -1)), run(loss, predicted, labels, ~hidden))


@pytest.mark.parametrize("name", ONE_CHANNEL)
@pytest.mark.parametrize(
    ("odd", "message"),
    [
        (torch.nan, "has values that are not numbers"),
        (-0.2, "has the value -0.2, expected probabilities in 0..1"),
        (1.2, "has the value 1.2, expected the probability of the foreground in 0..1"),
        (torch.inf, "has the value inf, expected the probability of the foreground in 0..1"),
    ],
)
def test_values_of_one_channel_are_checked_alike(name: str, odd: float, message: str) -> None:
    loss = LOSSES[name]()
    predicted, target = predicted_for(loss, "3D", channels=1), soft_target("3D", channels=1)
    target[1, 0, 0, 1] = odd
    assert message in refused(loss, predicted, target)
    mask = torch.ones_like(target)
    mask[1, 0, 0, 1] = 0
    value, gradient = run(loss, predicted, target, mask)
    assert value.isfinite()
    assert gradient.isfinite().all()
    target[1, 0, 0, 1] = -1
    assert "unlabelled voxels beside one channel are those where a mask is 0" in refused(loss, predicted, target)
    assert "class index 2 is not in 0..1" in refused(loss, predicted, 2 * torch.ones_like(target).long())


def test_losses_of_different_trees_are_not_added(flat_tree: LabelTree) -> None:
    from softseg.losses.compound import CompoundLoss

    with pytest.raises(InputError, match="the losses belong to different trees"):
        CompoundLoss([CrossEntropyLoss(TREE), CrossEntropyLoss(flat_tree)], [1, 1])
