from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from softseg.training.optimization import average_of, learning_rate, make_optimizer
from softseg.training.recipe import OptimizerSpec


@pytest.mark.parametrize("schedule", ["cosine", "poly", "constant"])
def test_learning_rate_rises_in_the_warm_up_and_never_rises_again(schedule: str) -> None:
    spec = OptimizerSpec(learning_rate=0.1, schedule=schedule, warmup=0.1)
    rates = [learning_rate(spec, step / 100) for step in range(101)]
    assert 0 < rates[0] < rates[5] < rates[10] == pytest.approx(0.1)
    assert all(later <= earlier for earlier, later in itertools.pairwise(rates[10:]))
    assert rates[-1] == pytest.approx(0.1 if schedule == "constant" else 0.0)


def test_cosine_is_at_half_of_the_rate_half_way_and_poly_follows_its_power() -> None:
    assert learning_rate(OptimizerSpec(learning_rate=1, warmup=0), 0.5) == pytest.approx(0.5)
    assert learning_rate(OptimizerSpec(learning_rate=1, warmup=0, schedule="poly"), 0.5) == pytest.approx(0.5**0.9)


def test_the_mean_of_weights_equals_the_recurrence_written_out() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average = average_of(network, decay=0.5)
    expected: torch.Tensor | None = None
    for step in range(6):
        with torch.no_grad():
            network[0].weight.add_(torch.rand_like(network[0].weight))
            network[1].running_mean.fill_(float(step))
        average.update_parameters(network)
        now = network[0].weight.detach().clone()
        decay = min(0.5, (1 + step) / (10 + step))
        expected = now if expected is None else decay * expected + (1 - decay) * now
    torch.testing.assert_close(average.module[0].weight.detach(), expected)
    assert 3 < float(average.module[1].running_mean[0]) < 5  # buffers are averaged too


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_biases_and_normalisation_do_not_decay(name: str) -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    optimizer = make_optimizer(OptimizerSpec(name=name, weight_decay=0.1), network)
    decays = {group["weight_decay"]: len(group["params"]) for group in optimizer.param_groups}
    assert decays == {0.1: 1, 0.0: 3}
