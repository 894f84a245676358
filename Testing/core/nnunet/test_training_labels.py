"""nnU-Net's channels and label values on a tree: the losses see what they would see of our own labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.losses import build_loss
from softseg.nnunet.loss import LossOnChannels
from softseg.nnunet.training_labels import TrainingLabels, training_tree
from softseg.tree import LabelTree, Node

FILE = Path("dataset.json")
PARTS = [{"name": "wasserstein-cross-entropy"}, {"name": "dice", "batch": True}]


def head(order: tuple[int, ...] = (0, 1, 2, 3), grey: int | None = None) -> LabelTree:
    """A head whose leaves have these label values."""
    background, left, right, white = order
    return LabelTree(
        [
            Node("root", "head", None),
            Node("background", "background", "root", value=background),
            Node("grey", "grey matter", "root", value=grey),
            Node("left", "left", "grey", value=left),
            Node("right", "right", "grey", value=right),
            Node("white", "white matter", "root", value=white),
        ],
        "head",
    )


def description(tree: LabelTree, **more: int) -> dict[str, Any]:
    return {"labels": {node.id: node.value for node in tree.nodes if node.value is not None} | more}


def labels_of(tree: LabelTree, **more: int) -> TrainingLabels:
    return TrainingLabels.of(description(tree, **more), tree, FILE)


@settings(deadline=None, max_examples=20)
@given(st.permutations((1, 2, 3)), st.integers(0, 2**31))
def test_any_order_of_values_gives_the_loss_of_the_leaves(values: list[int], seed: int) -> None:
    order = (0, *values)
    draw = torch.Generator().manual_seed(seed)
    by_leaf = torch.randn(2, 4, 3, 4, 5, generator=draw)
    classes = torch.randint(0, 4, (2, 1, 3, 4, 5), generator=draw)
    by_channel, target = torch.empty_like(by_leaf), torch.empty_like(classes)
    for leaf, value in enumerate(order):
        by_channel[:, value] = by_leaf[:, leaf]
        target[classes == leaf] = value
    expected = build_loss(PARTS, head())(by_leaf, classes)
    found = LossOnChannels(labels_of(head(order)), PARTS)(by_channel, target.float())
    torch.testing.assert_close(found, expected)


def test_ignored_voxels_have_no_gradient() -> None:
    logits = torch.randn(1, 4, 6, 6, requires_grad=True)
    target = torch.randint(0, 4, (1, 1, 6, 6), dtype=torch.int16)
    target[..., :3] = 4
    LossOnChannels(labels_of(head(), ignore=4), PARTS)(logits, target).backward()
    assert logits.grad is not None
    assert not logits.grad[..., :3].any()
    assert logits.grad[..., 3:].any()


def test_a_coarse_label_says_nothing_about_its_parts_and_its_channel_is_driven_out() -> None:
    tree = head(grey=4)
    parts = [{"name": "tree-cross-entropy"}]
    loss = LossOnChannels(labels_of(tree), parts)
    logits = torch.zeros(1, 5, 4, 4, requires_grad=True)
    loss(logits, torch.full((1, 1, 4, 4), 4.0)).backward()
    slopes = torch.as_tensor(logits.grad)[0, :, 0, 0]
    assert slopes[1] == pytest.approx(slopes[2]), "left and right are not told apart"
    assert slopes[1] < 0, "grey matter is pulled up"
    assert min(slopes[0], slopes[3], slopes[4]) > 0, "all else, with the channel of the coarse label, is pushed down"

    ascent = torch.zeros(1, 5, 4, 4, requires_grad=True)
    optimizer = torch.optim.Adam([ascent], 0.3)
    target = torch.tensor([0, 1, 2, 3, 4]).repeat(4)[:16].reshape(1, 1, 4, 4)
    for _ in range(200):
        optimizer.zero_grad()
        loss(ascent, target).backward()
        optimizer.step()
    assert torch.softmax(ascent, 1)[:, 4].max() < 1e-3


@pytest.mark.parametrize(
    ("labels", "tree", "message"),
    [
        ({"background": 0, "grey": [1, 2], "left": 1}, head(), r"dataset.json: labels: 'grey' is a region"),
        ({"background": 0, "left": 1, "right": 2}, head(), r"labels: no label is the leaf 'white'"),
        ({"background": 0, "l": 1, "r": 2, "w": 3, "x": 4}, head(), r"labels\.x: the tree 'head' has no node of"),
        ({"background": 0, "l": 1, "r": 3, "w": 5}, head((0, 1, 3, 5)), r"expected the values 0, 1, 2"),
    ],
)  # fmt: skip
def test_descriptions_that_do_not_fit_the_tree(labels: dict[str, Any], tree: LabelTree, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainingLabels.of({"labels": labels}, tree, FILE)


def test_where_the_tree_stands(tmp_path: Path) -> None:
    preprocessed, raw = tmp_path / "preprocessed", tmp_path / "raw"
    preprocessed.mkdir()
    raw.mkdir()
    with pytest.raises(InputError, match=r"softseg_tree: this trainer needs a label tree; put it there"):
        training_tree({}, [preprocessed, raw])
    head().save(raw / "softseg_tree.json")
    assert training_tree({}, [preprocessed, raw]) == head()
    head((0, 2, 1, 3)).save(preprocessed / "mine.json")
    assert training_tree({"softseg_tree": "mine.json"}, [preprocessed, raw]) == head((0, 2, 1, 3))
    held = json.loads(json.dumps(head((0, 3, 1, 2)).to_json()))
    assert training_tree({"softseg_tree": held}, [preprocessed, raw]) == head((0, 3, 1, 2))
