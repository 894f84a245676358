"""Segments over each other: the deeper one of a branch wins, contradictions are counted and named."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.tree import LabelTree, Node
from softseg.tree.overlaps import CONTRADICTION, Overlaps
from softseg.types import IGNORE_INDEX

TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("brain", "brain", "head", value=9),
        Node("grey", "grey", "brain", value=1),
        Node("white", "white", "brain", value=2),
        Node("bone", "bone", "head", value=3),
    ]
)
INDEX = {node.id: TREE.class_index(node.id) for node in TREE.nodes}


def joined(*layers: str, order: list[str] | None = None) -> tuple[int, Overlaps]:
    overlaps, voxel = Overlaps(TREE, order), np.full((1, 1, 1), IGNORE_INDEX, np.int16)
    for layer in layers:
        overlaps.add(voxel, np.full((1, 1, 1), INDEX[layer] if layer else IGNORE_INDEX, np.int16))
    return int(voxel[0, 0, 0]), overlaps


@pytest.mark.parametrize(
    "layers", [("brain", "grey"), ("grey", "brain"), ("head", "grey", "brain"), ("grey", "", "grey")]
)
def test_of_one_branch_the_deepest_wins(layers):
    found, overlaps = joined(*layers)
    assert found == INDEX["grey"]
    assert not overlaps.contradictions
    assert not overlaps.note()


@pytest.mark.parametrize(
    "layers", [("grey", "white"), ("grey", "brain", "white"), ("brain", "grey", "bone"), ("bone", "brain")]
)
def test_contradictions_are_counted_and_named(layers):
    found, overlaps = joined(*layers)
    assert found == CONTRADICTION
    assert overlaps.voxels == 1
    pair = overlaps.contradictions[0]
    assert {pair.first, pair.second} <= set(layers)
    assert f"'{pair.first}' and '{pair.second}' (1 voxel)" in overlaps.note()
    for order in ([pair.first, pair.second], [pair.second, pair.first]):
        assert joined(*layers, order=order)[0] == INDEX[order[0]]


def test_voxels_of_each_pair_are_counted():
    overlaps, labels = Overlaps(TREE, ["grey"]), np.full((2, 3, 4), INDEX["grey"], np.int16)
    added = np.full(labels.shape, IGNORE_INDEX, np.int16)
    added[0], added[1, 0] = INDEX["white"], INDEX["bone"]
    overlaps.add(labels, added)
    assert [(one.second, one.voxels) for one in overlaps.contradictions] == [("white", 12), ("bone", 4)]
    assert (labels == INDEX["grey"]).all()
    assert (
        overlaps.note()
        == "segments contradict each other: 'grey' and 'white' (12 voxels), 'grey' and 'bone' (4 voxels)"
    )


@settings(deadline=None)
@given(st.lists(st.sampled_from(["", *INDEX]), max_size=6))
def test_whether_a_voxel_is_contradictory_does_not_depend_on_the_order(layers):
    found, _ = joined(*layers)
    paths = [{node.id for node in TREE.path(layer)} for layer in layers if layer]
    chain = all(one <= other or other <= one for one in paths for other in paths)
    deepest = max((layer for layer in layers if layer), key=TREE.depth_of, default=None)
    if not chain:
        assert found == CONTRADICTION
    elif deepest is None:
        assert found == IGNORE_INDEX
    else:
        assert found == INDEX[deepest]
