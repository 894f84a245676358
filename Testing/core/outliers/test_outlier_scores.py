"""Each score against its paper's formula, written again in numpy or worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from scipy.stats import entropy
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.network import Head
from softseg.network.outlier_scores import (
    SCORES,
    Energy,
    Entropy,
    Godin,
    Mahalanobis,
    MaxSoftmax,
    Odin,
    Voxels,
    make_score,
    scores_for,
)

SOFTMAX = Head("softmax", 5)
SHAPE = (2, 3, 4)


def raw(classes: int = 5, seed: int = 0, scale: float = 3.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, scale, (*SHAPE, classes)).astype(np.float32))


@given(seed=st.integers(0, 999), scale=st.floats(0.01, 30), known=st.booleans())
def test_scores_of_outputs_follow_their_formulas(seed: int, scale: float, known: bool) -> None:
    logits = raw(seed=seed, scale=scale)
    z = logits.numpy().astype(np.float64)
    voxels = Voxels(logits, SOFTMAX, torch.softmax(logits, -1) if known else None)
    expected = {
        MaxSoftmax(): 1 - softmax(z, -1).max(-1),
        Energy(): -logsumexp(z, -1),
        Energy(2.5): -2.5 * logsumexp(z / 2.5, -1),
        Entropy(): entropy(softmax(z, -1), axis=-1),
        Odin(SOFTMAX, 100.0): -np.log(softmax(z / 100, -1).max(-1)),
    }
    for score, values in expected.items():
        np.testing.assert_allclose(score.of(voxels).numpy(), values, atol=3e-5 * max(1, scale), rtol=1e-4)


@given(seed=st.integers(0, 99), shift=st.floats(-50, 50))
def test_only_energy_depends_on_what_softmax_forgets(seed: int, shift: float) -> None:
    logits = raw(seed=seed)
    before, after = Voxels(logits, SOFTMAX), Voxels(logits + shift, SOFTMAX)
    for score in (MaxSoftmax(), Entropy()):
        np.testing.assert_allclose(score.of(after), score.of(before), atol=1e-4)
    np.testing.assert_allclose(Energy().of(after), Energy().of(before) - shift, atol=1e-4)


@pytest.mark.parametrize("score", [MaxSoftmax(), Entropy(), Energy(), Odin(SOFTMAX)])
def test_doubt_is_stranger_than_certainty_and_scores_stay_within_bounds(score: MaxSoftmax) -> None:
    sure, torn = torch.tensor([[12.0, 0, 0, 0, 0]]), torch.tensor([[2.4] * 5])
    values = [float(score.of(Voxels(logits, SOFTMAX))) for logits in (sure, torn)]
    assert values[0] < values[1]
    bounds = score.bounds(5)
    if bounds is not None:
        assert bounds[0] <= values[0] < values[1] <= bounds[1] + 1e-6


def test_activations_of_normrelu_are_probabilities() -> None:
    head = Head("normrelu", 3)
    voxels = Voxels(torch.tensor([[3.0, 1.0, -2.0], [0.5, 0.5, 0.5], [-1.0, -1.0, 0.0]]), head)
    np.testing.assert_allclose(MaxSoftmax().of(voxels), [0.25, 2 / 3, 1])
    np.testing.assert_allclose(Entropy().of(voxels), [entropy([0.75, 0.25]), math.log(3), math.log(3)], rtol=1e-6)


def test_godin_divides_and_judges_by_what_is_divided() -> None:
    head = Head("godin", 2)
    outputs = torch.tensor([[1.0, -2.0, 0.0], [1.0, -2.0, math.log(3.0)]])  # g = 1/2 and 3/4
    np.testing.assert_allclose(head.logits(outputs, -1), [[2, -4], [4 / 3, -8 / 3]], rtol=1e-6)
    np.testing.assert_allclose(head.probabilities(outputs)[0], softmax([2, -4]), rtol=1e-6)
    np.testing.assert_allclose(Godin(head).of(Voxels(outputs, head)), [-1, -1])
    np.testing.assert_allclose(Godin(head, "g").of(Voxels(outputs, head)), [-0.5, -0.75])
    np.testing.assert_allclose(head.logits(head.raw_for(torch.tensor([0.3, -7.0])), 0), [0.3, -7.0], rtol=1e-6)


def test_odin_moves_the_window_towards_what_the_network_believes() -> None:
    """Logits x * w: the gradient of ln max softmax is (w_best - sum of p w) / T, so its sign is known."""
    weights = torch.tensor([2.0, -1.0, 0.5])

    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(weights)

        def forward(self, batch: Tensor) -> Tensor:
            return batch * self.weight[None, :, None, None, None]

    network, image = Linear(), torch.tensor([0.7, -0.4]).reshape(1, 1, 1, 1, 2)
    score = Odin(Head("softmax", 3), temperature=10.0, epsilon=0.25)
    with torch.inference_mode():
        moved = score.perturbed(network, image)
    np.testing.assert_allclose(moved.ravel(), [0.95, -0.65], rtol=1e-6)
    assert network.weight.requires_grad
    assert network.weight.grad is None
    with torch.inference_mode():
        surer = [float(score.of(Voxels(network(x).movedim(1, -1), score.head)).sum()) for x in (image, moved)]
    assert surer[1] < surer[0]
    assert score.perturbed(network, image) is not image
    assert Odin(score.head, epsilon=0).perturbed(network, image) is image


def test_mahalanobis_is_the_distance_to_the_nearest_mean() -> None:
    from scipy.spatial.distance import mahalanobis

    random = np.random.default_rng(0)
    means, root = random.normal(0, 4, (3, 4)), random.normal(0, 1, (4, 4))
    inverse = root.T @ root
    score = Mahalanobis(torch.from_numpy(means).float(), torch.from_numpy(root).float())
    features = random.normal(0, 4, (2, 2, 3, 4))
    found = score.of(Voxels(torch.zeros(2, 2, 3, 5), SOFTMAX, features=torch.from_numpy(features).float()))
    expected = [min(mahalanobis(f, mean, inverse) for mean in means) for f in features.reshape(-1, 4)]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-4)
    at_mean = Voxels(torch.zeros(1, 5), SOFTMAX, features=torch.from_numpy(means[1:2]).float())
    assert float(score.of(at_mean)) < 0.01


def test_features_of_another_number_are_refused() -> None:
    score = Mahalanobis(torch.zeros(2, 4), torch.eye(4))
    with pytest.raises(InputError, match="expected 4 features of each voxel, got 3; the score was fitted to another"):
        score.of(Voxels(torch.zeros(6, 5), SOFTMAX, features=torch.zeros(6, 3)))
    with pytest.raises(InputError, match="expected 4 features of each voxel, got none"):
        score.of(Voxels(torch.zeros(6, 5), SOFTMAX))


@pytest.mark.parametrize(
    ("head", "names"),
    [
        (Head("softmax", 4), {"max-softmax", "energy", "entropy", "odin", "mahalanobis"}),
        (Head("godin", 4), {"max-softmax", "energy", "entropy", "odin", "mahalanobis", "godin"}),
        (Head("normrelu", 4), {"max-softmax", "entropy", "mahalanobis"}),
        (Head("normrelu", 2), {"mahalanobis"}),
        (Head("normrelu", 2, None), {"max-softmax", "entropy", "mahalanobis"}),
    ],
)
def test_each_head_has_its_scores(head: Head, names: set[str]) -> None:
    assert set(scores_for(head)) == names
    for name in set(SCORES) - names:
        with pytest.raises(InputError, match=f"{name} cannot be had from this model: .*this model can have "):
            make_score(name, {}, {}, head)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nearest", {}, "unknown outlier score 'nearest'; there are max-softmax, energy"),
        ("energy", {"temprature": 2}, "energy: unknown option 'temprature'; there are temperature"),
        ("energy", {"temperature": 0}, "temperature: expected a number above 0, got 0"),
        ("energy", {"temperature": "warm"}, "temperature: expected a number of at least 0, got 'warm'"),
        ("odin", {"epsilon": -1.0}, "epsilon: expected a number of at least 0, got -1.0"),
        ("entropy", {"temperature": 2}, "unknown option 'temperature'; there are none"),
        ("mahalanobis", {"level": 0}, "level: expected a whole number of at least 1, got 0"),
        ("mahalanobis", {}, "the estimate 'means' is missing or not a matrix"),
    ],
)
def test_wrong_options(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_score(name, options, {}, SOFTMAX)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"whitening": torch.eye(3)}, r"expected a whitening of 4 x 4 features, got \(3, 3\)"),
        ({"means": torch.full((2, 4), math.nan)}, "the estimate 'means' holds NaN or infinity"),
        ({"means": torch.zeros(4)}, "the estimate 'means' is missing or not a matrix"),
    ],
)
def test_wrong_estimates(changes: dict[str, Tensor], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_score("mahalanobis", {}, {"means": torch.zeros(2, 4), "whitening": torch.eye(4)} | changes, SOFTMAX)


@pytest.mark.parametrize("score", [Energy(3.0), Odin(Head("godin", 5), 10.0, 0.1), Godin(Head("godin", 5), "g", 0.5)])
def test_options_make_the_same_score_again(score: Energy) -> None:
    again = make_score(score.name, score.options(), {}, Head("godin", 5))
    assert again.options() == score.options()
    assert again.needs == score.needs
