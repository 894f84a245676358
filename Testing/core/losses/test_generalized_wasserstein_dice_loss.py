"""Generalised Wasserstein Dice is MONAI's for leaf labels; masks and unlabelled voxels are ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from monai.losses.dice import GeneralizedWassersteinDiceLoss as MonaiLoss
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import blocks, build_loss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.tree import LabelTree

MakeTree = Callable[[np.random.Generator, int], LabelTree]
NAME = "generalized-wasserstein-dice"


def value_and_gradient(loss: Callable[..., Tensor], logits: Tensor, *others: Tensor | None) -> tuple[Tensor, Tensor]:
    values = logits.detach().clone(memory_format=torch.preserve_format).requires_grad_()
    value = loss(values, *others)
    (gradient,) = torch.autograd.grad(value, values)
    return value.detach(), gradient


def by_hand(tree: LabelTree, logits: Tensor, target: Tensor, weight: Tensor, background: int | None) -> Tensor:
    """The paper's formula with a weight per voxel, voxel by voxel; an image without weight adds 0."""
    distances = torch.from_numpy(tree.distance_matrix(normalize=True))
    terms = []
    for probabilities, labels, weights in zip(
        logits.softmax(1).flatten(2), target.flatten(1), weight.flatten(1), strict=True
    ):
        hits, errors = torch.zeros(2, dtype=torch.float64)
        for voxel, label in enumerate(labels.tolist()):
            if label >= 0 and weights[voxel]:
                cost = distances[label] @ probabilities[:, voxel]
                errors = errors + weights[voxel] * cost
                hits = hits + (weights[voxel] * (1 - cost) if label != background else 0)
        terms.append(1 - (2 * hits + 1e-5) / (2 * hits + errors + 1e-5))
    return torch.stack(terms).mean()


@pytest.mark.parametrize("voxels", [2, 4096])
def test_equals_monai(
    voxels: int, weighted_tree: LabelTree, logits: Tensor, targets: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two images of different content: a form that mixes them gives another value."""
    monkeypatch.setattr(blocks, "block_voxels", lambda *_: voxels)
    target = targets["crisp"].clone()
    target[1] = torch.tensor([[0, 0, 0], [0, 4, 2]])
    theirs = MonaiLoss(torch.from_numpy(weighted_tree.distance_matrix()))
    expected, slopes = value_and_gradient(theirs, logits, target)
    ours = GeneralizedWassersteinDiceLoss(weighted_tree, background=0)
    for layout in (logits, logits.to(memory_format=torch.channels_last)):
        value, gradient = value_and_gradient(ours, layout, target)
        torch.testing.assert_close(value, expected)
        torch.testing.assert_close(gradient, slopes)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_masks_and_unlabelled_voxels_are_the_formula(seed: int, random_tree: MakeTree) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, int(generator.integers(2, 9)))
    leaves = len(tree.leaves)
    background = None if generator.random() < 0.3 else int(generator.integers(leaves))
    logits = torch.from_numpy(generator.normal(0, 3, (2, leaves, 2, 4)))
    target = torch.from_numpy(generator.integers(-1, leaves, (2, 1, 2, 4)))
    mask = torch.from_numpy(generator.choice([0.0, 0.5, 1.0, 3.0], (2, 1, 2, 4)))
    expected, slopes = value_and_gradient(lambda z: by_hand(tree, z, target, mask, background), logits)
    loss = GeneralizedWassersteinDiceLoss(tree, background)
    value, gradient = value_and_gradient(loss, logits, target, mask)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slopes)
    assert 0 <= value <= 1
    hidden = (mask == 0) | (target == -1)
    again, same = value_and_gradient(loss, logits.where(~hidden, torch.nan), target, mask)
    torch.testing.assert_close(again, value)
    torch.testing.assert_close(same, gradient)


def test_a_certain_right_answer_costs_nothing_and_a_near_mistake_less_than_a_far_one(tree: LabelTree) -> None:
    loss = build_loss([{"name": NAME}], tree)
    target = torch.tensor([0, 1, 2, 3]).view(1, 1, 2, 2)

    def answer(*leaves: int) -> float:
        probabilities = torch.nn.functional.one_hot(torch.tensor(leaves), 5).T.view(1, 5, 2, 2)
        return float(loss(1e4 * probabilities, target))

    assert answer(0, 1, 2, 3) == pytest.approx(0, abs=1e-9)
    assert 0 < answer(1, 1, 2, 3) < answer(2, 1, 2, 3) < answer(3, 1, 2, 3)


def test_nothing_labelled_is_a_differentiable_zero(tree: LabelTree, logits: Tensor) -> None:
    nothing = torch.full((2, 1, 2, 3), -1)
    root = torch.full_like(nothing, tree.class_index("root"))
    for target in (nothing, root):
        value, gradient = value_and_gradient(build_loss([{"name": NAME}], tree), logits, target)
        assert value == 0
        assert not gradient.any()


def test_gradient_is_exact_in_a_compound(tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    loss = build_loss([{"name": NAME, "weight": 2}, {"name": "cross-entropy", "weight": 0.5}], tree)
    alone = build_loss([{"name": NAME}], tree), build_loss([{"name": "cross-entropy"}], tree)
    first, second = (part(logits, targets["crisp"]) for part in alone)
    torch.testing.assert_close(loss(logits, targets["crisp"]), 2 * first + 0.5 * second)
    assert torch.autograd.gradcheck(lambda x: loss(x, targets["crisp"]), logits.requires_grad_())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_is_computed_in_float32(
    dtype: torch.dtype, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    loss = build_loss([{"name": NAME}], tree)
    expected, slopes = value_and_gradient(loss, logits.to(dtype).double(), targets["crisp"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value, gradient = value_and_gradient(loss, logits.to(dtype), targets["crisp"])
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(gradient.double(), slopes, rtol=2e-2, atol=1e-3)


def test_gradients_of_a_million_voxels_survive_float16(tree: LabelTree) -> None:
    target = torch.zeros(1, 1, 1024, 1024, dtype=torch.int64)
    logits = torch.zeros(1, 5, 1024, 1024)
    loss = build_loss([{"name": NAME, "background": None}], tree)
    _, expected = value_and_gradient(loss, logits, target)
    _, gradient = value_and_gradient(lambda z, t: 2.0**20 * loss(z, t), logits.half(), target)
    torch.testing.assert_close(gradient[..., 0, 0].float(), 2**20 * expected[..., 0, 0], rtol=2e-3, atol=0)


def test_what_it_cannot_learn_from_is_refused(tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    loss = build_loss([{"name": NAME}, {"name": "cross-entropy"}], tree)
    with pytest.raises(InputError, match="needs one label per voxel, got soft targets; set targets: crisp"):
        loss(logits, targets["soft"])
    with pytest.raises(InputError, match="needs leaf labels, got a label of an inner node of the tree; use tree"):
        loss(logits, targets["mixed"])
    with pytest.raises(InputError, match="logits have 4 channels, the tree has 5 leaves"):
        loss(logits[:, :4], targets["crisp"])
    with pytest.raises(InputError, match=r"loss\[0\].smooth: 0 is not above 0"):
        build_loss([{"name": NAME, "smooth": 0}], tree)
    with pytest.raises(InputError, match=r"loss\[0\].background: background is channel 5 of 5"):
        build_loss([{"name": NAME, "background": 5}], tree)
