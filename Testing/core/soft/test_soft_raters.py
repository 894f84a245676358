"""Fusing raters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.image import Geometry, Image, read_image
from softseg.soft import SoftLabels, fuse_raters

BALL = (np.stack(np.meshgrid(*[np.arange(-7, 8)] * 3, indexing="ij")) ** 2).sum(axis=0)
DRAWN = [(radius > BALL).astype(np.uint8) for radius in (20, 25, 36)]


def test_the_mean_counts_heads() -> None:
    fused = fuse_raters(DRAWN)
    assert fused.dtype == np.float32
    np.testing.assert_allclose(fused, np.mean(DRAWN, axis=0), atol=1e-7)
    np.testing.assert_allclose(np.unique(fused), [0, 1 / 3, 2 / 3, 1], atol=1e-7)


def test_soft_masks_are_averaged_as_they_are() -> None:
    soft = [np.full((1, 2, 3), probability, np.float32) for probability in (0.2, 0.7)]
    assert fuse_raters(soft) == pytest.approx(0.45)
    assert (fuse_raters(soft, "majority") == 0.5).all()


def test_majority_and_its_ties() -> None:
    assert np.array_equal(fuse_raters(DRAWN, "majority"), DRAWN[1])
    assert np.array_equal(fuse_raters(DRAWN[:2], "majority"), np.mean(DRAWN[:2], axis=0))


def test_staple_is_simpleitk_s() -> None:
    images = [sitk.GetImageFromArray(mask) for mask in DRAWN]
    expected = sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0))
    fused = fuse_raters(DRAWN, "staple")
    np.testing.assert_allclose(fused, expected, atol=1e-6)
    assert fused.min() >= 0
    assert fused.max() <= 1


@pytest.mark.parametrize("mask", [np.zeros((3, 3, 3), np.uint8), np.ones((3, 3, 3), np.uint8), DRAWN[0]])
def test_staple_of_raters_that_agree_is_what_they_drew(mask: np.ndarray) -> None:
    assert np.array_equal(fuse_raters([mask, mask], "staple"), mask)


def test_random_draws_every_rater_and_repeats_with_the_seed() -> None:
    draws = [fuse_raters(DRAWN, "random", np.random.default_rng(seed)) for seed in range(20)]
    found = {next(n for n, mask in enumerate(DRAWN) if np.array_equal(mask, draw)) for draw in draws}
    assert found == {0, 1, 2}
    assert np.array_equal(fuse_raters(DRAWN, "random", np.random.default_rng(4)), draws[4])
    with pytest.raises(ValueError, match="method 'random' needs a generator"):
        fuse_raters(DRAWN, "random")


def test_images_keep_their_grid() -> None:
    grid = Geometry((15, 15, 15), (0.5, 0.5, 2.0))
    fused = fuse_raters([Image(mask, grid) for mask in DRAWN])
    assert fused.geometry == grid
    np.testing.assert_allclose(fused.array, np.mean(DRAWN, axis=0), atol=1e-7)
    other = Image(DRAWN[0], Geometry((15, 15, 15), (0.5, 0.5, 2.5)))
    with pytest.raises(InputError, match="the mask of rater 2 lies on another grid than that of rater 1"):
        fuse_raters([Image(DRAWN[0], grid), other])


def test_label_maps_of_several_classes() -> None:
    maps = [np.array([[[0, 1, 2, -1]]]), np.array([[[0, 1, 1, -1]]]), np.array([[[0, 2, 0, 0]]])]
    mean = fuse_raters(maps, classes=3)
    assert isinstance(mean, SoftLabels)
    mean.check()
    np.testing.assert_allclose(
        mean.dense()[:, 0, 0].T, [[1, 0, 0], [0, 2 / 3, 1 / 3], [1 / 3, 1 / 3, 1 / 3], [1 / 3, 0, 0]], atol=1e-6
    )
    majority = fuse_raters(maps, "majority", classes=3)
    np.testing.assert_allclose(
        majority.dense()[:, 0, 0].T, [[1, 0, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]], atol=1e-6
    )
    drawn = fuse_raters([SoftLabels.from_class_indices(m, 3) for m in maps], "random", np.random.default_rng(0))
    assert any(np.array_equal(drawn.largest(), m) for m in maps)


def test_staple_of_several_classes_is_a_distribution() -> None:
    maps = [np.where(inner > BALL, 2, np.where(outer > BALL, 1, 0)) for inner, outer in ((9, 30), (12, 36), (9, 36))]
    fused = fuse_raters(maps, "staple", classes=3)
    fused.check()
    assert fused.total() == pytest.approx(1)
    assert fused.largest()[7, 7, 7] == 2
    assert fused.largest()[0, 0, 0] == 0


def test_a_real_mask_and_a_shifted_one(shared_data: Path) -> None:
    mask = read_image(shared_data / "cord_fixtures" / "t2s_t2s_gmseg_manual.nii.gz")
    shifted = Image(np.roll(mask.array, 1, axis=2), mask.geometry)
    fused = fuse_raters([mask, shifted])
    assert set(np.unique(fused.array)) == {0, 0.5, 1}
    overshooting = read_image(shared_data / "cord_fixtures" / "mt_mt1_gmseg.nii.gz")
    assert fuse_raters([overshooting]).array.max() == 1


def test_what_cannot_be_fused() -> None:
    with pytest.raises(InputError, match="method: expected mean, majority, staple, random, got 'median'"):
        fuse_raters(DRAWN, "median")
    with pytest.raises(InputError, match="the mask of at least one rater"):
        fuse_raters([])
    with pytest.raises(InputError, match="the mask of rater 2 has shape"):
        fuse_raters([DRAWN[0], DRAWN[0][1:]])
    with pytest.raises(
        InputError, match=r"expected probabilities in 0..1 in the mask of rater 1, got 0 to 4; clip or scale"
    ):
        fuse_raters([4 * DRAWN[0]])
    with pytest.raises(InputError, match="in the mask of rater 1, got nan"):
        fuse_raters([np.full((1, 1, 1), np.nan)])
    with pytest.raises(InputError, match=r"class indices in 0..2 or -1, got 0..5"):
        fuse_raters([np.array([[[0, 5]]])], classes=3)
    with pytest.raises(InputError, match="masks of one kind"):
        fuse_raters([DRAWN[0], Image(DRAWN[0], Geometry((15, 15, 15)))])  # type: ignore[list-item]


def raters(*values: list[int]) -> list[SoftLabels]:
    return [SoftLabels.from_class_indices(np.array(row).reshape(1, 1, -1), 4) for row in values]


def test_raters_of_several_labels_that_say_nothing_in_places() -> None:
    three = raters([0, 1, 1, 2], [0, 1, 2, -1], [0, 0, 3, -1])
    mean = fuse_raters(three).dense()[:, 0, 0]
    np.testing.assert_allclose(mean[0], [1, 1 / 3, 0, 0])
    np.testing.assert_allclose(mean[2], [0, 0, 1 / 3, 1 / 3])
    majority = fuse_raters(three, "majority")
    assert majority.largest().ravel().tolist() == [0, 1, 1, 2]
    np.testing.assert_allclose(majority.dense()[1:, 0, 0, 2], [1 / 3, 1 / 3, 1 / 3])


def test_staple_of_labels_agrees_with_simpleitk() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random((6, 8, 8)) < 0.4
    masks = [np.where(rng.random(truth.shape) < flip, ~truth, truth).astype(np.uint8) for flip in (0.05, 0.1, 0.3)]
    fused = fuse_raters([SoftLabels.from_class_indices(mask, 2) for mask in masks], "staple").dense()
    expected = sitk.GetArrayFromImage(sitk.STAPLE([sitk.GetImageFromArray(mask) for mask in masks], 1))
    np.testing.assert_allclose(fused.sum(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(fused[1], expected, atol=0.02)
