"""A parcellation moved voxel by voxel: labels, probabilities and scores are those of the voxels that are taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node

SHAPE = (4, 5, 6)


def small_tree(background: bool = True) -> LabelTree:
    nodes = [Node("all", "all", None), Node("brain", "brain", "all")]
    nodes += [Node("left", "left", "brain", value=1), Node("right", "right", "brain", value=2)]
    return LabelTree([*nodes, Node("out", "out", "all", value=0 if background else 3)])


def parcellation(seed: int, background: bool = True) -> SoftParcellation:
    tree, random = small_tree(background), np.random.default_rng(seed)
    dense = random.dirichlet((0.4,) * len(tree.leaves), SHAPE).astype(np.float32)
    dense = np.moveaxis(dense, -1, 0).copy()
    dense[:, 0] = 0
    if background:
        dense[tree.leaf_index("out"), 0] = 1
    steps = random.integers(0, 256, SHAPE).astype(np.uint8)
    outliers = StoredOutliers.of_volume(steps, "energy", 0.5, 0.0, 1.0)
    made = SoftParcellation.from_dense(dense, tree, Geometry((6, 5, 4)))
    return SoftParcellation(
        made.tree, made.geometry, made.start, made.counts, made.leaves, made.shares, outliers=outliers
    )


@given(seed=st.integers(0, 1000), shape=st.tuples(*[st.integers(1, 7)] * 3), background=st.booleans())
def test_every_voxel_is_that_which_was_taken(seed: int, shape: tuple[int, int, int], background: bool) -> None:
    stored = parcellation(seed, background)
    source = np.random.default_rng(seed + 1).integers(-1, 120, shape)
    moved = stored.gathered(source, Geometry((shape[2], shape[1], shape[0])))
    for node in stored.tree.nodes:
        nothing = float(node.id in ("all", "out") and background)
        old = stored.probability(node.id).reshape(-1)
        expected = np.where(source < 0, np.float32(nothing), old[source])
        np.testing.assert_array_equal(moved.probability(node.id), expected)
    for level in (1, 2):
        old = stored.labels(level).reshape(-1)
        np.testing.assert_array_equal(moved.labels(level)[source >= 0], old[source][source >= 0])
    assert moved.outliers is not None
    assert stored.outliers is not None
    scores = np.where(source < 0, np.float32(0), stored.outliers.degree().reshape(-1)[source])
    np.testing.assert_array_equal(moved.outliers.degree(), scores)


def test_nothing_taken_is_all_background() -> None:
    moved = parcellation(0).gathered(np.full((2, 2, 2), -1), Geometry((2, 2, 2)))
    assert (moved.labels(2) == 0).all()
    assert moved.probability("out").min() == 1


@pytest.mark.parametrize(
    ("source", "size"), [(np.zeros((2, 2, 2), int), (3, 2, 2)), (np.full((1, 1, 1), 120), (1, 1, 1))]
)
def test_what_does_not_fit_is_refused(source: np.ndarray, size: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        parcellation(0).gathered(source, Geometry(size))


def test_the_voxel_of_a_sheared_grid_has_the_volume_of_its_parallelepiped() -> None:
    sheared = Geometry((2, 2, 2), (1.0, 2.0, 3.0), direction=(1.0, 0.6, 0.0, 0.0, 0.8, 0.0, 0.0, 0.0, 1.0))
    assert sheared.voxel_volume_ml == pytest.approx(abs(np.linalg.det(sheared.affine[:3, :3])) / 1000)
