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
    reached = (turn.T @ axes @ corners) / spacing[:, None]
    first = np.floor(reached.min(axis=1) + 0.5 + _EDGE)
    last = np.ceil(reached.max(axis=1) - 0.5 - _EDGE)
    matrix = np.eye(4)
    matrix[:3, :3] = turn * spacing
    matrix[:3, 3] = affine[:3, 3] + matrix[:3, :3] @ first
    size = np.maximum(1, last - first + 1).astype(int)
    forms = None if geometry.forms is None else geometry.forms.placed(matrix)
    return Geometry.from_affine([int(n) for n in size], matrix, forms)


def straightened(array: npt.NDArray[Any], geometry: Geometry, labels: bool) -> tuple[npt.NDArray[Any], Geometry]:
    """Return numbers ``[bands, k, j, i]`` on the straight grid, and that grid.

    Parameters
    ----------
    array: on ``geometry``.
    geometry: with sheared axes.
    labels: whole numbers are labels and come from the nearest voxel (0 outside); all else is interpolated linearly
        (outside: 0, or the lowest value where that is below 0), as float32.
    """
    grid = straight_grid(geometry)
    whole = array.dtype.kind != "f" or bool(np.array_equal(array, np.trunc(array)))
    nearest = labels and whole
    low = 0.0 if labels else min(0.0, float(array.min(initial=0)))
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(grid.size)
    filter_.SetOutputSpacing(grid.spacing)
    filter_.SetOutputOrigin(grid.origin)
    filter_.SetOutputDirection(grid.direction)
    filter_.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    filter_.SetDefaultPixelValue(low)
    out = np.empty((len(array), *grid.shape), array.dtype if nearest else np.float32)
    for band, target in zip(array, out, strict=True):
        image = sitk.GetImageFromArray(np.ascontiguousarray(band, None if nearest else np.float32))
        image.SetSpacing(geometry.spacing)
        image.SetOrigin(geometry.origin)
        image.SetDirection(geometry.direction)
        target[...] = sitk.GetArrayFromImage(filter_.Execute(image))
    return out, grid
