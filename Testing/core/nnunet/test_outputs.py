"""What channels of nnU-Net mean on a tree: labels, coarse labels and nested regions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.nnunet.outputs import TreeChannels
from softseg.tree import LabelTree, Node

FILE = Path("/nowhere/dataset.json")
TUMOUR = {
    "labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]},
    "regions_class_order": [1, 2, 3],
}
"""As nnU-Net's documentation has it for brain tumours."""


def outputs(description: dict[str, Any], tree: LabelTree | None = None) -> TreeChannels:
    return TreeChannels.of(description, FILE, "test", tree)


def nodes(found: TreeChannels, leaves: np.ndarray) -> dict[str, float]:
    return {node.id: float(leaves[found.tree.leaf_slice(node.id)].sum()) for node in found.tree.nodes}


def test_labels_without_a_tree_make_a_flat_one_in_their_order() -> None:
    found = outputs({"labels": {"background": 0, "b": 2, "a": 1, "ignore": 3}})
    assert [(leaf.id, leaf.value) for leaf in found.tree.leaves] == [("background", 0), ("a", 1), ("b", 2)]
    said = np.float32([0.2, 0.5, 0.3])[:, None]
    np.testing.assert_array_equal(found.to_leaves(said)[0], said)


def test_nested_regions_become_nested_nodes_with_their_own_probabilities() -> None:
    found = outputs(TUMOUR)
    assert [leaf.value for leaf in found.tree.leaves] == [0, 3, 2, 1]
    leaves, most = found.to_leaves(np.float32([0.9, 0.6, 0.1])[:, None])
    assert most <= 0
    said = nodes(found, leaves)
    assert {name: round(said[name], 5) for name in ("whole", "core", "enhancing", "background")} == {
        "whole": 0.9, "core": 0.6, "enhancing": 0.1, "background": 0.1,
    }  # fmt: skip


def test_inner_regions_are_believed_and_said_so() -> None:
    """nnU-Net writes the inner label over the outer one, however sure it is of that."""
    found = outputs(TUMOUR)
    leaves, most = found.to_leaves(np.float32([0.2, 0.3, 0.7])[:, None])
    said = nodes(found, leaves)
    assert [round(said[name], 5) for name in ("whole", "core", "enhancing")] == [0.7, 0.7, 0.7]
    assert most == pytest.approx(0.5)


def test_regions_filled_by_their_parts_and_regions_side_by_side() -> None:
    labels = {"background": 0, "pair": [1, 2], "left": 1, "right": 2, "other": 3}
    found = outputs({"labels": labels, "regions_class_order": [1, 1, 2, 3]})
    names = ("pair", "left", "right", "other", "background")
    assert [leaf.id for leaf in found.tree.leaves] == ["background", "left", "right", "other"]
    said = nodes(found, found.to_leaves(np.float32([0.8, 0.3, 0.1, 0.2])[:, None])[0])
    assert [round(said[name], 5) for name in names] == [
        0.8,
        0.6,
        0.2,
        0.2,
        0,
    ]
    said = nodes(found, found.to_leaves(np.float32([0.8, 0.0, 0.0, 0.8])[:, None])[0])
    assert [round(said[name], 5) for name in names] == [
        0.5,
        0.25,
        0.25,
        0.5,
        0,
    ]


@settings(deadline=None)
@given(st.tuples(*[st.floats(0, 1, width=32)] * 3))
def test_any_answer_of_regions_is_a_distribution(answer: tuple[float, float, float]) -> None:
    found, said = outputs(TUMOUR), np.float32(answer)[:, None]
    leaves, most = found.to_leaves(said)
    np.testing.assert_allclose(leaves.sum(axis=0), 1, atol=1e-5)
    assert leaves.min() >= -1e-6
    for channel, name in enumerate(("whole", "core", "enhancing")):
        node = leaves[found.tree.leaf_slice(name)].sum(axis=0)
        assert np.abs(node - said[channel]).max() <= max(most, 0) + 1e-5


@pytest.mark.parametrize(
    ("labels", "order", "message"),
    [
        ({"background": 0, "a": [1, 2], "b": [2, 3]}, [1, 2], "'a' and 'b' overlap without nesting, which"),
        ({"background": 0, "a": [1, 2], "b": [2, 1]}, [1, 2], "'a' and 'b' are the same"),
        ({"background": 0, "a": [1, 2], "b": [2]}, [1], r"regions_class_order: expected 2 label values"),
        ({"background": 0, "a": [1, 2], "b": [2]}, None, r"regions_class_order: expected 2 label values"),
        ({"background": 0, "a": 2}, None, r"labels: expected the values 0, 1, 2 \.\.\. without gaps"),
    ],
)  # fmt: skip
def test_what_no_tree_can_say_is_refused(labels: dict[str, Any], order: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        outputs({"labels": labels, "regions_class_order": order})


def brain(coarse: int | None = None) -> LabelTree:
    return LabelTree(
        [
            Node("root", "head", None),
            Node("background", "background", "root", value=0),
            Node("brain", "brain", "root", value=coarse),
            Node("white", "white matter", "brain", value=2),
            Node("grey", "grey matter", "brain", value=1),
        ],
        "brain",
    )


def test_the_tree_of_the_training_is_found_by_value_and_coarse_labels_go_to_their_leaves() -> None:
    labels = {"background": 0, "x": 1, "y": 2, "some brain": 3}
    found = outputs({"labels": labels, "softseg_tree": brain(3).to_json()})
    assert found.tree == brain(3)
    leaves, _ = found.to_leaves(np.float32([[0.1, 0.4], [0.3, 0], [0.1, 0], [0.5, 0.6]]))
    np.testing.assert_allclose(leaves, [[0.1, 0.4], [0.225, 0.3], [0.675, 0.3]], atol=1e-6)  # background, white, grey
    with pytest.raises(InputError, match=r"labels\.some brain: the tree 'brain' has no node of the value 3"):
        outputs({"labels": labels, "softseg_tree": brain().to_json()})


def test_a_tree_that_is_asked_for_is_found_by_name() -> None:
    found = outputs({"labels": {"background": 0, "White matter": 1, "Grey matter": 2}}, brain())
    leaves, _ = found.to_leaves(np.float32([0.1, 0.7, 0.2])[:, None])
    assert nodes(found, leaves)["white"] == pytest.approx(0.7)
    with pytest.raises(InputError, match=r"labels: maps that no node of the tree .*liver.*; name a tree whose"):
        outputs({"labels": {"background": 0, "liver": 1}}, brain())
