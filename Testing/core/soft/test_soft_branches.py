"""Decisions along a tree and their temperatures: against plain sums, the chain rule, and softmax with a temperature."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.soft.branches import Decisions
from softseg.soft.calibration import Calibration
from softseg.tree import LabelTree, Node


def random_tree(seed: int, leaves: int) -> LabelTree:
    """A tree whose leaves lie at different depths, with nodes of one child among them."""
    generator = np.random.default_rng(seed)
    nodes, inner = [Node("root", "root", None)], ["root"]
    for leaf in range(leaves):
        parent = inner[int(generator.integers(len(inner)))]
        if generator.random() < 0.4:
            nodes.append(Node(f"g{leaf}", f"g{leaf}", parent))
            inner.append(f"g{leaf}")
            parent = f"g{leaf}"
        nodes.append(Node(f"l{leaf}", f"l{leaf}", parent, value=leaf))
    return LabelTree(nodes)


def flat_tree(leaves: int) -> LabelTree:
    return LabelTree([Node("r", "r", None), *(Node(f"l{n}", f"l{n}", "r", value=n) for n in range(leaves))])


def distributions(seed: int, leaves: int, voxels: int = 50) -> np.ndarray:
    """Return float64 ``[C, n]``, sharp and flat ones, some with zeros."""
    generator = np.random.default_rng(seed)
    drawn = generator.dirichlet(np.full(leaves, 0.3), voxels).T
    drawn[drawn < 0.01] = 0
    return drawn / drawn.sum(axis=0)


def plain_entropy(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        return -np.where(probabilities > 0, probabilities * np.log(probabilities), 0).sum(axis=0)


TREES = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 30))


@settings(max_examples=25, deadline=None)
@given(TREES)
def test_probabilities_of_nodes_are_sums_of_their_leaves(drawn: tuple[int, int]) -> None:
    tree, probabilities = random_tree(*drawn), distributions(*drawn)
    found = Decisions.of(tree).node_probabilities(probabilities)
    member = tree.membership()
    order = np.argsort(tree.depths, kind="stable")
    np.testing.assert_allclose(found, (member @ probabilities)[order], atol=1e-12)
    classes = np.stack([np.arange(50) % len(tree.leaves), len(tree.leaves) + np.arange(50) % len(tree.inner_nodes)])
    halves = np.full((2, 50), 0.5, np.float32)
    dense = np.zeros((len(tree.nodes), 50))
    for column in range(50):
        for index in classes[:, column]:
            for node in tree.path(tree.class_nodes[index].id):
                dense[tree.position(node.id), column] += 0.5
    np.testing.assert_allclose(Decisions.of(tree).probabilities_of_classes(classes, halves), dense[order], atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(TREES)
def test_the_entropy_of_the_leaves_is_the_sum_over_decisions(drawn: tuple[int, int]) -> None:
    tree, probabilities = random_tree(*drawn), distributions(*drawn)
    decisions = Decisions.of(tree)
    nodes = decisions.node_probabilities(probabilities)
    each = decisions.entropies(nodes)
    assert each.shape == (len(tree.inner_nodes), 50)
    np.testing.assert_allclose((nodes[decisions.inner] * each).sum(axis=0), plain_entropy(probabilities), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(TREES, st.floats(0.3, 3.0))
def test_decisions_are_sharpened_one_by_one(drawn: tuple[int, int], exponent: float) -> None:
    tree, probabilities = random_tree(*drawn), distributions(*drawn)
    decisions = Decisions.of(tree)
    exponents = [exponent * (1 + 0.1 * depth) for depth in range(tree.depth)]
    found = decisions.sharpened(probabilities, exponents)
    expected = np.ones_like(probabilities)
    for leaf in tree.leaves:
        for parent, child in zip(tree.path(leaf.id)[:-1], tree.path(leaf.id)[1:], strict=True):
            power = exponents[tree.depth_of(parent.id)]
            parts = [probabilities[tree.leaf_slice(node.id)].sum(axis=0) ** power for node in tree.children(parent.id)]
            own = probabilities[tree.leaf_slice(child.id)].sum(axis=0) ** power
            whole = np.sum(parts, axis=0)
            expected[tree.leaf_index(leaf.id)] *= np.where(whole > 0, own / np.where(whole > 0, whole, 1), 0)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=0), 1, atol=1e-7)
    assert ((found > 0) <= (probabilities > 0)).all()


def test_on_a_flat_tree_it_is_temperature_scaling_of_logits() -> None:
    from scipy.special import softmax

    logits = np.random.default_rng(0).normal(size=(200, 7)).astype(np.float32) * 6
    found = Calibration((2.5,)).apply(softmax(logits, axis=1), flat_tree(7))
    np.testing.assert_allclose(found, softmax(logits / 2.5, axis=1), atol=2e-5)
    assert found.dtype == np.float32


@settings(max_examples=15, deadline=None)
@given(TREES, st.lists(st.floats(0.3, 4.0), min_size=30, max_size=30))
def test_calibration_keeps_sums_winners_and_certainty(drawn: tuple[int, int], temperatures: list[float]) -> None:
    tree = random_tree(*drawn)
    probabilities = (distributions(*drawn).T * 0.8).astype(np.float32).reshape(5, 10, -1)
    probabilities[0, 0] = 0
    probabilities[0, 1] = 0
    probabilities[0, 1, 0] = 1
    found = Calibration(tuple(temperatures[: tree.depth])).apply(probabilities, tree)
    np.testing.assert_allclose(found.sum(axis=-1), probabilities.sum(axis=-1), atol=1e-5)
    np.testing.assert_array_equal(found[0, :2], probabilities[0, :2])
    for node in tree.inner_nodes:
        before, after = (
            np.stack([s[..., tree.leaf_slice(child.id)].sum(axis=-1) for child in tree.children(node.id)])
            for s in (probabilities, found)
        )
        best = before.argmax(axis=0)
        np.testing.assert_allclose(np.take_along_axis(after, best[None], 0)[0], after.max(axis=0), atol=1e-6)


def test_a_temperature_of_1_changes_no_bit() -> None:
    probabilities = distributions(3, 9).T.astype(np.float32)
    tree = random_tree(3, 9)
    assert Calibration((1.0,) * tree.depth).apply(probabilities, tree) is probabilities


def test_files(tmp_path: Path) -> None:
    tree = random_tree(5, 8)
    file = tmp_path / "calibration.json"
    made = Calibration(tuple(1 + 0.25 * depth for depth in range(tree.depth)), {"split": "val", "voxels": 7})
    made.save(file)
    assert Calibration.load(file, tree) == made
    for content, message in (
        ("{", "is not valid JSON"),
        (json.dumps({"temperatures": [1.0]}), "expected format version 1, got None"),
        (json.dumps({"format_version": 9, "temperatures": [1.0]}), "expected format version 1, got 9"),
        (json.dumps({"format_version": 1, "temperatures": "1"}), "temperatures: expected a list of numbers"),
        (json.dumps({"format_version": 1, "temperatures": [1.0] * 40}), "one for each level of the tree, got 40"),
        (
            json.dumps({"format_version": 1, "temperatures": [0.0] * tree.depth}),
            r"temperatures\[0\]: expected a temperature from 0.05 to 20, got 0.0",
        ),
    ):
        file.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=message) as caught:
            Calibration.load(file, tree)
        assert caught.value.file == str(file)


@settings(max_examples=15, deadline=None)
@given(TREES, st.lists(st.floats(0.3, 3.0), min_size=30, max_size=30), st.floats(3, 12))
def test_what_is_left_alone_would_not_have_changed(
    drawn: tuple[int, int], temperatures: list[float], digits: float
) -> None:
    """Nearly sure voxels are not worked on; had they been, no probability would have moved by more than 0.001."""
    tree = random_tree(*drawn)
    tails = distributions(*drawn).T * 10**-digits
    probabilities = (tails + np.eye(len(tree.leaves))[np.arange(50) % len(tree.leaves)] * (1 - 10**-digits)).astype(
        np.float32
    )
    chosen = tuple(temperatures[: tree.depth])
    exact = Decisions.of(tree).sharpened(probabilities.T.astype(np.float64), [1 / value for value in chosen]).T
    np.testing.assert_allclose(Calibration(chosen).apply(probabilities, tree), exact, atol=1.01e-3)


def test_a_tiny_probability_beside_certainty_is_raised_by_a_high_temperature() -> None:
    """1 and 1e-8 add up to 1 in single precision; with a temperature of 3 the small one becomes 0.002."""
    probabilities = np.array([[1.0, 1.07e-8]], np.float32)
    found = Calibration((3.0,)).apply(probabilities, flat_tree(2))
    np.testing.assert_allclose(found[0, 1], 1.07e-8 ** (1 / 3) / (1 + 1.07e-8 ** (1 / 3)), rtol=1e-4)
