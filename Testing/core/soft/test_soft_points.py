"""Single voxels say what the maps say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.points import PointReader
from softseg.tree import LabelTree, Node


@pytest.fixture(scope="module", params=["with background", "without background"])
def voxels(request, small_tree, helpers):
    """A parcellation whose box is smaller than its grid, the maps of its leaves, and a reader."""
    geometry = Geometry((20, 24, 18))
    if request.param == "with background":
        tree = small_tree
    else:
        tree = LabelTree([Node("root", "root", None), *[Node(f"n{n}", f"n{n}", "root", value=n + 1) for n in range(4)]])
    dense = helpers["blobs"](len(tree.leaves), geometry.shape)
    dense[:, :3] = 0
    if tree.background is not None:
        dense[0, :3] = 1
    parcellation = SoftParcellation.from_dense(dense, tree, geometry)
    return parcellation, [parcellation.probability(leaf.id) for leaf in tree.leaves], PointReader(parcellation)


@given(st.integers(-2, 20), st.integers(-2, 26), st.integers(-2, 22))
def test_the_probabilities_of_a_voxel_are_those_of_the_maps(voxels, k, j, i):
    parcellation, maps, reader = voxels
    probabilities = reader.probabilities((k, j, i))
    if not all(0 <= at < size for at, size in zip((k, j, i), parcellation.geometry.shape, strict=True)):
        assert probabilities is None
        return
    for leaf, map_ in enumerate(maps):
        assert probabilities.get(leaf, 0.0) == pytest.approx(float(map_[k, j, i]), abs=1e-6)
    assert reader.node_probability(probabilities, parcellation.tree.root.id) == pytest.approx(
        sum(probabilities.values())
    )


def test_a_node_that_is_not_there_is_named(voxels):
    _, _, reader = voxels
    with pytest.raises(InputError, match="no node 'nothing'"):
        reader.node_probability({0: 1.0}, "nothing")


def test_an_empty_box_is_background(small_tree):
    dense = np.zeros((len(small_tree.leaves), 4, 5, 6), np.float32)
    dense[0] = 1
    reader = PointReader(SoftParcellation.from_dense(dense, small_tree, Geometry((6, 5, 4))))
    assert reader.probabilities((1, 2, 3)) == {0: 1.0}
