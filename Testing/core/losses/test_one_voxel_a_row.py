"""The independent values of the other tests, in the shape ``[N, 1, 1, 1]``: one voxel a batch item, one channel."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from softseg.losses import AdaptiveWingLoss, TreeCrossEntropyLoss, TreeWassersteinLoss, WassersteinCrossEntropyLoss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.losses.dice import DiceLoss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.network import NormReLU
from softseg.tree import LabelTree

from .test_adaptive_wing_loss import IVADOMED, PREDICTED, WANTED

P = torch.tensor([0.5, 0.2, 0.1, 0.15, 0.05], dtype=torch.float64)


def column(values: object) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float64).view(-1, 1, 1, 1)


@pytest.mark.parametrize(("wanted", "predicted", "expected"), list(zip(WANTED, PREDICTED, IVADOMED, strict=True)))
def test_adaptive_wing_at_every_value(wanted: float, predicted: float, expected: float) -> None:
    assert float(AdaptiveWingLoss()(column([predicted]), column([wanted]))) == pytest.approx(expected, abs=1e-6)


def test_adaptive_wing_of_all_values() -> None:
    """Zeros are background, not unlabelled: they count in sum and mean."""
    predicted, wanted = column(PREDICTED), column(WANTED)
    assert float(AdaptiveWingLoss(reduction="sum")(predicted, wanted)) == pytest.approx(sum(IVADOMED), abs=1e-5)
    assert float(AdaptiveWingLoss()(predicted, wanted)) == pytest.approx(np.mean(IVADOMED), abs=1e-6)
    assert float(AdaptiveWingLoss()(column([0.5] * 4), column([0.0] * 4))) == pytest.approx(2.935235, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "wanted", "predicted", "expected"),
    [
        ({}, [1, 0, 1, 1], [1, 1, 0, 0], 29.0147),
        ({"omega": 20}, [1, 0, 1, 1], [1, 1, 0, 0], 41.4496),
        ({"epsilon": 2}, [0.5, 1, 1, 1], [0.5] * 4, 8.2703),
    ],
)
def test_sums_of_ivadomed(options: dict, wanted: list[float], predicted: list[float], expected: float) -> None:
    loss = AdaptiveWingLoss(**options, reduction="sum")
    assert float(loss(column(predicted), column(wanted))) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("predicted", "wanted", "expected"),
    [
        *(([value] * 16, [0.5] * 16, dice) for value, dice in ((0.25, 1 / 3), (0.5, 0), (0.75, 0.2), (1, 1 / 3))),
        ([0.2, 0.7], [0.5, 0.5], 0.2631579),
    ],
)
def test_semimetric_dice(predicted: list[float], wanted: list[float], expected: float) -> None:
    loss = DiceLoss(on="probabilities", batch=True, smooth=1e-12)
    assert float(loss(column(predicted), column(wanted))) == pytest.approx(expected, abs=1e-6)
    logits = torch.logit(column(predicted))
    assert float(DiceLoss(batch=True, smooth=1e-12)(logits, column(wanted))) == pytest.approx(expected, abs=1e-6)


def test_normalised_relu_over_the_batch() -> None:
    values = NormReLU("batch")(column([-1, 2, 0.5, 4]))
    torch.testing.assert_close(values, column([0, 0.5, 0.125, 1]))
    assert not NormReLU("batch")(-column([1, 1, 1, 1])).any()


def test_trees_with_a_label_a_row(tree: LabelTree, weighted_tree: LabelTree) -> None:
    """Labels as integers and as MONAI's floating point; the value is the mean over the rows."""
    logits = P.log().view(1, 5, 1, 1).expand(5, 5, 1, 1)
    for labels in (column(range(5)), column(range(5)).long()):
        for loss, expected in (
            (TreeWassersteinLoss(tree, normalize=False), [1.8, 2.4, 3.8, 4.1, 4.3]),
            (TreeWassersteinLoss(tree), [0.36, 0.48, 0.76, 0.82, 0.86]),
            (TreeCrossEntropyLoss(tree), [1.2729657, 2.1892564, 4.8283137, 3.5065579, 4.6051702]),
            (CrossEntropyLoss(tree), (-P.log()).tolist()),
        ):
            assert float(loss(logits, labels)) == pytest.approx(np.mean(expected), abs=1e-6)
            for row, value in enumerate(expected):
                assert float(loss(logits[:1], labels[row : row + 1])) == pytest.approx(value, abs=1e-6)
        first = labels[:1]
        assert float(WassersteinCrossEntropyLoss(tree)(logits[:1], first)) == pytest.approx(1.0531472, abs=1e-6)
        assert float(TreeWassersteinLoss(weighted_tree, normalize=False)(logits[:1], first)) == pytest.approx(1.7)
        got = TreeCrossEntropyLoss(tree, [2, 0.5, 1])(logits[:1], first)
        assert float(got) == pytest.approx(1.3177718, abs=1e-6)
    nodes = [("t1", 0.6931472), ("tum", 0.3566749), ("T", 0.2231436)]
    for node, value in nodes:
        got = CrossEntropyLoss(tree)(logits[:1], column([tree.class_index(node)]))
        assert float(got) == pytest.approx(value, abs=1e-6)


def test_generalised_wasserstein_dice_of_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """The published example: distances 1 from the background, a half between the others."""
    monkeypatch.setattr(LabelTree, "distance_matrix", lambda *_, **__: np.array([[0, 1, 1], [1, 0, 0.5], [1, 0.5, 0]]))
    from softseg.tree import Node

    leaves = [Node(name, name, "root", value=value) for value, name in enumerate("abc")]
    loss = GeneralizedWassersteinDiceLoss(LabelTree([Node("root", "root", None), *leaves]), 0, smooth=1e-12)
    examples = (
        ([[0.7, 0.1, 0.2], [0.2, 0.6, 0.2], [0.1, 0.3, 0.6]], [0, 1, 2], 0.2266667),
        ([[0.2, 0.5, 0.2], [0.5, 0.3, 0.7], [0.3, 0.2, 0.1]], [1, 0, 2], 0.3888889),
    )
    probabilities = torch.tensor([values for values, _, _ in examples], dtype=torch.float64)[..., None]
    labels = torch.tensor([labels for _, labels, _ in examples], dtype=torch.float64)[:, None, :, None]
    for item, (_, _, expected) in enumerate(examples):
        got = loss(probabilities[item : item + 1].log(), labels[item : item + 1])
        assert float(got) == pytest.approx(expected, abs=1e-6)
    assert float(loss(probabilities.log(), labels)) == pytest.approx(0.3077778, abs=1e-6)
