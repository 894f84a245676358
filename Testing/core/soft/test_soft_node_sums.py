"""Quick sums against plain ones: every voxel's stored leaves, one at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node


def tree_of(leaves: int, background: bool) -> LabelTree:
    """Two levels: groups of three leaves under the root; leaf values from 1, the background in front."""
    nodes = [Node("root", "root", None)]
    if background:
        nodes.append(Node("background", "background", "root", value=0))
    for group in range(math.ceil(leaves / 3)):
        nodes.append(Node(f"g{group}", f"g{group}", "root"))
        nodes += [
            Node(f"l{leaf}", f"l{leaf}", f"g{group}", value=leaf + 1)
            for leaf in range(3 * group, min(leaves, 3 * group + 3))
        ]
    return LabelTree(nodes)


def parcellation_of(seed: int, leaves: int, background: bool) -> SoftParcellation:
    """Return a random one of 60 voxels, from certain ones to ones with many equal probabilities, and empty ones."""
    generator = np.random.default_rng(seed)
    tree = tree_of(leaves, background)
    total, counts, all_leaves, all_probabilities = len(tree.leaves), [], [], []
    for _ in range(60):
        most = min(total, int(generator.choice([1, 2, 3, 5, 9, 20, 100])))
        number = int(generator.integers(0 if not background else 1, most + 1))
        kept = np.sort(generator.choice(total, number, replace=False))
        probabilities = (
            generator.multinomial(int(generator.choice([255, 254, 100])), np.ones(number) / number) if number else []
        )
        probabilities = np.maximum(probabilities, 1)
        counts.append(number)
        all_leaves.append(kept)
        all_probabilities.append(probabilities if np.sum(probabilities) <= 255 else np.ones(number))
    kind = np.uint8 if total <= 256 else np.uint16
    return SoftParcellation(
        tree,
        Geometry((6, 6, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
        (1, 1, 1),
        np.reshape(counts, (3, 4, 5)).astype(np.uint8),
        np.concatenate(all_leaves).astype(kind),
        np.concatenate(all_probabilities).astype(np.uint8),
    )


def steps_of(parcellation: SoftParcellation) -> np.ndarray:
    """Return the stored probabilities of the whole grid, dense: int ``(C, k, j, i)``, in steps of 1/255."""
    dense = np.zeros((len(parcellation.tree.leaves), parcellation.counts.size), int)
    entry = 0
    for voxel, count in enumerate(parcellation.counts.reshape(-1).tolist()):
        for leaf, probability in zip(
            parcellation.leaves[entry : entry + count], parcellation.shares[entry : entry + count], strict=True
        ):
            dense[leaf, voxel] = probability
        entry += count
    out = np.zeros((len(dense), *parcellation.geometry.shape), int)
    if parcellation.background is not None:
        out[parcellation.background] = 255
    out[(slice(None), *parcellation.box)] = dense.reshape(-1, *parcellation.counts.shape)
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 7, 40, 254, 255, 256, 300]), st.booleans())
def test_every_question_is_answered_as_by_plain_sums(seed: int, leaves: int, background: bool) -> None:
    parcellation = parcellation_of(seed, leaves, background)
    tree, steps = parcellation.tree, steps_of(parcellation)
    for node in (tree.root, tree.inner_nodes[-1], tree.leaves[0], tree.leaves[-1]):
        expected = steps[tree.leaf_slice(node.id)].sum(axis=0)
        np.testing.assert_array_equal(
            parcellation.probability(node.id), (expected / np.float32(255)).astype(np.float32)
        )
    for cut in (tree.cut_at(0), tree.cut_at(1), tree.cut_at(2)):
        sums = np.stack([steps[tree.leaf_slice(node.id)].sum(axis=0) for node in cut.nodes])
        values = np.where(sums.max(axis=0) > 0, np.array(cut.values)[sums.argmax(axis=0)], 0)
        np.testing.assert_array_equal(parcellation.labels(cut), values)
        probabilities = sums / 255
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(sums > 0, probabilities * np.log(probabilities), 0).sum(axis=0)
        np.testing.assert_allclose(parcellation.entropy(cut), entropy, atol=1e-5)
        for volume, position in zip(parcellation.volumes(cut), range(len(cut.nodes)), strict=True):
            wins = (sums.argmax(axis=0) == position) & (sums.max(axis=0) > 0)
            assert volume.soft_ml == pytest.approx(sums[position].sum() / 255 / 1000)
            assert volume.hard_ml == pytest.approx(wins.sum() / 1000)
            if wins.any():
                assert volume.certainty == pytest.approx(probabilities[position][wins].mean())
            else:
                assert math.isnan(volume.certainty)


def test_most_voxels_need_no_sums() -> None:
    """What makes it fast: one leaf with all of the probability, or one with more than half, is answered by a table."""
    tree = tree_of(3, background=True)
    dense = np.zeros((4, 1, 1, 4), np.float32)
    dense[0, ..., 0] = dense[1, ..., 1] = 1
    dense[:, 0, 0, 2] = 0.1, 0.6, 0.3, 0
    dense[:, 0, 0, 3] = 0.4, 0.3, 0.3, 0
    sums = SoftParcellation.from_dense(dense, tree, Geometry((4, 1, 1), (1, 1, 1), (0, 0, 0))).sums
    assert [group.voxels.tolist() for group in sums.groups] == [[1, 2]]
    assert [group.voxels.tolist() for group in sums.undecided] == [[2]]
    assert sums.certain.tolist() == [1, 4, 4]
    assert sums.largest.tolist() == [1, 1, 4]


def test_the_first_of_equal_nodes_wins() -> None:
    tree = tree_of(4, background=True)
    dense = np.zeros((5, 1, 1, 1), np.float32)
    dense[:, 0, 0, 0] = 0.2, 0.2, 0.2, 0.0, 0.4
    parcellation = SoftParcellation.from_dense(dense, tree, Geometry((1, 1, 1), (1, 1, 1), (0, 0, 0)))
    assert parcellation.labels(2).item() == 4
    assert parcellation.labels(1).item() == tree.cut_at(1).values[1]  # 0.4 and 0.4
