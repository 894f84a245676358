"""Sheared axes: what is seen stays where it was, on straight axes that cover the volume."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from header_kit import Array, affines, matrix, save
from hypothesis import given, settings

from softseg.data.cubes import read_label_map
from softseg.geometry import Geometry
from softseg.image import read_image
from softseg.straight import straight_grid

SHAPE = (24, 26, 22)
PLACE = np.array([0.0, 1.0, -2.0])


def _blob(affine: Array, shape: tuple[int, int, int] = SHAPE) -> Array:
    """Return a smooth blob (i, j, k) around a point near the middle of the grid, in space."""
    ijk = np.indices(shape).reshape(3, -1)
    middle = affine[:3, :3] @ ((np.asarray(shape) - 1) / 2) + affine[:3, 3] + PLACE
    away = np.linalg.norm((affine[:3, :3] @ ijk + affine[:3, 3:]) - middle[:, None], axis=0)
    return np.asarray(np.clip(7 - away, 0, 5).reshape(shape), np.float32)


def _centre(array: Array, affine: Array) -> Array:
    weights = array.ravel()
    points = affine[:3, :3] @ np.indices(array.shape).reshape(3, -1) + affine[:3, 3:]
    return np.asarray((points * weights).sum(axis=1) / weights.sum())


@settings(max_examples=15, deadline=None)
@given(affines(SHAPE, shears=(0.002, -0.1, 0.36, -0.6)))
def test_scan_and_labels_keep_their_place(affine: Array) -> None:
    blob = _blob(affine)
    with tempfile.TemporaryDirectory() as folder:
        scan = save(Path(folder) / "scan.nii", blob, affine, 1, affine, 0)
        labels = save(Path(folder) / "labels.nii", (blob > 2).astype(np.int16) * 3, affine, 1, affine, 0)
        image, drawn = read_image(scan), read_label_map(labels)
    assert sum("sheared by" in note for note in image.notes) == 1
    assert image.geometry.same_grid(drawn.geometry)
    axes = np.reshape(image.geometry.direction, (3, 3))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    own = image.geometry.affine
    assert np.linalg.norm(_centre(image.array.T, own) - _centre(blob, affine)) < 0.1
    assert set(np.unique(drawn.array)) == {0, 3}
    assert drawn.array.dtype == np.int16
    assert np.linalg.norm(_centre(drawn.array.T == 3, own) - _centre(blob > 2, affine)) < 0.4  # whole voxels


@settings(max_examples=25, deadline=None)
@given(affines(SHAPE, shears=(0.01, -0.3, 0.8)))
def test_the_straight_grid_covers_every_voxel(affine: Array) -> None:
    geometry = Geometry.from_affine(SHAPE, affine)
    straight = straight_grid(geometry)
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in SHAPE], [1])).reshape(4, -1)
    there = (np.linalg.inv(straight.affine) @ geometry.affine @ corners)[:3]
    size = np.array(straight.size)[:, None]
    assert (there >= -0.5 - 0.11).all()
    assert (there <= size - 0.5 + 0.11).all()


def test_a_gantry_tilt_moves_slices_within_their_plane_only() -> None:
    tilted = matrix((0, 0, 0), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 5.0), 0.36, SHAPE, (0, 0, 0))
    straight = straight_grid(Geometry.from_affine(SHAPE, tilted))
    assert straight.size == (24, 26 + math.ceil(0.36 * 5 * 22), 22)
    assert straight.spacing == pytest.approx((1.0, 1.0, 5.0))


def test_what_lies_outside_the_scan_is_its_background(tmp_path: Path) -> None:
    tilted = matrix((0, 0, 0), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 1.0), 0.36, SHAPE, (0, 0, 0))
    ct = save(tmp_path / "ct.nii", (_blob(tilted) * 200 - 1000).astype(np.int16), tilted, 1, tilted, 0)
    assert read_image(ct).array.min() == pytest.approx(-1000)
    mr = save(tmp_path / "mr.nii", _blob(tilted) + 3, tilted, 1, tilted, 0)
    assert read_image(mr).array[0, -1, 0] == 0


def test_soft_maps_are_interpolated(tmp_path: Path) -> None:
    tilted = matrix((0, 0, 0), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 1.0), 0.36, SHAPE, (0, 0, 0))
    soft = read_label_map(save(tmp_path / "soft.nii", _blob(tilted) / 5, tilted, 1, tilted, 0))
    assert soft.array.dtype == np.float32
    assert 0 <= soft.array.min() < soft.array.max() <= 1
    assert np.unique(soft.array).size > 100


def test_axes_off_by_a_rounding_error_are_left_alone(tmp_path: Path) -> None:
    almost = matrix((10, 20, 30), (1, 1, 1), (0, 1, 2), (1.0, 1.0, 1.0), 5e-4, SHAPE, (0, 0, 0))
    image = read_image(save(tmp_path / "scan.nii", _blob(almost), almost, 1, almost, 0))
    assert (image.geometry.size, image.notes) == (SHAPE, ())
    np.testing.assert_allclose(image.geometry.affine, almost, atol=1e-4)
