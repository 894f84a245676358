"""What holds for every distribution: checked with random ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softseg.losses import TreeCrossEntropyLoss, TreeWassersteinLoss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.tree import LabelTree

MakeTree = Callable[[np.random.Generator, int], LabelTree]
seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def three_voxels(seed: int, random_tree: MakeTree) -> tuple[LabelTree, list[torch.Tensor]]:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, int(generator.integers(2, 10)))
    probabilities = generator.dirichlet(np.full(len(tree.leaves), 0.4), 3)
    probabilities = np.maximum(probabilities, 1e-9)
    probabilities /= probabilities.sum(1, keepdims=True)
    return tree, [torch.from_numpy(each).view(1, -1, 1, 1) for each in probabilities]


@quick
@given(seed=seeds)
def test_wasserstein_is_a_metric(seed: int, random_tree: MakeTree) -> None:
    tree, (a, b, c) = three_voxels(seed, random_tree)
    loss = TreeWassersteinLoss(tree)

    def distance(first: torch.Tensor, second: torch.Tensor) -> float:
        return float(loss(first.log(), second))

    assert abs(distance(a, b) - distance(b, a)) < 1e-9
    assert distance(a, a) < 1e-9
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-9
    assert 0 < distance(a, b) <= 1 + 1e-9


@quick
@given(seed=seeds)
def test_likelihoods_are_least_at_the_target(seed: int, random_tree: MakeTree) -> None:
    tree, (a, b, _) = three_voxels(seed, random_tree)
    losses = (
        CrossEntropyLoss(tree),
        TreeCrossEntropyLoss(tree, every_level=True),
        TreeCrossEntropyLoss(tree, form="node"),
    )
    for loss in losses:
        logits = a.log().requires_grad_()
        (at_target,) = torch.autograd.grad(loss(logits, a), logits)
        assert at_target.abs().max() < 1e-9
        assert loss(b.log(), a) >= loss(a.log(), a) - 1e-9


@quick
@given(seed=seeds, shift=st.floats(-500, 500))
def test_a_constant_added_to_the_logits_changes_nothing(seed: int, shift: float, random_tree: MakeTree) -> None:
    tree, (a, b, _) = three_voxels(seed, random_tree)
    loss = TreeCrossEntropyLoss(tree)
    torch.testing.assert_close(loss(a.log() + shift, b), loss(a.log(), b), rtol=1e-7, atol=1e-9)


@quick
@given(seed=seeds)
def test_a_label_costs_what_its_one_hot_probability_costs(seed: int, random_tree: MakeTree) -> None:
    tree, (a, _, _) = three_voxels(seed, random_tree)
    leaf = seed % len(tree.leaves)
    probability = torch.zeros_like(a)
    probability[:, leaf] = 1
    for loss in (CrossEntropyLoss(tree), TreeWassersteinLoss(tree), TreeCrossEntropyLoss(tree, form="node")):
        torch.testing.assert_close(loss(a.log(), probability), loss(a.log(), torch.full((1, 1, 1, 1), leaf)))
