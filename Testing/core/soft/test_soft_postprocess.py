"""Cleaning soft maps: nothing is thresholded, untouched voxels stay bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft import fill_holes, keep_largest, remove_small
from softseg.soft.postprocess import find_parts


@pytest.fixture(scope="module")
def two_blobs() -> np.ndarray:
    """A wide blob, a small one, and a faint one; the faint rims of the first two touch."""
    soft = np.zeros((12, 24, 40), np.float32)
    soft[6, 12, 10], soft[6, 12, 28], soft[2, 3, 36] = 1, 0.35, 1
    wide = ndimage.gaussian_filter(soft, 3, truncate=3)
    narrow = np.zeros_like(soft)
    narrow[6, 12, 28] = 1
    wide[:, :, 20:] = 0
    out = wide / wide.max() + 0.6 * ndimage.gaussian_filter(narrow, 1.2) / 0.03
    out[2, 3, 36:38] = 0.05
    return np.clip(out, 0, 1).astype(np.float32)


def test_the_largest_part_keeps_its_values_and_its_rim(two_blobs: np.ndarray, tmp_path: Path) -> None:
    out = keep_largest(two_blobs)
    kept = out > 0
    assert np.array_equal(out[kept], two_blobs[kept])
    assert out[6, 12, 10] == two_blobs[6, 12, 10]
    assert out[6, 12, 28] == 0
    assert out[2, 3, 36] == 0
    assert 0 < out[kept].min() < 0.1  # the rim below the finding threshold is there
    path = write_image(Image(out, Geometry((40, 24, 12))), tmp_path / "kept.nii.gz")
    assert np.unique(read_image(path).array).size > 50


def test_the_largest_is_the_one_with_most_soft_mass_not_most_voxels() -> None:
    soft = np.zeros((1, 1, 12), np.float32)
    soft[..., :6], soft[..., 8:11] = 0.2, 0.9
    assert keep_largest(soft).nonzero()[2].tolist() == [8, 9, 10]
    assert np.array_equal(keep_largest(soft, parts=2), soft)


def test_small_parts_go_by_soft_volume(two_blobs: np.ndarray) -> None:
    found, masses = find_parts(two_blobs)
    voxel = 0.001
    assert np.array_equal(remove_small(two_blobs, 0.0, voxel), two_blobs)
    out = remove_small(two_blobs, 0.5 * voxel, voxel)
    assert out[2, 3, 36] == 0
    assert np.array_equal(out[:, :, :34], two_blobs[:, :, :34])
    middle = np.sort(masses)[-2] + 1e-6
    assert np.array_equal(remove_small(two_blobs, middle * voxel, voxel), keep_largest(two_blobs))
    assert masses.sum() == pytest.approx(two_blobs.sum(dtype=float))
    assert np.array_equal(found > 0, two_blobs > 0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([6, 18, 26]), st.sampled_from([0.0, 0.1, 0.5]))
@settings(max_examples=30, deadline=None)
def test_values_are_kept_or_gone(seed: int, connectivity: int, above: float) -> None:
    random = np.random.default_rng(seed)
    soft = random.random((5, 6, 7)).astype(np.float32) * (random.random((5, 6, 7)) < 0.4)
    for out in (keep_largest(soft, above, connectivity), remove_small(soft, 1.5, 1.0, above, connectivity)):
        assert out.dtype == soft.dtype
        assert ((out == soft) | (out == 0)).all()
    found, masses = find_parts(soft, above, connectivity)
    np.testing.assert_allclose(masses[1:], ndimage.sum(soft, found, np.arange(1, masses.size)), atol=1e-5)


def test_one_part_at_threshold_zero_is_a_plain_component() -> None:
    soft = np.random.default_rng(1).random((6, 6, 6)).astype(np.float32)
    soft[soft < 0.75] = 0
    plain, count = ndimage.label(soft > 0, np.ones((3, 3, 3)))
    masses = ndimage.sum(soft, plain, np.arange(1, count + 1))
    expected = np.where(plain == 1 + np.argmax(masses), soft, 0)
    assert np.array_equal(keep_largest(soft, above=0.0), expected)


def test_holes_are_raised_to_their_rim_and_nothing_else_changes() -> None:
    soft = np.zeros((7, 7, 7), np.float32)
    soft[1:6, 1:6, 1:6] = 0.3
    soft[2:5, 2:5, 2:5] = 0.8
    soft[3, 3, 3] = 0.1
    soft[0, 0, 0] = 0.123456
    out = fill_holes(soft)
    assert out[3, 3, 3] == np.float32(0.8)
    changed = out != soft
    assert changed.sum() == 1
    assert out.dtype == np.float32
    open_ring = np.zeros((1, 5, 5), np.float32)
    open_ring[0, 1:4, 1:4] = 0.3
    open_ring[0, 2, 2] = 0
    assert fill_holes(open_ring)[0, 2, 2] == 0  # one slice of a volume is all border
    assert fill_holes(open_ring, in_plane=True)[0, 2, 2] == np.float32(0.3)


def test_a_real_soft_mask_stays_soft(shared_data: Path) -> None:
    soft = read_image(shared_data / "cord_fixtures" / "mt_mt1_gmseg.nii.gz").array
    cleaned = fill_holes(remove_small(keep_largest(soft, parts=4), 0.01, 0.0121), in_plane=True)
    assert np.unique(cleaned).size > 50
    raised = cleaned > soft
    assert ((cleaned == soft) | (cleaned == 0) | raised).all()
    assert raised.mean() < 0.05


def test_nothing_at_all_and_a_wrong_connectivity() -> None:
    empty = np.zeros((3, 3, 3), np.float32)
    assert np.array_equal(keep_largest(empty), empty)
    assert np.array_equal(remove_small(empty, 1, 1), empty)
    with pytest.raises(ValueError, match="expected connectivity 6, 18 or 26, got 8"):
        keep_largest(empty, connectivity=8)
