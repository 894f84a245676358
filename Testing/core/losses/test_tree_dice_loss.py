"""Tree Dice is MONAI's Dice of the summed probabilities at every cut, and 0 only where both sides agree."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses.dice import DiceLoss as MonaiDiceLoss
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import DiceLoss, TreeDiceLoss, build_loss
from softseg.tree import LabelTree, Node

from .conftest import make_random_tree


def at_level(values: Tensor, tree: LabelTree, level: int, background: int | None = None) -> Tensor:
    """Sum leaves ``[B, C, ...]`` to the nodes of a cut, the background left out."""
    position = torch.from_numpy(tree.cut_at(level).position_of_leaf.astype(np.int64))
    sums = values.new_zeros(values.shape[0], int(position.max()) + 1, *values.shape[2:]).index_add_(1, position, values)
    if background is None:
        return sums
    return sums[:, [node for node in range(sums.shape[1]) if node != int(position[background])]]


def reference(
    logits: Tensor, target: Tensor, tree: LabelTree, weights: list[float], *, batch: bool, background: int | None = None
) -> Tensor:
    """MONAI's soft-label Dice of every cut, with its gradient."""
    monai = MonaiDiceLoss(soft_label=True, batch=batch, smooth_nr=1e-5, smooth_dr=1e-5)
    probabilities = logits.softmax(1)
    total = sum(
        weight * monai(at_level(probabilities, tree, level, background), at_level(target, tree, level, background))
        for level, weight in enumerate(weights, start=1)
    )
    return total / sum(weights)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), leaves=st.integers(2, 12), batch=st.booleans(), crisp=st.booleans())
def test_equals_monai_at_every_cut(seed: int, leaves: int, batch: bool, crisp: bool) -> None:
    generator = np.random.default_rng(seed)
    tree = make_random_tree(generator, leaves)
    weights = [float(weight) for weight in generator.uniform(0, 2, tree.depth)]
    logits = torch.from_numpy(generator.normal(size=(2, len(tree.leaves), 3, 4))).requires_grad_()
    target = torch.from_numpy(generator.dirichlet(np.full(len(tree.leaves), 0.5), (2, 3, 4))).movedim(-1, 1)
    loss = TreeDiceLoss(tree, weights, batch=batch)
    if crisp:
        labels = target.argmax(1, keepdim=True)
        target = torch.zeros_like(target).scatter_(1, labels, 1.0)
    expected = reference(logits, target, tree, weights, batch=batch)
    value = loss(logits, labels if crisp else target)
    torch.testing.assert_close(value, expected)
    (slopes,) = torch.autograd.grad(expected, logits)
    (gradient,) = torch.autograd.grad(value, logits)
    torch.testing.assert_close(gradient, slopes, atol=1e-9, rtol=1e-6)


def test_the_background_leaf_is_left_out_in_recipes(tree: LabelTree) -> None:
    background = Node(id="b", name="background", parent="root", value=0)
    tree = LabelTree([*tree.nodes[:1], background, *tree.nodes[1:]], name="with background")
    position = tree.leaf_index("b")
    generator = torch.Generator().manual_seed(5)
    logits = torch.randn(2, 6, 2, 3, generator=generator, dtype=torch.float64)
    target = torch.rand(2, 6, 2, 3, generator=generator, dtype=torch.float64)
    target /= target.sum(1, keepdim=True)
    expected = reference(logits, target, tree, [1, 1, 1], batch=False, background=position)
    torch.testing.assert_close(build_loss([{"name": "tree-dice"}], tree)(logits, target), expected)


@pytest.mark.parametrize("kind", ["crisp", "soft"])
def test_the_deepest_level_alone_is_dice(
    kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]
) -> None:
    torch.testing.assert_close(
        TreeDiceLoss(tree, [0, 0, 3])(logits, targets[kind]), DiceLoss()(logits, targets[kind]), atol=1e-5, rtol=0
    )


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), leaves=st.integers(2, 9))
def test_it_is_0_at_the_target_and_nowhere_else(seed: int, leaves: int) -> None:
    generator = np.random.default_rng(seed)
    tree = make_random_tree(generator, leaves)
    target = torch.from_numpy(generator.dirichlet(np.ones(len(tree.leaves)), (1, 2, 3))).movedim(-1, 1)
    other = torch.from_numpy(generator.dirichlet(np.ones(len(tree.leaves)), (1, 2, 3))).movedim(-1, 1)
    loss = TreeDiceLoss(tree, smooth=1e-12)
    assert float(loss(target.log(), target)) == pytest.approx(0, abs=1e-9)
    if len(tree.leaves) > 1 and float((target - other).abs().max()) > 1e-3:
        assert float(loss(other.log(), target)) > 1e-6


