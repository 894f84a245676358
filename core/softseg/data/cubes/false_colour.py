"""False colours: three bands of a cube as red, green and blue, for people to look at."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.data.cubes.cube import ChannelImage, Cube
from softseg.errors import InputError
from softseg.files import write_beside
from softseg.headers.itk_names import itk_name
from softseg.image import WRITTEN_SUFFIXES
from softseg.system import raise_out_of_memory

RED_GREEN_BLUE_NM = (650.0, 550.0, 450.0)
"""Wavelengths whose nearest bands become red, green and blue."""

FARTHEST_NM = 50.0
"""A band farther than this from a colour's wavelength does not stand for it (our default)."""

STRETCH = (2.0, 98.0)
"""Percentiles of a band that become black and full colour (our default)."""


def false_colour(
    image: ChannelImage, bands: Sequence[int] | None = None, percent: tuple[float, float] = STRETCH
) -> npt.NDArray[np.uint8]:
    """Return red, green and blue ``[k, j, i, 3]`` of a cube; a scalar image becomes grey.

    Parameters
    ----------
    image: the cube.
    bands: positions, from 0, of the bands for red, green and blue; by default those of :func:`colour_bands`.
    percent: percentiles between which each band is stretched; pixels that are 0 in all bands are left out of them.

    Raises
    ------
    InputError: there is no such band, or percentiles are not ascending within 0..100.
    """
    low, high = percent
    if not 0 <= low < high <= 100:
        raise InputError(f"expected two ascending percentiles in 0..100, got {low:g} and {high:g}", field="percent")
    array = image.array if isinstance(image, Cube) else image.array[None]
    chosen = colour_bands(image) if bands is None else bands
    for band in chosen:
        if not 0 <= band < len(array):
            raise InputError(f"there is no band {band}: there are 0 to {len(array) - 1}", field="bands")
    there = (array != 0).any(axis=0)
    return np.stack([_stretched(array[band], there, percent) for band in chosen], axis=-1)


def colour_bands(image: ChannelImage) -> tuple[int, int, int]:
    """Return the bands for red, green and blue.

    Those nearest to :data:`RED_GREEN_BLUE_NM` where the file has wavelengths and covers these; the three of a
    colour picture as they are; else bands at 5/6, 1/2 and 1/6 of all (our default; such colours mean nothing).
    """
    if not isinstance(image, Cube):
        return 0, 0, 0
    if image.wavelengths is not None:
        apart = np.abs(np.subtract.outer(RED_GREEN_BLUE_NM, image.wavelengths))
        if apart.min(axis=1).max() <= FARTHEST_NM:
            red, green, blue = (int(band) for band in apart.argmin(axis=1))
            return red, green, blue
    count = image.bands
    return (0, 1, 2) if count == 3 else (count * 5 // 6, count // 2, count // 6)


def write_false_colour(
    image: ChannelImage,
    out: str | PathLike[str],
    bands: Sequence[int] | None = None,
    percent: tuple[float, float] = STRETCH,
) -> Path:
    """Write false colours: a ``.png`` (the middle slice), or a volume of three components that Slicer shows in colour.

    Raises
    ------
    InputError: as :func:`false_colour`; the ending is unknown, or the file cannot be written.
    """
    file = Path(out)
    flat = file.name.lower().endswith(".png")
    if not flat and not file.name.lower().endswith(WRITTEN_SUFFIXES):
        raise InputError(f"cannot write this format; expected .png, {', '.join(WRITTEN_SUFFIXES)}", file=file)
    colours = np.ascontiguousarray(false_colour(image, bands, percent))
    picture = sitk.GetImageFromArray(colours[len(colours) // 2] if flat else colours, isVector=True)
    if not flat:
        picture.SetSpacing(image.geometry.spacing)
        picture.SetOrigin(image.geometry.origin)
        picture.SetDirection(image.geometry.direction)
    with write_beside(file) as temporary:
        try:
            sitk.WriteImage(picture, itk_name(temporary, file), useCompression=True)
        except RuntimeError as error:
            raise_out_of_memory(error, file)
            raise InputError("could not be written: is the disk full?", file=file) from error
    return file


def _stretched(
    band: npt.NDArray[Any], there: npt.NDArray[np.bool_], percent: tuple[float, float]
) -> npt.NDArray[np.uint8]:
    values = band.astype(np.float32)
    known = values[there & np.isfinite(values)]
    bottom, top = np.percentile(known, percent) if known.size else (0.0, 1.0)
    scaled = np.clip((np.nan_to_num(values) - bottom) / max(float(top - bottom), 1e-6), 0, 1)
    return np.asarray(np.rint(scaled * 255), np.uint8)
