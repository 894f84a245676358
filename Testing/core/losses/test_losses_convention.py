"""What holds for every loss: its convention about targets, masks, batches, types and memory layouts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor, nn

from softseg.losses import blocks, build_loss
from softseg.tree import LabelTree

SPECS = {
    "cross-entropy": [{"name": "cross-entropy"}],
    "wasserstein-cross-entropy": [{"name": "wasserstein-cross-entropy"}],
    "tree-cross-entropy": [{"name": "tree-cross-entropy"}],
    "tree-cross-entropy, nodes": [{"name": "tree-cross-entropy", "form": "node"}],
    "dice": [{"name": "dice"}],
    "adaptive-wing": [{"name": "adaptive-wing"}],
    "calibration-error": [
        {"name": "calibration-error", "levels": "all", "bins": 5},
        {"name": "cross-entropy", "weight": 1e-9},
    ],
    "compound": [
        {"name": "wasserstein-cross-entropy"},
        {"name": "tree-cross-entropy", "form": "node"},
        {"name": "dice", "weight": 0.5},
    ],
}
KINDS = ("crisp", "mixed", "soft")
pytestmark = pytest.mark.parametrize("name", SPECS)


def values_for(loss: nn.Module, logits: Tensor) -> Tensor:
    return logits.softmax(1) if loss.on == "probabilities" else logits


def value_and_gradient(loss: nn.Module, values: Tensor, target: Tensor, mask: Tensor | None = None) -> tuple:
    values = values.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    value = loss(values, target, mask)
    (gradient,) = torch.autograd.grad(value, values)
    return value.detach(), gradient


@contextmanager
def blocks_of(voxels: int) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "block_voxels", lambda *_: voxels)
        yield


@pytest.mark.parametrize("kind", ["crisp", "soft"])
def test_batch_equals_its_items(
    name: str, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS[name], tree)
    values, target = values_for(loss, logits), targets[kind].clone()
    if kind == "soft":
        target[0, :, 0, 1] = 0.2  # as many labelled voxels in both items
    items = [loss(values[item : item + 1], target[item : item + 1]) for item in range(2)]
    torch.testing.assert_close(loss(values, target), torch.stack(items).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_ignored_voxels_do_not_matter(
    name: str, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS[name], tree)
    values, target = values_for(loss, logits), targets[kind]
    mask = torch.ones(2, 1, 2, 3, dtype=torch.bool)
    mask[0, 0, 1] = False
    hidden = ~mask | ((target.sum(1, keepdim=True) == 0) if kind == "soft" else target == -1)
    disturbed = torch.where(hidden, torch.nan, values)
    expected, slopes = value_and_gradient(loss, values, target, mask)
    value, gradient = value_and_gradient(loss, disturbed, target, mask)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slopes)
    assert not gradient[hidden.expand_as(gradient)].any()


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_labelled_is_a_differentiable_zero(
    name: str, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS[name], tree)
    values = values_for(loss, logits)
    for target, mask in (
        (targets[kind], torch.zeros(2, 1, 2, 3)),
        (torch.zeros_like(targets[kind]) if kind == "soft" else torch.full_like(targets[kind], -1), None),
    ):
        value, gradient = value_and_gradient(loss, values, target, mask)
        assert value == 0
        assert not gradient.any()


def test_root_label_counts_as_unlabelled(name: str, tree: LabelTree, logits: Tensor) -> None:
    loss = build_loss(SPECS[name], tree)
    target = torch.full((2, 1, 2, 3), tree.class_index("root"))
    assert loss(values_for(loss, logits), target) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_dimensions_and_memory_layouts_agree(
    name: str, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    """A 3D volume with one slice is the 2D case, in any layout, in blocks of any size."""
    loss = build_loss(SPECS[name], tree)
    values, target = values_for(loss, logits), targets[kind]
    expected, slopes = value_and_gradient(loss, values, target)
    volume, volume_target = values[:, :, None], target[:, :, None]
    layouts = [
        volume,
        volume.to(memory_format=torch.channels_last_3d),
        volume.transpose(2, 4).contiguous().transpose(2, 4),
        torch.stack([volume, volume], -1)[..., 0],
    ]
    for voxels in (1, 4, 4096):
        for layout in layouts:
            with blocks_of(voxels):
                value, gradient = value_and_gradient(loss, layout, volume_target)
            torch.testing.assert_close(value, expected)
            torch.testing.assert_close(gradient[:, :, 0], slopes)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_float32_inside_under_autocast(
    name: str, kind: str, dtype: torch.dtype, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS[name], tree)
    low = values_for(loss, logits).to(dtype)
    target = targets[kind].float() if kind == "soft" else targets[kind]
    expected, slopes = value_and_gradient(loss, low.double(), targets[kind])
    with torch.autocast("cpu", dtype=dtype):
        value, gradient = value_and_gradient(loss, low, target)
    assert value.dtype == torch.float32
    assert gradient.dtype == dtype
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), slopes, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_extreme_logits_stay_finite(
    name: str, kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss(SPECS[name], tree)
    extreme = values_for(loss, 1e4 * logits.sign())
    target = targets[kind].float() if kind == "soft" else targets[kind]
    value, gradient = value_and_gradient(loss, extreme.float(), target)
    expected, slopes = value_and_gradient(loss, extreme, targets[kind])
    assert value.isfinite()
    assert gradient.isfinite().all()
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(gradient.double(), slopes, rtol=1e-5, atol=1e-5)


def test_mask_is_a_weight(name: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    """A weight of 3 counts like the voxel three times."""
    loss = build_loss(SPECS[name], tree)
    values, target = values_for(loss, logits)[:1], targets["crisp"][:1]
    mask = torch.ones(1, 1, 2, 3)
    mask[..., 0] = 3
    tripled = torch.cat([values, values[..., :1], values[..., :1]], -1)
    expected = loss(tripled, torch.cat([target, target[..., :1], target[..., :1]], -1))
    torch.testing.assert_close(loss(values, target, mask), expected)


def test_validation_needs_no_gradient(name: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    loss = build_loss(SPECS[name], tree)
    values = values_for(loss, logits).requires_grad_()
    expected = loss(values, targets["mixed"])
    with torch.no_grad():
        value = loss(values, targets["mixed"])
    assert not value.requires_grad
    torch.testing.assert_close(value, expected.detach())