def test_a_label_of_an_inner_node_says_nothing_of_the_nodes_below(tree: LabelTree, logits: Tensor) -> None:
    """Voxels that are known as tumour: at levels 1 and 2 they are judged, at level 3 they take no part there."""
    tumour = tree.class_index("tum")
    labels = torch.full((2, 1, 2, 3), tree.leaf_index("e1"))
    labels[:, :, 0] = tumour
    one_hot = torch.zeros_like(logits).scatter_(1, labels.clamp(max=4), 1.0)
    one_hot[:, :, 0] = 0
    one_hot[:, tree.leaf_index("t1"), 0] = 1  # any leaf below
    for level in (1, 2):
        weights = [float(depth == level) for depth in (1, 2, 3)]
        expected = reference(logits, one_hot, tree, weights, batch=False)
        torch.testing.assert_close(TreeDiceLoss(tree, weights)(logits, labels), expected)
    values = logits.clone().requires_grad_()
    TreeDiceLoss(tree, [0, 0, 1])(values, labels).backward()
    within = torch.stack([tree_leaf(values.grad, tree, leaf)[:, 0] for leaf in ("t1", "t2")])
    probabilities = torch.stack([tree_leaf(logits.softmax(1), tree, leaf)[:, 0] for leaf in ("t1", "t2")])
    torch.testing.assert_close(
        within[0] / probabilities[0], within[1] / probabilities[1]
    )  # nothing prefers one to the other


def tree_leaf(values: Tensor, tree: LabelTree, leaf: str) -> Tensor:
    return values[:, tree.leaf_index(leaf)]


def test_a_weight_of_the_mask_is_that_many_voxels(tree: LabelTree) -> None:
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(1, 5, 4, generator=generator)
    labels = torch.tensor([[[0, 3, 7, 4]]])
    twice = torch.tensor([[[1.0, 2.0, 1.0, 0.0]]])
    repeated = [0, 1, 1, 2]
    torch.testing.assert_close(
        TreeDiceLoss(tree)(logits, labels, twice), TreeDiceLoss(tree)(logits[..., repeated], labels[..., repeated])
    )


def test_groups_beside_soft_targets_teach_it(tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    soft = targets["soft"].clone()
    soft[:, :, 0] = 0
    groups = torch.full((2, 1, 2, 3), -1)
    groups[:, :, 0] = tree.class_index("E")
    loss = build_loss([{"name": "tree-dice"}], tree)
    apart = TreeDiceLoss(tree)(logits, soft), TreeDiceLoss(tree)(logits, groups)
    torch.testing.assert_close(loss(logits, soft, None, groups), (apart[0] + apart[1]) / 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level_weights": [1, 2]}, "2 weights for a tree of depth 3"),
        ({"level_weights": [0, 0, 0]}, "not all finite and at least 0"),
        ({"level_weights": "middle"}, "'middle' is not known"),
        ({"smooth": 0}, "smooth: 0 is not above 0"),
        ({"background": 9}, "background is channel 9 of 5"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], message: str, tree: LabelTree) -> None:
    with pytest.raises(InputError, match=message):
        TreeDiceLoss(tree, **options)  # type: ignore[arg-type]


def test_it_learns(random_tree: Callable[[np.random.Generator, int], LabelTree]) -> None:
    """From even probabilities the gradient leads to a soft target."""
    generator = np.random.default_rng(0)
    tree = random_tree(generator, 6)
    target = torch.from_numpy(generator.dirichlet(np.ones(len(tree.leaves)), (1, 40))).movedim(-1, 1).float()
    logits = torch.zeros_like(target, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    loss = TreeDiceLoss(tree)
    for _ in range(300):
        optimizer.zero_grad()
        loss(logits, target).backward()
        optimizer.step()
    assert float((logits.softmax(1) - target).abs().max()) < 0.02
