"""Cleaning moves probabilities to the background and back, never thresholds, and is off unless asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prediction_kit import STRAIGHT, ball, make_model, sided, two_leaves

from softseg.errors import InputError
from softseg.image import Image, write_image
from softseg.prediction import predict
from softseg.prediction.postprocessing import CleaningStep, clean
from softseg.soft.parcellation import SoftParcellation


def two_balls() -> np.ndarray[Any, Any]:
    """Return a distribution over background, left and right: a large soft blob, a small one, a faint background."""
    dense = np.zeros((3, 10, 10, 20), np.float32)
    dense[1, 2:8, 2:8, 2:8] = 0.5
    dense[2, 3:7, 3:7, 3:7] = 0.3
    dense[1, 4:6, 4:6, 14:16] = 0.8
    dense[0] = 1 - dense[1] - dense[2]
    return dense


def test_keep_largest_gives_the_rest_to_the_background() -> None:
    dense = two_balls()
    clean(dense, [CleaningStep.parse("keep-largest:ball", sided())], sided(), 1.0)
    assert dense[1:, :, :, 10:].max() == 0
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-6)
    np.testing.assert_array_equal(dense[:, :, :, :10], two_balls()[:, :, :, :10])
    assert set(np.round(np.unique(dense[1:]), 3)) == {0, np.float32(0.3), np.float32(0.5)}


def test_remove_small_goes_by_soft_volume() -> None:
    for limit, stays in ((6.0, True), (7.0, False)):
        dense = two_balls()
        CleaningStep.parse(f"remove-small:ball-left:{limit}", sided()).apply(dense, sided(), 1.0)
        assert (dense[1, 5, 5, 15] > 0) is np.bool_(stays)
        np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-6)


def test_fill_holes_takes_from_the_background() -> None:
    dense = np.zeros((2, 9, 9, 9), np.float32)
    dense[1, 2:7, 2:7, 2:7] = 0.6
    dense[1, 4, 4, 4] = 0.1
    dense[0] = 1 - dense[1]
    CleaningStep.parse("fill-holes:Ball", two_leaves()).apply(dense, two_leaves(), 1.0)
    np.testing.assert_allclose(dense[:, 4, 4, 4], [0.4, 0.6], atol=1e-6)
    np.testing.assert_allclose(dense.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keep-largest", "expected keep-largest:NODE"),
        ("shave:ball", "expected keep-largest:NODE"),
        ("remove-small:ball", "with ML above 0"),
        ("remove-small:ball:-1", "with ML above 0"),
        ("keep-largest:nose", "no node 'nose'"),
        ("keep-largest:root", "root holds the background"),
        ("fill-holes:ball", "fill-holes needs a leaf"),
    ],
)
def test_wrong_steps_are_named(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        CleaningStep.parse(text, sided())
    assert message in str(caught.value)


def test_off_by_default_and_soft_when_on(tmp_path: Path) -> None:
    both = ball(STRAIGHT).array + ball(STRAIGHT, 60.0, np.array([-14.0, 12.0, -18.0])).array
    path = write_image(Image(both, STRAIGHT), tmp_path / "both.nii.gz")
    predict(make_model(), [path], tmp_path / "as it is", device="cpu")
    predict(make_model(), [path], tmp_path / "clean", postprocess=["keep-largest:ball"], device="cpu")
    before, after = (
        SoftParcellation.load(tmp_path / name / "both" / "soft.soft.npz").probability("ball")
        for name in ("as it is", "clean")
    )
    large = ball(STRAIGHT).array > 1
    np.testing.assert_allclose(after[large], before[large], atol=0.02)
    assert before[~large].max() > 0.5
    assert after[~large].max() < 0.3
    assert np.unique(after).size > 50
