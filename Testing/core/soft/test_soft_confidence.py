"""As deep as it is sure, and the doubt of one decision: against one voxel at a time, by the definition."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node
from softseg.types import OUTLIER_VALUE


def random_tree(generator: np.random.Generator, leaves: int, background: bool) -> LabelTree:
    """A tree whose leaves lie at different depths; groups of two to four, some put into groups again."""
    nodes = [Node("root", "root", None)]
    if background:
        nodes.append(Node("background", "background", "root", value=0))
    inner = ["root"]
    for leaf in range(leaves):
        parent = inner[int(generator.integers(len(inner)))]
        if generator.random() < 0.3:
            nodes.append(Node(f"g{leaf}", f"g{leaf}", parent))
            inner.append(f"g{leaf}")
            parent = f"g{leaf}"
        nodes.append(Node(f"l{leaf}", f"l{leaf}", parent, value=leaf + 1))
    return LabelTree(nodes)


def random_parcellation(seed: int, leaves: int, background: bool) -> tuple[SoftParcellation, np.ndarray]:
    """Return a parcellation of 48 voxels in a larger grid, and its stored steps: int ``(C, k, j, i)``."""
    generator = np.random.default_rng(seed)
    tree = random_tree(generator, leaves, background)
    total = len(tree.leaves)
    steps = np.zeros((total, 48), int)
    for voxel in range(48):
        number = min(total, int(generator.choice([1, 2, 3, 6, 20])))
        kept = generator.choice(total, number, replace=False)
        whole = int(generator.choice([255, 255, 254, 100, 0 if not background else 1]))
        steps[kept, voxel] = generator.multinomial(whole, generator.dirichlet(np.full(number, 0.5)))
    stored = np.argwhere(steps.T > 0)
    counts = (steps > 0).sum(axis=0).reshape(3, 4, 4).astype(np.uint8)
    leaf = stored[:, 1].astype(np.uint8 if total <= 256 else np.uint16)
    probabilities = steps.T[steps.T > 0].astype(np.uint8)
    grid = Geometry((6, 5, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    parcellation = SoftParcellation(tree, grid, (1, 1, 1), counts, leaf, probabilities)
    dense = np.zeros((total, *grid.shape), int)
    if parcellation.background is not None:
        dense[parcellation.background] = 255
    dense[(slice(None), *parcellation.box)] = steps.reshape(total, 3, 4, 4)
    return parcellation, dense


def deepest(tree: LabelTree, steps: np.ndarray, confidence: float) -> Node | None:
    """Return the deepest node that passes, by the definition; there must be only one of that depth."""
    sure = [node for node in tree.nodes if steps[tree.leaf_slice(node.id)].sum() >= confidence * 255 - 1e-6]
    if not sure:
        return None
    best = max(tree.depth_of(node.id) for node in sure)
    (answer,) = [node for node in sure if tree.depth_of(node.id) == best]
    return answer


@settings(max_examples=16, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 9, 40, 300]),
    st.booleans(),
    st.one_of(st.floats(0.5, 1.0), st.sampled_from([0.5, 0.6, 0.9, 1.0])),
)
def test_the_deepest_sure_node_answers(seed: int, leaves: int, background: bool, confidence: float) -> None:
    parcellation, dense = random_parcellation(seed, leaves, background)
    tree = parcellation.tree
    labels, depths = parcellation.confident_labels(confidence), parcellation.answer_depth(confidence)
    assert (labels.dtype, depths.dtype) == (np.uint16, np.uint8)
    values, unknown = tree.node_values(), OUTLIER_VALUE if background else 0
    for voxel in np.ndindex(*parcellation.geometry.shape):
        node = deepest(tree, dense[(slice(None), *voxel)], confidence)
        assert labels[voxel] == (unknown if node is None else values[node.id])
        assert depths[voxel] == (0 if node is None else tree.depth_of(node.id))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.floats(0.5, 1.0), min_size=2, max_size=4, unique=True))
def test_more_confidence_never_answers_deeper(seed: int, levels: list[float]) -> None:
    parcellation, _ = random_parcellation(seed, 20, True)
    for lower, higher in pairwise(sorted(levels)):
        assert (parcellation.answer_depth(higher) <= parcellation.answer_depth(lower)).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([3, 12, 300]), st.booleans())
def test_branch_entropy_is_that_of_the_children_given_the_node(seed: int, leaves: int, background: bool) -> None:
    parcellation, dense = random_parcellation(seed, leaves, background)
    tree = parcellation.tree
    for node in tree.inner_nodes[:6]:
        children = [dense[tree.leaf_slice(child.id)].sum(axis=0) for child in tree.children(node.id)]
        whole = np.maximum(sum(children), 1)
        parts = np.stack(children) / whole
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = -np.where(parts > 0, parts * np.log(parts), 0).sum(axis=0)
        expected[whole < math.ceil(0.05 * 255)] = 0
        np.testing.assert_allclose(parcellation.branch_entropy(node.id, normalize=False), expected, atol=2e-5)
        found = parcellation.branch_entropy(node.id)
        assert found.dtype == np.float32
        assert found.min() >= 0
        assert found.max() <= 1
        np.testing.assert_allclose(found, expected / max(np.log(len(children)), 1e-9), atol=2e-5)


def test_sure_of_the_cortex_and_unsure_of_the_side(small_tree: LabelTree) -> None:
    dense = np.zeros((len(small_tree.leaves), 1, 1, 4), np.float32)
    names = [leaf.id for leaf in small_tree.leaves]
    for voxel, probabilities in enumerate(
        [{"left": 1.0}, {"left": 0.5, "right": 0.5}, {"right": 0.6, "stem": 0.4}, {"background": 0.6, "left": 0.4}]
    ):
        for id_, probability in probabilities.items():
            dense[names.index(id_), 0, 0, voxel] = probability
    stored = SoftParcellation.from_dense(dense, small_tree, Geometry((4, 1, 1), (1, 1, 1), (0, 0, 0)))
    ids = {value: id_ for id_, value in small_tree.node_values().items()}
    assert [ids[value] for value in stored.confident_labels(0.9)[0, 0]] == ["left", "cortex", "brain", "head"]
    assert [ids[value] for value in stored.confident_labels(0.55)[0, 0]] == ["left", "cortex", "right", "background"]
    assert stored.answer_depth(0.9).tolist() == [[[3, 2, 1, 0]]]
    sides = stored.branch_entropy("cortex")[0, 0]
    assert sides[:3].tolist() == pytest.approx([0, 1, 0], abs=1e-3)
    assert not stored.branch_entropy("left").any()


def test_nothing_but_a_level_from_one_half_to_one(small_tree: LabelTree) -> None:
    grid = Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0))
    stored = SoftParcellation.from_dense(np.eye(6, 1, dtype=np.float32).reshape(6, 1, 1, 1), small_tree, grid)
    for level in (0.49, 1.01, math.nan, -1):
        with pytest.raises(InputError, match=r"expected a confidence from 0\.5 to 1"):
            stored.confident_labels(level)
    taken = stored.with_tree(small_tree.with_value("brain", OUTLIER_VALUE))
    with pytest.raises(InputError, match="65535 stands for what is unknown"):
        taken.confident_labels(0.9)
    with pytest.raises(InputError, match="no node 'cerebellum'"):
        stored.branch_entropy("cerebellum")


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 5, 30]), st.booleans())
def test_every_node_has_a_value_of_its_own(seed: int, leaves: int, background: bool) -> None:
    tree = random_tree(np.random.default_rng(seed), leaves, background)
    values = tree.node_values()
    assert list(values) == [node.id for node in tree.nodes]
    assert len(set(values.values())) == len(values)
    assert all(values[node.id] == node.value for node in tree.nodes if node.value is not None)
    for cut in (tree.cut_at(level) for level in range(tree.depth + 1)):
        assert cut.values == tuple(values[node.id] for node in cut.nodes)


@pytest.mark.parametrize("background", [True, False])
def test_outliers_are_unknown_whatever_their_probabilities(background: bool) -> None:
    parcellation, _ = random_parcellation(3, 9, background)
    steps = np.zeros(parcellation.geometry.shape, np.uint8)
    steps[2:4, 2, :] = 200
    scored = replace(parcellation, outliers=StoredOutliers.of_volume(steps, "energy", 0.5, 0.0, 1.0))
    found, plain = scored.confident_labels(0.7), parcellation.confident_labels(0.7)
    np.testing.assert_array_equal(found, np.where(steps > 0, OUTLIER_VALUE if background else 0, plain))
    np.testing.assert_array_equal(scored.answer_depth(0.7), np.where(steps > 0, 0, parcellation.answer_depth(0.7)))
    np.testing.assert_array_equal(scored.confident_labels(0.7, outliers=False), plain)
