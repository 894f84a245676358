"""Adaptive wing: the values of ivadomed, the weight map, the parameters."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses import AdaptiveWingLoss

WANTED = [0, 0, 0, 0, 0, 0.5, 0.5, 1, 1, 1, 1]
PREDICTED = [0.1, 0.2, 0.5, 0.7, 1, 0.3, 1, 0.9, 0.5, 0.2, 0]
IVADOMED = [
    0.110766,
    0.468812,
    2.935235,
    5.159519,
    8.495945,
    1.027408,
    3.991211,
    1.070101,
    5.360458,
    8.299813,
    10.259382,
]


def row(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_equals_ivadomed_at_every_voxel() -> None:
    got = AdaptiveWingLoss().pointwise(row(PREDICTED), row(WANTED))
    torch.testing.assert_close(got, row(IVADOMED), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "wanted", "predicted", "expected"),
    [
        ({}, [1, 0, 1, 1], [1, 1, 0, 0], 29.0147),
        ({"omega": 20}, [1, 0, 1, 1], [1, 1, 0, 0], 41.4496),
        ({"epsilon": 2}, [0.5, 1, 1, 1], [0.5] * 4, 8.2703),
    ],
)
def test_sum_equals_ivadomed(
    options: dict[str, float], wanted: list[float], predicted: list[float], expected: float
) -> None:
    target = torch.cat([row(wanted), 1 - row(wanted)], 1)  # two channels, so that every voxel is labelled
    activation = torch.cat([row(predicted), torch.rand(1, 1, 1, 4, dtype=torch.float64)], 1)
    loss = AdaptiveWingLoss(**options, reduction="sum", background=1)  # type: ignore[arg-type]
    assert float(loss(activation, target)) == pytest.approx(expected, abs=1e-3)


def test_mean_is_over_labelled_voxels_and_channels() -> None:
    target = torch.tensor([[0, 1, -1, 1]]).view(1, 1, 1, 4)
    activation = torch.rand(1, 2, 1, 4, dtype=torch.float64)
    total = AdaptiveWingLoss(reduction="sum")(activation, target)
    torch.testing.assert_close(AdaptiveWingLoss()(activation, target), total / 6)


def test_integer_target_is_its_one_hot_probability() -> None:
    activation = torch.rand(1, 3, 2, 2, dtype=torch.float64)
    target = torch.tensor([0, 1, 2, 1]).view(1, 1, 2, 2)
    probabilities = torch.nn.functional.one_hot(target[:, 0], 3).movedim(-1, 1).double()
    torch.testing.assert_close(AdaptiveWingLoss()(activation, target), AdaptiveWingLoss()(activation, probabilities))


def test_weight_map_raises_the_neighbourhood_of_foreground() -> None:
    """One foreground voxel in a row of seven: it and its two neighbours count 1 + 10 times."""
    wanted, predicted = row([0, 0, 0, 1, 0, 0, 0]), row([0.3] * 7)
    target, activation = torch.cat([1 - wanted, wanted], 1), torch.cat([1 - predicted, predicted], 1)
    plain = AdaptiveWingLoss().pointwise(predicted, wanted)[0, 0, 0]
    near = torch.tensor([0, 0, 1, 1, 1, 0, 0])
    loss = AdaptiveWingLoss(weight_map=10.0, background=0)
    assert float(loss(activation, target)) == pytest.approx(float((plain * (1 + 10 * near)).mean()))
    volume = loss(activation[:, :, None], target[:, :, None])
    assert float(volume) == pytest.approx(float(loss(activation, target)))


def test_perfect_prediction_has_no_loss_and_no_gradient() -> None:
    target = torch.tensor([[0.3, 1], [0.7, 0]], dtype=torch.float64).view(1, 2, 1, 2)
    activation = target.clone().requires_grad_()
    loss = AdaptiveWingLoss()(activation, target)
    loss.backward()
    assert float(loss.detach()) == 0
    assert activation.grad is not None
    assert not activation.grad.any()


@pytest.mark.parametrize(("frequency", "best"), [(0.1, 0.05), (0.2, 0.105), (0.3, 0.174), (0.4, 0.269), (0.6, 1.0)])
def test_what_is_best_where_one_cannot_know(frequency: float, best: float) -> None:
    """No proper score: for voxels that are foreground at a frequency, another probability is cheapest."""
    answers = torch.linspace(0, 1, 1001, dtype=torch.float64)
    loss = AdaptiveWingLoss()
    expected = sum(
        weight * loss.pointwise(row(answers.tolist()), torch.full((1, 1, 1, 1001), truth, dtype=torch.float64))
        for weight, truth in ((frequency, 1.0), (1 - frequency, 0.0))
    )
    assert isinstance(expected, Tensor)
    assert float(answers[expected.flatten().argmin()]) == pytest.approx(best, abs=0.0015)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"omega": 0}, "omega: 0 is not above 0"),
        ({"theta": -1}, "theta: -1 is not above 0"),
        ({"epsilon": math.inf}, "epsilon: inf is not above 0"),
        ({"alpha": 1.5}, "alpha: 1.5 is below 2"),
        ({"reduction": "none"}, "reduction: 'none' is not known, expected 'mean' or 'sum'"),
        ({"weight_map": -1}, "weight_map: -1 is not 0 or more"),
    ],
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AdaptiveWingLoss(**options)
