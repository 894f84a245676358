"""The tables that the tree losses compute with, against the tree's own membership matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from softseg.losses import TreeCrossEntropyLoss
from softseg.losses.node_array import NodeArray
from softseg.losses.tree_layout import TreeLayout
from softseg.tree import LabelTree

MakeTree = Callable[[np.random.Generator, int], LabelTree]


@pytest.mark.parametrize("seed", range(30))
def test_sums_up_and_down_are_the_membership_matrix(seed: int, random_tree: MakeTree) -> None:
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, int(generator.integers(2, 30)))
    layout = TreeLayout.from_tree(tree)
    members = torch.from_numpy(tree.membership().astype(float))
    members = members[[tree.position(id_) for id_ in layout.ids]]
    values = torch.rand(layout.rows, 7, dtype=torch.float64)
    summed, pushed = values.clone(), values.clone()
    NodeArray(layout, summed[: layout.classes], summed[layout.classes :]).sum_up()
    torch.testing.assert_close(summed, members @ values[: layout.classes])
    NodeArray(layout, pushed[: layout.classes], pushed[layout.classes :]).push_down()
    torch.testing.assert_close(pushed[: layout.classes], members.T @ values)


def test_siblings_are_summed_together() -> None:
    """Four pairs below one parent: one step for the pairs, one for the parent."""
    from softseg.tree import Node

    nodes = [Node(id="root", name="root", parent=None), Node(id="all", name="all", parent="root")]
    for pair in range(4):
        nodes.append(Node(id=f"p{pair}", name=f"p{pair}", parent="all"))
        nodes += [
            Node(id=f"p{pair}{side}", name=side, parent=f"p{pair}", value=10 * pair + value)
            for value, side in enumerate("lr")
        ]
    assert [step.width for step in TreeLayout.from_tree(LabelTree(nodes)).sums] == [2, 4]


@pytest.mark.parametrize("form", ["path", "node"])
@pytest.mark.parametrize("seed", range(5))
def test_any_tree_agrees_with_the_formula(seed: int, form: str, random_tree: MakeTree) -> None:
    """Against a dense evaluation over all nodes, for soft targets and for every class index."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, 12)
    classes = len(tree.leaves)
    weights = generator.uniform(0.1, 2, tree.depth)
    loss = TreeCrossEntropyLoss(tree, weights.tolist(), form)  # type: ignore[arg-type]
    probabilities = generator.dirichlet(np.ones(classes), 2)
    members, per_node = tree.membership()[1:], weights[tree.depths[1:] - 1]
    predicted = members @ probabilities[0]
    inside, outside = np.log(predicted), np.log(np.maximum(1 - predicted, 1e-300))
    logits = torch.from_numpy(probabilities[0]).log().view(1, classes, 1, 1)

    wanted = members @ probabilities[1]
    expected = -(per_node * wanted * inside).sum()
    if form == "node":
        proper = members.sum(1) < classes
        expected -= (per_node * (1 - wanted) * outside)[proper].sum()
    got = float(loss(logits, torch.from_numpy(probabilities[1]).view(1, classes, 1, 1)))
    assert got == pytest.approx(expected, rel=1e-9)

    for node in tree.nodes[1:]:
        path = {each.id for each in tree.path(node.id)}
        branch = {each.id for each in tree.branch(node.id)}
        on = np.array([each.id in path for each in tree.nodes[1:]])
        beside = np.array([each.id not in path | branch for each in tree.nodes[1:]])
        expected = -(per_node * on * inside).sum() - (form == "node") * (per_node * beside * outside)[beside].sum()
        got = float(loss(logits, torch.full((1, 1, 1, 1), tree.class_index(node.id))))
        assert got == pytest.approx(expected, rel=1e-9)
