"""Volumes with sheared axes (a gantry tilt) on a straight grid that covers them.

The first two axes stay where they are, the third is taken perpendicular to them, so that slices stay slices and only
move within their plane.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.geometry import Geometry
from softseg.headers import SHEARED, shear_of

_EDGE = 0.1  # of a voxel that may stay outside the straight grid


def is_sheared(geometry: Geometry) -> bool:
    """Whether two axes are further from perpendicular than :data:`softseg.headers.SHEARED`."""
    return shear_of(geometry.affine)[0] > SHEARED


def straight_grid(geometry: Geometry) -> Geometry:
    """Return the grid with straight axes that covers all voxels of ``geometry``; the forms' codes stay."""
    affine = geometry.affine
    axes = affine[:3, :3]
    turn, lengths = np.linalg.qr(axes)
    signs = np.sign(np.diag(lengths))
    turn, spacing = turn * signs, np.abs(np.diag(lengths))
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in geometry.size])).reshape(3, -1)
    middle = np.array([n // 2 for n in geometry.size])  # this voxel keeps its place exactly
    reached = (turn.T @ axes @ (corners - middle[:, None])) / spacing[:, None]
    first = np.floor(reached.min(axis=1) + 0.5 + _EDGE)
    last = np.ceil(reached.max(axis=1) - 0.5 - _EDGE)
    matrix = np.eye(4)
    matrix[:3, :3] = turn * spacing
    matrix[:3, 3] = affine[:3, 3] + axes @ middle + matrix[:3, :3] @ first
    size = np.maximum(1, last - first + 1).astype(int)
    forms = None if geometry.forms is None else geometry.forms.placed(matrix)
    return Geometry.from_affine([int(n) for n in size], matrix, forms)


def straightened(array: npt.NDArray[Any], geometry: Geometry, labels: bool) -> tuple[npt.NDArray[Any], Geometry]:
    """Return numbers ``[bands, k, j, i]`` on the straight grid, and that grid.

    Parameters
    ----------
    array: on ``geometry``.
    geometry: with sheared axes.
    labels: whole numbers are labels: each is interpolated as a soft label of its own and the largest wins (0 outside);
        all else is interpolated linearly (outside: 0, or the lowest value where that is below 0), as float32.
    """
    grid = straight_grid(geometry)
    if labels and (array.dtype.kind != "f" or np.array_equal(array, np.trunc(array))):
        return np.stack([_labels(band, geometry, grid) for band in array]), grid
    low = 0.0 if labels else min(0.0, float(array.min(initial=0)))
    return np.stack([_linear(band, geometry, grid, low) for band in array]), grid


def _linear(
    array: npt.NDArray[Any], geometry: Geometry, grid: Geometry, outside: float = 0.0
) -> npt.NDArray[np.float32]:
    """Return ``(k, j, i)`` on another grid, interpolated linearly."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(array, np.float32))
    image.SetSpacing(geometry.spacing)
    image.SetOrigin(geometry.origin)
    image.SetDirection(geometry.direction)
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(grid.size)
    filter_.SetOutputSpacing(grid.spacing)
    filter_.SetOutputOrigin(grid.origin)
    filter_.SetOutputDirection(grid.direction)
    filter_.SetInterpolator(sitk.sitkLinear)
    filter_.SetDefaultPixelValue(outside)
    return np.asarray(sitk.GetArrayFromImage(filter_.Execute(image)))


def _labels(array: npt.NDArray[Any], geometry: Geometry, grid: Geometry) -> npt.NDArray[Any]:
    """Return labels on another grid: the most probable label, of equals the smallest value."""
    out = np.zeros(grid.shape, array.dtype)
    best = _linear(array == 0, geometry, grid, 1.0)
    for value in np.unique(array[array != 0]):
        mask = array == value
        box = _box_of(mask)
        part = geometry.cropped(_starts(box), _shape(box))
        there = _reached(part, grid)
        target = grid.cropped(_starts(there), _shape(there))
        probability = _linear(mask[box], part, target)
        wins = probability > best[there]
        best[there][wins], out[there][wins] = probability[wins], value
    return out


def _box_of(mask: npt.NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Return the box of a mask with one voxel around it where there is one."""
    found = []
    for axis in range(3):
        along = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        found.append(slice(max(0, int(along[0]) - 1), min(mask.shape[axis], int(along[-1]) + 2)))
    return found[0], found[1], found[2]


def _reached(part: Geometry, grid: Geometry) -> tuple[slice, slice, slice]:
    """Return the box of ``grid`` that a part of another grid reaches."""
    corners = np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in part.size], [1])).reshape(4, -1)
    there = (np.linalg.solve(grid.ijk_to_lps(), part.ijk_to_lps()) @ corners)[:3]
    low = np.clip(np.floor(there.min(axis=1)).astype(int), 0, np.asarray(grid.size) - 1)
    high = np.clip(np.ceil(there.max(axis=1)).astype(int) + 1, low + 1, grid.size)
    i, j, k = (slice(int(first), int(last)) for first, last in zip(low, high, strict=True))
    return k, j, i


def _starts(box: tuple[slice, slice, slice]) -> tuple[int, int, int]:
    return box[0].start, box[1].start, box[2].start


def _shape(box: tuple[slice, slice, slice]) -> tuple[int, int, int]:
    k, j, i = (part.stop - part.start for part in box)
    return k, j, i
