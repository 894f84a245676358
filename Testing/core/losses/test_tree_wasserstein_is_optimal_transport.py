"""The tree Wasserstein loss is the exact cost of optimal transport: POT solves the same problem as a linear program."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import ot
import pytest
import torch

from softseg.losses import TreeWassersteinLoss
from softseg.tree import LabelTree

MakeTree = Callable[[np.random.Generator, int], LabelTree]


@pytest.mark.parametrize("seed", range(200))
def test_equals_linear_program(seed: int, random_tree: MakeTree) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, int(generator.integers(2, 14)))
    classes = len(tree.leaves)
    predicted, wanted = generator.dirichlet(np.full(classes, 0.5), 2)
    predicted = np.maximum(predicted, 1e-12) / np.maximum(predicted, 1e-12).sum()
    if seed % 4 == 0:
        wanted = np.eye(classes)[generator.integers(classes)]
    expected = ot.emd2(predicted, wanted, tree.distance_matrix())
    logits = torch.from_numpy(predicted).log().view(1, classes, 1, 1)
    value = TreeWassersteinLoss(tree, normalize=False)(logits, torch.from_numpy(wanted).view(1, classes, 1, 1))
    assert float(value) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("seed", range(20))
def test_crisp_leaf_costs_the_mean_distance(seed: int, random_tree: MakeTree) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, 9)
    classes = len(tree.leaves)
    predicted = generator.dirichlet(np.ones(classes))
    logits = torch.from_numpy(predicted).log().view(1, classes, 1, 1)
    for leaf in range(classes):
        value = TreeWassersteinLoss(tree)(logits, torch.full((1, 1, 1, 1), leaf))
        assert float(value) == pytest.approx(predicted @ tree.distance_matrix(normalize=True)[:, leaf], abs=1e-9)


def test_inner_node_costs_the_distance_to_that_node(random_tree: MakeTree) -> None:
    generator = np.random.default_rng(3)
    tree = random_tree(generator, 9)
    classes = len(tree.leaves)
    predicted = generator.dirichlet(np.ones(classes))
    logits = torch.from_numpy(predicted).log().view(1, classes, 1, 1)
    for node in tree.inner_nodes[1:]:
        target = torch.full((1, 1, 1, 1), tree.class_index(node.id))
        value = TreeWassersteinLoss(tree, normalize=False)(logits, target)
        cost = [_distance(tree, leaf.id, node.id) for leaf in tree.leaves]
        assert float(value) == pytest.approx(predicted @ np.array(cost), abs=1e-9)


def _distance(tree: LabelTree, leaf: str, node: str) -> float:
    """Length of the path from a leaf to a node, 0 for a leaf below it."""
    up, down = ({each.id: each.weight for each in tree.path(id_)} for id_ in (leaf, node))
    if node in up:
        return 0.0
    return sum(weight for id_, weight in {**up, **down}.items() if (id_ in up) != (id_ in down))
