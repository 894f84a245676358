"""Probabilities of a small scan in every orientation, written as other tools write them."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

NAMES = ("background", "liver", "left kidney", "right kidney")
SIZE = (9, 7, 5)  # i, j, k of the LPS scan


def distribution() -> np.ndarray:
    """Return float32 ``(4, k, j, i)`` that sums to 1 and is another one in every voxel, background at the rim."""
    rng = np.random.default_rng(3)
    values = rng.gamma(0.4, 1.0, (4, *SIZE[::-1])) + 1e-3
    values[0, :, 0] += 1e6
    return (values / values.sum(axis=0)).astype(np.float32)


def image(array: np.ndarray, orientation: str = "LPS") -> sitk.Image:
    """Return an array ``(k, j, i)`` in LPS as an image whose axes run otherwise in memory, not in space."""
    made = sitk.GetImageFromArray(np.ascontiguousarray(array))
    made.SetSpacing((1.5, 2.0, 3.0))
    made.SetOrigin((-20.0, 11.0, 5.0))
    return sitk.DICOMOrient(made, orientation)


def stack(values: np.ndarray, orientation: str = "LPS") -> sitk.Image:
    return sitk.JoinSeries([image(volume, orientation) for volume in values])
