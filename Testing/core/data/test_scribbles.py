"""Scribbles are told from drawn structures by their shape."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.data.scribbles import looks_like_scribbles

SHAPE = (40, 44, 48)


def empty() -> np.ndarray:
    return np.zeros(SHAPE, np.uint8)


def ball(middle: tuple[int, int, int], radius: float, value: int = 1) -> np.ndarray:
    grid = np.indices(SHAPE)
    distance = sum((grid[axis] - middle[axis]) ** 2 for axis in range(3))
    return np.where(distance < radius**2, value, 0).astype(np.uint8)


def scribble(labels: np.ndarray, axis: int, slice_: int, value: int, thickness: int = 1) -> None:
    """Paint a bent line, three voxels wide, on slices across an axis."""
    view = np.moveaxis(labels, axis, 0)
    for step in range(14):
        row, column = 8 + step, 10 + (step * step) // 14
        view[slice_ : slice_ + thickness, row : row + 3, column : column + 3] = value


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("thickness", [1, 2])
def test_scribbles_on_slices_of_any_direction_are_scribbles(axis: int, thickness: int) -> None:
    labels = empty()
    for number, slice_ in enumerate((8, 16, 30), start=1):
        scribble(labels, axis, slice_, number, thickness)
    assert looks_like_scribbles(labels)


def test_scribbles_of_several_directions_are_scribbles() -> None:
    labels = empty()
    scribble(labels, 0, 4, 1)
    scribble(labels, 2, 40, 2)
    assert looks_like_scribbles(labels)


def test_drawn_structures_are_none() -> None:
    assert not looks_like_scribbles(ball((20, 20, 20), 8) + ball((8, 34, 36), 4, 2))
    shell = ball((20, 20, 20), 12)
    shell[ball((20, 20, 20), 11) > 0] = 0
    assert not looks_like_scribbles(shell)


def test_vessels_and_small_lesions_are_none() -> None:
    vessel = empty()
    for k in range(36):  # one voxel wide, through all slices and bending both ways
        vessel[k, 20 + round(8 * np.sin(k / 5)), 20 + round(8 * np.cos(k / 5))] = 1
    assert not looks_like_scribbles(vessel)
    lesions = empty()
    for place in range(4, 36, 6):
        lesions[place : place + 2, place : place + 2, place : place + 2] = 1
    assert not looks_like_scribbles(lesions)


def test_one_structure_drawn_in_full_beside_scribbles_is_enough() -> None:
    labels = ball((20, 20, 20), 9)
    scribble(labels, 0, 2, 2)
    assert not looks_like_scribbles(labels)


def test_empty_labels_and_flat_images_say_nothing() -> None:
    assert not looks_like_scribbles(empty())
    flat = np.zeros((1, 44, 48), np.uint8)
    scribble(flat, 0, 0, 1)
    assert not looks_like_scribbles(flat)
