"""Distances between the surfaces of hard labels, as MONAI defines them, on the box around each structure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

TOLERANCE_MM = 1.0
"""Surface Dice: a surface voxel this near to the other surface counts as right (our default)."""


def surface_scores(
    predicted: npt.NDArray[np.bool_],
    reference: npt.NDArray[np.bool_],
    spacing: tuple[float, float, float],
    tolerance_mm: float = TOLERANCE_MM,
    flat_axis: int | None = None,
) -> tuple[float, float]:
    """Return the 95th percentile Hausdorff distance (mm) and the surface Dice (0..1) of two masks.

    Both as MONAI defines them: the surface is the set of voxels that an erosion removes; the Hausdorff distance is the
    larger of the two directed percentiles (linear interpolation).

    Parameters
    ----------
    predicted, reference: ``(k, j, i)``, same shape.
    spacing: mm along ``(k, j, i)``.
    tolerance_mm: see :data:`TOLERANCE_MM`.
    flat_axis: the axis of one voxel along which the volume is a single slice; its surface is evaluated in that plane.

    Returns
    -------
    ``(nan, nan)`` where both masks are empty; ``(nan, 0.0)`` where one is: there is no distance to nothing.
    """
    if not predicted.any() or not reference.any():
        return math.nan, math.nan if predicted.any() == reference.any() else 0.0
    masks, in_order = [predicted, reference], list(spacing)
    if flat_axis is not None:
        masks = [mask.squeeze(flat_axis) for mask in masks]
        del in_order[flat_axis]
    ours, theirs = (mask & ~ndimage.binary_erosion(mask) for mask in masks)
    forward, backward = _distances(ours, theirs, in_order), _distances(theirs, ours, in_order)
    hausdorff = max(float(np.percentile(distances, 95)) for distances in (forward, backward))
    near = int((forward <= tolerance_mm).sum()) + int((backward <= tolerance_mm).sum())
    return hausdorff, near / (len(forward) + len(backward))


def _distances(
    surface: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], spacing: Sequence[float]
) -> npt.NDArray[np.float64]:
    """Return the distance (mm) of each voxel of a surface from the other surface."""
    return np.asarray(ndimage.distance_transform_edt(~other, sampling=spacing)[surface], np.float64)


def single_slice_axis(shape: tuple[int, int, int]) -> int | None:
    """Return the axis along which a volume is one slice, if there is exactly one."""
    flat = [axis for axis in range(3) if shape[axis] == 1]
    return flat[0] if len(flat) == 1 else None


def boxes(labels: npt.NDArray[np.int16], count: int) -> list[Any]:
    """Return the bounding box (slices ``(k, j, i)``) of each label 0..count-1; None where it is absent."""
    found: list[Any] = ndimage.find_objects(labels.astype(np.int32) + 1, max_label=count)
    return found


def joined(first: Any, second: Any) -> tuple[slice, ...] | None:
    """Return the box around two boxes, of which either may be None."""
    if first is None or second is None:
        box: tuple[slice, ...] | None = second if first is None else first
        return box
    return tuple(slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first, second, strict=True))
