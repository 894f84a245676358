"""Numbers that were worked out independently of this code (five leaves, depth 3), all within 1e-6 in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from softseg.losses import TreeCrossEntropyLoss, TreeWassersteinLoss, WassersteinCrossEntropyLoss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.tree import LabelTree

P = torch.tensor([0.5, 0.2, 0.1, 0.15, 0.05], dtype=torch.float64)
Q = torch.tensor([0.6, 0.3, 0.1, 0.0, 0.0], dtype=torch.float64)


def voxel(values: Tensor) -> Tensor:
    return values.view(1, 5, 1, 1)


def label(index: int) -> Tensor:
    return torch.full((1, 1, 1, 1), index)


def at_leaves(loss: torch.nn.Module) -> list[float]:
    return [float(loss(voxel(P.log()), label(leaf))) for leaf in range(5)]


def check(got: object, expected: object) -> None:
    np.testing.assert_allclose(np.asarray(got), np.asarray(expected), rtol=0, atol=1e-6)


def test_wasserstein_at_every_leaf(tree: LabelTree) -> None:
    check(at_leaves(TreeWassersteinLoss(tree, normalize=False)), [1.8, 2.4, 3.8, 4.1, 4.3])


def test_wasserstein_normalized_and_with_edge_weights(tree: LabelTree, weighted_tree: LabelTree) -> None:
    check(at_leaves(TreeWassersteinLoss(tree))[0], 0.36)
    check(at_leaves(TreeWassersteinLoss(weighted_tree, normalize=False))[0], 1.7)


def test_wasserstein_of_soft_targets(tree: LabelTree, weighted_tree: LabelTree) -> None:
    check(TreeWassersteinLoss(tree, normalize=False)(voxel(P.log()), voxel(Q)), 1.0)
    check(TreeWassersteinLoss(weighted_tree, normalize=False)(voxel(P.log()), voxel(Q)), 1.2)
    check(TreeWassersteinLoss(tree, normalize=False)(voxel(P.log()), voxel(P)), 0.0)


def test_wasserstein_gradient(tree: LabelTree) -> None:
    logits = voxel(P.log()).requires_grad_()
    TreeWassersteinLoss(tree, normalize=False)(logits, label(0)).backward()
    assert logits.grad is not None
    check(logits.grad.flatten(), [-0.9, 0.04, 0.22, 0.48, 0.16])


def test_wasserstein_cross_entropy(tree: LabelTree) -> None:
    check(at_leaves(WassersteinCrossEntropyLoss(tree))[0], 1.0531472)


def test_flat_tree_gives_one_minus_probability(flat_tree: LabelTree) -> None:
    check(at_leaves(TreeWassersteinLoss(flat_tree)), 1 - P)


def test_cross_entropy_of_a_leaf_and_its_ancestors(tree: LabelTree) -> None:
    nodes = [tree.class_index(node) for node in ("t1", "tum", "T")]
    values = [float(CrossEntropyLoss(tree)(voxel(P.log()), label(node))) for node in nodes]
    check(values, [0.6931472, 0.3566749, 0.2231436])


def test_tree_cross_entropy_at_every_leaf(tree: LabelTree) -> None:
    check(at_leaves(TreeCrossEntropyLoss(tree)), [1.2729657, 2.1892564, 4.8283137, 3.5065579, 4.6051702])


def test_tree_cross_entropy_with_level_weights(tree: LabelTree) -> None:
    check(at_leaves(TreeCrossEntropyLoss(tree, level_weights=[2, 0.5, 1]))[0], 1.3177718)


def test_tree_cross_entropy_of_soft_targets(tree: LabelTree) -> None:
    check(TreeCrossEntropyLoss(tree)(voxel(P.log()), voxel(Q)), 1.9033877)


def test_node_form_is_a_binary_cross_entropy_per_node(weighted_tree: LabelTree) -> None:
    loss = TreeCrossEntropyLoss(weighted_tree, level_weights=[3, 2, 1], form="node")
    members = weighted_tree.membership()[1:]
    weights = np.array([3, 2, 1])[weighted_tree.depths[1:] - 1]
    for probabilities in (Q, P, torch.eye(5, dtype=torch.float64)[3]):
        predicted, wanted = members @ P.numpy(), members @ probabilities.numpy()
        expected = -(weights * (wanted * np.log(predicted) + (1 - wanted) * np.log1p(-predicted))).sum()
        check(loss(voxel(P.log()), voxel(probabilities)), expected)
    check(loss(voxel(P.log()), label(3)), expected)


def test_every_level_is_cross_entropy_at_every_cut(tree: LabelTree) -> None:
    """Shallow leaves (e1, e2 at depth 2) stand for themselves at depth 3, as in the cut at that level."""
    weights = [2.0, 0.5, 1.0]
    loss = TreeCrossEntropyLoss(tree, weights, every_level=True)
    expected = 0.0
    for level, weight in enumerate(weights, start=1):
        slices = [tree.leaf_slice(node.id) for node in tree.cut_at(level).nodes]
        expected -= weight * sum(float(Q[part].sum() * P[part].sum().log()) for part in slices)
    check(loss(voxel(P.log()), voxel(Q)), expected)
    logits = voxel(P.log()).requires_grad_()
    loss(logits, voxel(P)).backward()
    check(logits.grad, torch.zeros(1, 5, 1, 1))


@pytest.mark.parametrize(
    "make",
    [
        CrossEntropyLoss,
        lambda tree: TreeWassersteinLoss(tree, normalize=False),
        lambda tree: TreeCrossEntropyLoss(tree, [1, 2, 3]),
        lambda tree: TreeCrossEntropyLoss(tree, [1, 2, 3], form="node"),
    ],
)
def test_coarse_label_leaves_out_the_nodes_below(make: Callable[[LabelTree], torch.nn.Module], tree: LabelTree) -> None:
    """The label "tumour" costs what it costs in the tree where tumour is a leaf."""
    nodes = [node for node in tree.nodes if node.id not in ("t1", "t2")]
    pruned = LabelTree([replace(node, value=99) if node.id == "tum" else node for node in nodes], name="pruned")
    summed = torch.stack([P[0] + P[1], P[2], P[3], P[4]])
    expected = make(pruned)(summed.log().view(1, 4, 1, 1), label(pruned.leaf_index("tum")))
    check(make(tree)(voxel(P.log()), label(tree.class_index("tum"))), float(expected))
