"""Resampling of images and soft labels, against block means and SimpleITK's resampler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.image import Geometry, Image, read_image
from softseg.soft import SoftLabels, resample_image, resample_labels

Helpers = dict[str, Callable[..., Any]]
ORIENTATIONS = ["LPS", "RAS", "PIR", "SLA", "ILP"]


def by_sitk(image: Image, target: Geometry, outside: float = 0.0) -> np.ndarray:
    """Linear interpolation, SimpleITK's."""
    return sitk.GetArrayFromImage(
        sitk.Resample(
            sitk.Cast(image.to_sitk(), sitk.sitkFloat64),
            target.size,
            sitk.Transform(),
            sitk.sitkLinear,
            target.origin,
            target.spacing,
            target.direction,
            outside,
        )
    )


def oriented(geometry: Geometry, orientation: str) -> Geometry:
    image = Image(np.zeros(geometry.shape, np.uint8), geometry).to_sitk()
    return Geometry.of(sitk.DICOMOrient(image, orientation))


@pytest.fixture(scope="module")
def labels_and_grid() -> tuple[SoftLabels, Geometry]:
    random = np.random.default_rng(3)
    coarse = random.integers(0, 6, (4, 5, 6))
    array = coarse.repeat(4, 0).repeat(3, 1).repeat(3, 2)
    return SoftLabels.from_class_indices(array, 6), Geometry((18, 15, 16), (1.0, 1.2, 0.8), (5.0, -3.0, 2.0))


def test_halving_gives_the_exact_block_means(labels_and_grid: tuple[SoftLabels, Geometry]) -> None:
    labels, grid = labels_and_grid
    labels, grid = labels.cropped((slice(0, 16), slice(0, 14), slice(0, 18))), grid.cropped((0, 0, 0), (16, 14, 18))
    target = grid.resampled((2.0, 2.4, 1.6))
    assert target.shape == (8, 7, 9)
    out = resample_labels(labels, grid, target)
    blocks = labels.dense().reshape(6, 8, 2, 7, 2, 9, 2).mean(axis=(2, 4, 6))
    np.testing.assert_allclose(out.dense(), blocks, atol=1e-6)
    assert 0 < (out.probabilities[0] < 1).mean() < 1


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_linear_on_any_orientation_equals_simpleitk(
    labels_and_grid: tuple[SoftLabels, Geometry], orientation: str
) -> None:
    labels, grid = labels_and_grid
    target = oriented(grid.resampled((0.7, 0.9, 0.8)), orientation)
    out = resample_labels(labels, grid, target)
    out.check()
    for class_, probability in enumerate(labels.dense()):
        np.testing.assert_allclose(out.dense()[class_], by_sitk(Image(probability, grid), target), atol=1e-5)


def test_linear_on_an_oblique_grid_equals_simpleitk(
    labels_and_grid: tuple[SoftLabels, Geometry], helpers: Helpers
) -> None:
    labels, grid = labels_and_grid
    grid = replace(grid, origin=helpers["turned"](grid.size, grid.spacing).origin)
    target = helpers["turned"]((20, 16, 17), (0.9, 1.0, 0.8), (0.4, -0.3))
    out = resample_labels(labels, grid, target)
    for class_, probability in enumerate(labels.dense()):
        np.testing.assert_allclose(out.dense()[class_], by_sitk(Image(probability, grid), target), atol=1e-5)
    assert (out.total() == 0).any()


def test_soft_labels_are_resampled_class_by_class(helpers: Helpers) -> None:
    dense = helpers["blobs"](5, (9, 10, 11))
    grid = helpers["turned"]((11, 10, 9), (1.0, 1.0, 2.0))
    target = replace(oriented(grid.resampled((0.8, 0.8, 0.9)), "RAI"))
    out = resample_labels(SoftLabels.from_dense(dense), grid, target).dense()
    for class_, probability in enumerate(dense):
        np.testing.assert_allclose(out[class_], by_sitk(Image(probability, grid), target), atol=1e-5)


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.7, 2.6, 1.0), (3.1, 0.6, 1.9), (0.8, 0.8, 0.8)])
def test_the_volume_of_every_class_is_preserved(spacing: tuple[float, float, float]) -> None:
    array = np.zeros((40, 42, 44), int)
    for class_, start in enumerate((6, 14, 21), start=1):
        array[start : start + 9, 8:31, start - 1 : start + 12] = class_
    grid = Geometry((44, 42, 40))
    out = resample_labels(SoftLabels.from_class_indices(array, 4), grid, target := grid.resampled(spacing))
    before = np.bincount(array.ravel(), minlength=4)[1:] * grid.voxel_volume_ml
    after = out.volumes()[1:] * target.voxel_volume_ml
    # area averages keep it exactly; linear interpolation onto finer grids up to its sampling
    np.testing.assert_allclose(after, before, rtol=1e-5 if min(spacing) >= 1 else 0.01)


def test_oblique_area_averages_preserve_volume(helpers: Helpers) -> None:
    turned = helpers["turned"]
    grid = turned((40, 40, 40), (1.0, 1.0, 1.0))
    centre = np.stack(np.meshgrid(*[np.arange(40) - 19.5] * 3, indexing="ij"))
    array = ((centre**2).sum(axis=0) < 12**2).astype(int)
    target = turned((24, 24, 24), (2.2, 2.2, 2.2), (0.5, 0.2))
    out = resample_labels(SoftLabels.from_class_indices(array, 2), grid, target)
    assert out.volumes()[1] * target.voxel_volume_ml == pytest.approx(array.sum() * grid.voxel_volume_ml, rel=0.01)
    assert np.unique(out.dense()[1]).size > 50


