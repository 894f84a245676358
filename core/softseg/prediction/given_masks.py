"""Masks that people give: found by name, read as probabilities, brought to the grid of the scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from softseg.data.preprocess import same_voxels
from softseg.errors import InputError
from softseg.image import IMAGE_SUFFIXES, Geometry, Image, read_image, say_notes
from softseg.prediction.inputs import stem
from softseg.prediction.record import Identity
from softseg.requests.manifest import MASK, RESULTS_FILE, Manifest
from softseg.soft.resample import resample_image
from softseg.types import FloatArray

OVERSHOOT = 0.01
"""By which a probability may lie outside 0..1 and is clipped: interpolation leaves such (our default)."""


def find_mask(given: Path, images: Sequence[Path]) -> Path:
    """Return the mask of a case: the file, or that of a folder which has the name of the case's first image.

    The folder may also be the output of an earlier prediction: then the mask beside that result is meant.

    Raises
    ------
    InputError: the folder has none.
    """
    if not given.is_dir():
        return given
    if (given / RESULTS_FILE).is_file():
        return Manifest.read(given).of_images(images).file(MASK)
    name = stem(images[0])
    for suffix in IMAGE_SUFFIXES:
        if (given / f"{name}{suffix}").is_file():
            return given / f"{name}{suffix}"
    raise InputError(f"no mask of this name for {images[0]}", file=given / f"{name}.nii.gz", field="--mask")


def mask_identity(file: Path) -> str:
    """Return what identifies a mask's content."""
    found = Identity.of(file, content=True)
    return found.sha256 or f"{found.path} {found.changed_ns}"


def read_mask(file: Path, target: Geometry, warn: Callable[[str], None]) -> FloatArray:
    """Return a mask on the grid of a scan, outside of its own grid 0: float32 ``(k, j, i)``, 0..1.

    Probabilities stay as they are; an image of two values, one of them 0, is 1 where it is not 0. Another grid is
    resampled as an image is, so that a crisp mask may become soft at its edge.

    Raises
    ------
    InputError: it is neither.
    """
    image = read_image(file, labels=True)
    say_notes(image.notes, file, warn)
    array = image.array
    low, high = float(array.min(initial=0)), float(array.max(initial=0))
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        values = np.clip(array.astype(np.float32), 0, 1)
    elif bool(((array == 0) | (array == (high if low == 0 else low))).all()):
        values = (array != 0).astype(np.float32)
    else:
        raise InputError(
            f"expected a mask of two values, one of them 0, or probabilities from 0 to 1; values go from {low:g} to "
            f"{high:g}",
            file=file,
            field="--mask",
            hint="of a label map, save the structure alone",
        )
    if same_voxels(image.geometry, target):
        return values
    return np.asarray(np.clip(resample_image(Image(values, image.geometry), target).array, 0, 1), np.float32)
