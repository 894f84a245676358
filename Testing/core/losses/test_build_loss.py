"""Losses by recipe."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import softseg.losses
from softseg.errors import InputError
from softseg.losses import TreeCrossEntropyLoss, WassersteinCrossEntropyLoss, build_loss
from softseg.losses.compound import LOSSES
from softseg.losses.tree_layout import TreeLayout
from softseg.tree import LabelTree, Node


def test_public_names() -> None:
    assert softseg.losses.__all__ == [
        "AdaptiveWingLoss",
        "CalibrationErrorLoss",
        "CrossEntropyLoss",
        "DiceLoss",
        "GeneralizedWassersteinDiceLoss",
        "TreeCrossEntropyLoss",
        "TreeDiceLoss",
        "TreeWassersteinLoss",
        "WassersteinCrossEntropyLoss",
        "build_loss",
    ]
    assert all(hasattr(softseg.losses, name) for name in softseg.losses.__all__)


@pytest.mark.parametrize("kind", ["crisp", "mixed", "soft"])
def test_compound_is_the_weighted_sum(kind: str, tree: LabelTree, logits: Tensor, targets: dict[str, Tensor]) -> None:
    specs = [
        {"name": "cross-entropy", "weight": 0.25},
        {"name": "dice", "weight": 0.75, "batch": True},
        {"name": "tree-wasserstein", "normalize": False},
        {"name": "tree-cross-entropy", "weight": 3, "level_weights": [1, 2, 3]},
        {"name": "tree-cross-entropy", "form": "node"},
    ]
    total = build_loss(specs, tree)(logits, targets[kind])
    companion = {"name": "cross-entropy", "weight": 1e-12}
    parts = [build_loss([spec, companion], tree)(logits, targets[kind]) for spec in specs]
    torch.testing.assert_close(total, torch.stack(parts).sum())


def test_tree_losses_share_one_pass(tree: LabelTree) -> None:
    specs = [{"name": name} for name in ("cross-entropy", "tree-wasserstein", "tree-cross-entropy", "dice")]
    assert len(build_loss(specs, tree).parts) == 2


def test_kind_of_input_is_told(tree: LabelTree) -> None:
    assert build_loss([{"name": "adaptive-wing"}], tree).on == "probabilities"
    assert build_loss([{"name": "cross-entropy"}, {"name": "dice"}], tree).on == "logits"
    assert build_loss([{"name": "adaptive-wing"}, {"name": "dice", "on": "probabilities"}], tree).on == "probabilities"
    with pytest.raises(InputError, match="some losses read logits, others probabilities"):
        build_loss([{"name": "adaptive-wing"}, {"name": "cross-entropy"}], tree)


@pytest.mark.parametrize("name", ["dice", "adaptive-wing", "generalized-wasserstein-dice"])
def test_background_is_left_out_unless_asked_for(name: str, logits: Tensor, targets: dict[str, Tensor]) -> None:
    nodes = [Node(id="root", name="root", parent=None)]
    nodes += [Node(id=str(value), name=str(value), parent="root", value=value) for value in (4, 0, 2, 3, 1)]
    tree = LabelTree(nodes)
    probabilities = logits.softmax(1)
    values = [
        build_loss([{"name": name, **options}], tree)(probabilities, targets["crisp"])
        for options in ({}, {"background": 1}, {"background": None})
    ]
    assert values[0] == values[1] != values[2]


@pytest.mark.parametrize(
    ("specs", "message"),
    [
        ([], "loss: no loss is given; choose from cross-entropy, dice, wasserstein-cross-entropy"),
        ([{"name": "focal"}], r"loss\[0\]: 'focal' is not a loss; choose from"),
        ([{"weight": 2}], r"loss\[0\]: None is not a loss"),
        ([{"name": "dice", "weight": 0}], r"loss\[0\].weight: weight is 0, expected a number above 0"),
        ([{"name": "dice", "weight": "much"}], r"loss\[0\].weight: weight is 'much', expected a number above 0"),
        (
            [{"name": "dice"}, {"name": "dice", "squared": True}],
            r"loss\[1\]: dice has no option 'squared'; its options",
        ),
        ([{"name": "cross-entropy", "tree": 1}], "cross-entropy has no option 'tree'; its options are: none"),
        ([{"name": "tree-wasserstein"}], "loss: tree-wasserstein stands alone: its gradient vanishes"),
        ([{"name": "wasserstein-cross-entropy", "alpha": 0}], r"loss\[0\].alpha: alpha is 0, expected more than 0"),
        ([{"name": "wasserstein-cross-entropy", "beta": -1}], r"loss\[0\].beta: beta is -1, expected 0 or more"),
        ([{"name": "wasserstein-cross-entropy", "alpha": "x"}], r"loss\[0\]: wasserstein-cross-entropy: an option has"),
        ([{"name": "tree-cross-entropy", "level_weights": [1, 2]}], "level_weights: 2 weights for a tree of depth 3"),
        ([{"name": "tree-cross-entropy", "level_weights": [0, 0, 0]}], "with one above 0"),
        ([{"name": "tree-cross-entropy", "level_weights": [1, -1, 0]}], "are not all finite and at least 0"),
        ([{"name": "tree-cross-entropy", "form": "leaf"}], r"form: 'leaf' is not known, expected 'path' or 'node'"),
    ],
)
def test_wrong_recipes_are_refused(specs: list, message: str, tree: LabelTree) -> None:
    with pytest.raises(InputError, match=message):
        build_loss(specs, tree)


def test_every_name_builds(tree: LabelTree) -> None:
    for name in LOSSES:
        specs = [{"name": name}] + [{"name": "cross-entropy"}] * (name in ("tree-wasserstein", "calibration-error"))
        assert list(build_loss(specs, tree).parameters()) == []


def test_wasserstein_without_cross_entropy_says_why(tree: LabelTree) -> None:
    with pytest.raises(InputError, match="the Wasserstein gradient vanishes wherever the network is certain"):
        WassersteinCrossEntropyLoss(tree, alpha=0)


def test_loss_and_network_must_have_the_same_classes(tree: LabelTree) -> None:
    with pytest.raises(InputError, match="logits have 4 channels, the tree has 5 leaves"):
        TreeCrossEntropyLoss(tree)(torch.zeros(1, 4, 2, 2), torch.zeros(1, 1, 2, 2, dtype=torch.int64))


def test_tree_of_one_leaf_is_refused() -> None:
    tree = LabelTree([Node(id="root", name="root", parent=None), Node(id="a", name="a", parent="root", value=1)])
    with pytest.raises(InputError, match="the tree has 1 leaf; a loss needs at least two classes"):
        TreeLayout.from_tree(tree)
