"""Repeated predictions: their mean, their spread, and that every change of the image is undone exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_kit import Intensity, Sides, make_model, sided

from softseg.errors import InputError
from softseg.prediction import Uncertainty, predict_case, sliding_probabilities
from softseg.prediction.uncertainty import Augmentation, Spread, augmented_predictions, dropout_on, entropy

SHAPE = (5, 6, 7)
NOTHING = np.arange(3)


def distribution(seed: int, concentration: float = 1.0) -> np.ndarray[Any, Any]:
    drawn = np.random.default_rng(seed).dirichlet([concentration] * 3, SHAPE)
    return np.moveaxis(drawn, -1, 0).astype(np.float32)


@pytest.mark.parametrize("text", ["tta", "tta:1", "tta:x", "tta:-3", "ensemble:4", "dropout:", "tta:2.5", "tta:²"])
def test_what_is_not_an_uncertainty_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"uncertainty: expected tta:N or dropout:N with N from 2 to 1000"):
        Uncertainty.parse(text)


def test_parse() -> None:
    assert Uncertainty.parse("tta:8") == Uncertainty("tta", 8)
    assert Uncertainty.parse("dropout:20") == Uncertainty("dropout", 20)


def test_entropy_against_scipy() -> None:
    from scipy.stats import entropy as reference

    shares = distribution(1)
    shares[:, 0, 0, 0] = (1, 0, 0)
    np.testing.assert_allclose(entropy(shares), reference(shares, axis=0), atol=1e-5)


def test_spread_of_predictions_that_agree_is_their_entropy() -> None:
    spread = Spread.of(iter([distribution(1)] * 3))
    np.testing.assert_allclose(spread.mean, distribution(1), atol=1e-6)
    np.testing.assert_allclose(spread.entropy, entropy(distribution(1)), atol=1e-5)
    np.testing.assert_allclose(spread.mutual_information, 0, atol=1e-5)


def test_spread_of_sure_predictions_that_disagree_is_all_mutual_information() -> None:
    sure = np.zeros((3, *SHAPE), np.float32)
    one, other = sure.copy(), sure.copy()
    one[0], other[1] = 1, 1
    spread = Spread.of(iter([one, other]))
    np.testing.assert_allclose(spread.entropy, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(spread.mutual_information, np.log(2), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    mirror=st.booleans(),
    shift=st.tuples(*[st.integers(0, 3)] * 3),
    axis=st.integers(0, 2),
)
def test_every_change_is_undone(mirror: bool, shift: tuple[int, int, int], axis: int) -> None:
    image = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    change = Augmentation(mirror, shift)
    np.testing.assert_array_equal(change.undo(change.apply(image, axis), axis, np.arange(2)), image)


def test_first_picture_is_the_image_itself_and_the_seed_repeats_the_rest() -> None:
    image = np.random.default_rng(0).normal(size=(1, *SHAPE)).astype(np.float32)

    def pictures(seed: int) -> list[np.ndarray[Any, Any]]:
        seen: list[np.ndarray[Any, Any]] = []

        def remember(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
            seen.append(picture)
            return np.broadcast_to(picture, (3, *picture.shape[1:]))

        options: dict[str, Any] = {"left_right_axis": 2, "permutation": NOTHING, "dimensions": 3}
        for back in augmented_predictions(remember, image, 4, seed=seed, **options):
            assert back.shape == (3, *SHAPE)
        return seen

    first, again, other = pictures(0), pictures(0), pictures(1)
    np.testing.assert_array_equal(first[0], image)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
    assert first[1].shape != other[1].shape or not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_picture_swaps_left_and_right_leaves(axis: int) -> None:
    """The network calls the side by the position along an axis: without the swap a mirror would turn it round."""
    image = np.random.default_rng(0).uniform(0.1, 1, (1, 20, 20, 20)).astype(np.float32)
    image = np.moveaxis(image, 3, 1 + axis)

    def predicted(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        turned = np.moveaxis(picture, 1 + axis, 3)
        model = make_model(Sides(), sided(), patch_size=(20, 20, 20))
        found = sliding_probabilities(model.network, model.head, turned, model.plan)
        return np.moveaxis(found, 3, 1 + axis)

    change = Augmentation(mirror=True)
    mirrored = predicted(change.apply(image, axis))
    plain = predicted(image)
    back = change.undo(mirrored, axis, sided().mirror_permutation())
    np.testing.assert_allclose(back, plain, atol=1e-5)
    wrong = change.undo(mirrored, axis, NOTHING)
    assert np.abs(wrong - plain).max() > 0.5


def test_maps_of_uncertainty_lie_on_the_rim(scan: Callable[..., Path]) -> None:
    found = predict_case(make_model(), [scan()], uncertainty="tta:4", nodes=["ball"])
    assert found.entropy is not None
    assert found.mutual_information is not None
    share = found.node_maps["ball"].array
    assert found.entropy.geometry == found.parcellation.geometry
    rim = (share > 0.1) & (share < 0.9)
    assert found.entropy.array[rim].mean() > 10 * found.entropy.array[~rim].mean()
    assert 0 < found.mutual_information.array.max() <= found.entropy.array.max()
    assert found.mutual_information.array.min() >= 0


def test_dropout_varies_and_is_switched_off_again(scan: Callable[..., Path]) -> None:
    class Dropping(Intensity):
        def __init__(self) -> None:
            super().__init__(gain=2.0)
            self.drop = torch.nn.Dropout3d(0.5)
            self.norm = torch.nn.BatchNorm3d(1)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(self.norm(self.drop(batch)))

    network = Dropping()
    torch.manual_seed(0)
    found = predict_case(make_model(network), [scan()], uncertainty="dropout:6")
    assert found.mutual_information is not None
    assert found.mutual_information.array.max() > 0.01
    assert not any(module.training for module in network.modules())
    with dropout_on(network):
        assert network.drop.training
        assert not network.norm.training
    assert not network.drop.training


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(InputError, match="no dropout layers; use tta:N"), dropout_on(Intensity()):
        pass
