"""Changes of intensities: each does what it says, and nothing where its probability is 0."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from softseg.data import AugmentationSpec, Plan, default_augmentation
from softseg.data.augmentation import change_intensities, smooth_field
from softseg.errors import InputError

IMAGE = torch.from_numpy(np.random.default_rng(0).normal(size=(2, 12, 14, 16)).astype(np.float32))


def changed(image=IMAGE, seed=0, **fields) -> torch.Tensor:
    spec = AugmentationSpec.none().model_copy(update=fields)
    return change_intensities(image.clone(), spec, np.random.default_rng(seed))


def test_none_changes_nothing():
    assert torch.equal(changed(), IMAGE)


@pytest.mark.parametrize("name", [n for n in AugmentationSpec.model_fields if n.endswith("_probability")])
def test_each_change_is_repeatable_and_finite(name):
    one, other = changed(**{name: 1.0}), changed(**{name: 1.0})
    assert torch.equal(one, other)
    assert torch.isfinite(one).all()
    spatial = name.startswith(
        ("rotation", "quarter", "scale", "elastic", "mirror", "spectral", "band")
    )  # or of cubes only
    assert torch.equal(one, IMAGE) == spatial
    flat = changed(IMAGE[:, 0], **{name: 1.0})
    assert flat.shape == IMAGE[:, 0].shape


def test_inversion_keeps_the_range_and_turns_the_order_around():
    out = changed(inversion_probability=1.0)
    assert out[0].argmax() == IMAGE[0].argmin()
    assert out[0].max() == pytest.approx(float(IMAGE[0].max()), abs=1e-5)


def test_gamma_keeps_order_and_range():
    out = changed(gamma_probability=1.0)[0].flatten()
    order = IMAGE[0].flatten().argsort()
    assert (out[order].diff() >= -1e-5).all()
    assert out.min() == pytest.approx(float(IMAGE[0].min()), abs=1e-5)


def test_a_curve_keeps_the_range_and_its_strength_says_how_far():
    straight = changed(curve_probability=1.0, curve=0.0)
    torch.testing.assert_close(straight, IMAGE, atol=1e-5, rtol=0)
    low, high = float(IMAGE[0].min()), float(IMAGE[0].max())
    moved = []
    for strength in (0.2, 0.5, 1.0):
        bent = changed(curve_probability=1.0, curve=strength)[0]
        assert bent.min() >= low - 1e-5
        assert bent.max() <= high + 1e-5
        moved.append(float((bent - IMAGE[0]).abs().max()))
    assert 0 < moved[0] < moved[1] < moved[2] <= high - low
    assert moved[0] <= 0.2 * (high - low) + 1e-5


def test_a_rising_curve_keeps_order_and_both_ends():
    straight = changed(rising_curve_probability=1.0, rising_curve=0.0)
    torch.testing.assert_close(straight, IMAGE, atol=1e-5, rtol=0)
    bent = changed(rising_curve_probability=1.0, rising_curve=1.0)[0].flatten()
    order = IMAGE[0].flatten().argsort()
    assert (bent[order].diff() >= 0).all()
    assert bent.min() == pytest.approx(float(IMAGE[0].min()), abs=1e-5)
    assert bent.max() == pytest.approx(float(IMAGE[0].max()), abs=1e-5)
    assert (bent - IMAGE[0].flatten()).abs().max() > 0.3


def test_a_curve_sends_equal_intensities_to_equal_ones_and_may_turn_an_order_around():
    ramp = torch.linspace(-1, 1, 64).expand(1, 64, 64)
    falls = {0.1: 0, 0.5: 0}
    for strength in falls:
        for seed in range(20):
            bent = changed(ramp, seed=seed, curve_probability=1.0, curve=strength)[0]
            torch.testing.assert_close(bent, bent[:1].expand(64, 64))
            falls[strength] += bool((bent[0].diff() < 0).any())
    assert falls[0.1] == 0  # a tenth cannot turn a slope of nine tenths around
    assert falls[0.5] > 10
    flat = torch.ones(1, 4, 4)
    assert torch.equal(changed(flat, curve_probability=1.0), flat)


def test_noise_blur_and_coarseness_change_the_spread_as_they_should():
    still = torch.zeros(1, 20, 20, 20)
    assert 0 < changed(still, noise_probability=1.0, noise_sd=0.5).std() < 0.5
    assert changed(blur_probability=1.0).std() < IMAGE.std()
    assert changed(low_resolution_probability=1.0).std() < IMAGE.std()


def test_a_smooth_field_passes_through_its_knots():
    knots = np.random.default_rng(0).normal(size=(1, 4, 4, 4)).astype(np.float32)
    field = smooth_field(knots, (31, 31, 31))
    np.testing.assert_allclose(field[0, ::10, ::10, ::10], knots[0], atol=1e-5)


def test_wrong_fields_are_named():
    with pytest.raises(ValidationError, match="gamma needs two positive numbers"):
        AugmentationSpec(gamma=(2, 1))
    plan = Plan.model_validate(
        {
            "channels": ["a"],
            "spacing": [None, 1, 1],
            "dimensions": 2,
            "patch_size": [64, 64],
            "normalization": {"a": {}},
        }
    )
    assert default_augmentation(plan).rotation_degrees > AugmentationSpec().rotation_degrees
    assert default_augmentation(plan, {"rotation_degrees": 3}).rotation_degrees == 3
    with pytest.raises(InputError, match=r"augmentation\.rotate: unknown key"):
        default_augmentation(plan, {"rotate": 3})
    with pytest.raises(InputError, match=r"augmentation\.noise_sd: "):
        default_augmentation(plan, {"noise_sd": -1})