def test_unlabelled_voxels_stay_unlabelled_and_are_not_scaled_up() -> None:
    array = np.full((2, 2, 8), -1)
    array[..., :4] = 1
    grid = Geometry((8, 2, 2))
    out = resample_labels(
        SoftLabels.from_class_indices(array, 2), grid, Geometry((3, 1, 1), (3.0, 2.0, 2.0), (1, 0.5, 0.5))
    )
    np.testing.assert_allclose(out.dense()[1].ravel(), [1, 1 / 3, 0], atol=1e-6)
    assert out.largest().ravel().tolist() == [1, 1, -1]


def test_only_k_classes_are_kept_and_nothing_is_scaled() -> None:
    array = np.arange(8).reshape(2, 2, 2)
    grid = Geometry((2, 2, 2))
    out = resample_labels(SoftLabels.from_class_indices(array, 8), grid, grid.resampled((2.0, 2.0, 2.0)), k=3)
    assert out.slots == 3
    assert out.total().item() == pytest.approx(3 / 8)


def test_the_same_grid_changes_nothing(labels_and_grid: tuple[SoftLabels, Geometry]) -> None:
    labels, grid = labels_and_grid
    out = resample_labels(labels, grid, grid)
    assert out.slots == 1
    assert np.array_equal(out.indices, labels.indices)
    assert np.array_equal(out.probabilities, labels.probabilities)
    with pytest.raises(ValueError, match=r"expected labels of shape \(1, 2, 3\), got \(16, 15, 18\)"):
        resample_labels(labels, Geometry((3, 2, 1)), grid)


def test_a_real_cord_mask_keeps_its_volume_and_becomes_soft(shared_data: Path) -> None:
    mask = read_image(shared_data / "cord_fixtures" / "t2s_t2s_gmseg_manual.nii.gz")
    target = mask.geometry.resampled((0.8, 0.8, 7.5))
    out = resample_labels(SoftLabels.from_class_indices(mask.array.astype(int), 2), mask.geometry, target)
    grey = out.dense()[1]
    assert np.unique(grey).size > 20
    before = mask.array.sum() * mask.geometry.voxel_volume_ml
    assert grey.sum(dtype=float) * target.voxel_volume_ml == pytest.approx(before, rel=1e-5)


def test_a_real_brain_map_keeps_every_volume(shared_data: Path) -> None:
    image = read_image(shared_data / "brain" / "labels" / "1000.nii.gz")
    values, array = np.unique(image.array, return_inverse=True)
    labels = SoftLabels.from_class_indices(array.reshape(image.array.shape), values.size)
    target = oriented(image.geometry, "LPS").resampled((2.0, 2.0, 2.0))
    out = resample_labels(labels, image.geometry, target)
    before = labels.volumes()[1:] * image.geometry.voxel_volume_ml
    np.testing.assert_allclose(out.volumes()[1:] * target.voxel_volume_ml, before, rtol=1e-4)
    assert out.total().min() > 1 - 1e-5


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_images_on_any_orientation_equal_simpleitk(orientation: str) -> None:
    random = np.random.default_rng(0)
    image = Image(random.normal(100, 20, (9, 8, 7)).astype(np.float32), Geometry((7, 8, 9), (1.0, 1.5, 2.0)))
    target = oriented(image.geometry.resampled((0.6, 0.7, 1.9)), orientation)
    target = replace(target, origin=tuple(x + 1.37 for x in target.origin))  # type: ignore[arg-type]
    out = resample_image(image, target, outside=-5.0)
    np.testing.assert_allclose(out.array, by_sitk(image, target, -5.0), atol=1e-3)
    assert (out.array == -5).any()
    assert out.geometry == target


def test_oblique_images_equal_simpleitk(helpers: Helpers) -> None:
    random = np.random.default_rng(0)
    grid = helpers["turned"]((12, 10, 9), (1.0, 1.5, 2.0))
    image = Image(random.normal(100, 20, grid.shape).astype(np.float32), grid)
    target = helpers["turned"]((14, 11, 18), (1.0, 1.2, 0.9), (0.3, 0.2))
    np.testing.assert_allclose(resample_image(image, target).array, by_sitk(image, target), atol=1e-3)


def test_coarser_images_are_averaged_without_aliasing() -> None:
    stripes = np.tile(np.array([0, 100], np.int16), (4, 4, 6))
    image = Image(stripes, Geometry((12, 4, 4)))
    out = resample_image(image, image.geometry.resampled((2.0, 2.0, 2.0)))
    assert (out.array == 50).all()


def test_nearest_keeps_type_and_values_and_cubic_follows_a_line() -> None:
    image = Image(np.tile(np.arange(24, dtype=np.int16), (8, 8, 1)), Geometry((24, 8, 8)))
    target = image.geometry.resampled((0.5, 0.5, 0.5))
    near = resample_image(image, target, "nearest").array
    assert near.dtype == np.int16
    assert set(np.unique(near)) <= set(range(24))
    cubic = resample_image(image, target, "cubic").array
    np.testing.assert_allclose(cubic[8, 8, 16:32], np.arange(16, 32) / 2 - 0.25, atol=1e-2)
    with pytest.raises(ValueError, match="expected order 'linear', 'cubic' or 'nearest', got 'spline'"):
        resample_image(image, target, "spline")
