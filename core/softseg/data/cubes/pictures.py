"""Pictures and pages: PNG, JPEG and BMP by Pillow, TIFF by SimpleITK."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.data.cubes.tiff import is_whole
from softseg.errors import InputError
from softseg.headers.itk_names import itk_name
from softseg.system import raise_out_of_memory

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""Pictures of one, three or four values per pixel."""

TIFF_SUFFIXES = (".tif", ".tiff")
"""Pages of one size, each a band."""


def read_picture(file: Path, labels: bool = False) -> npt.NDArray[Any]:
    """Return a picture ``[rows, columns]``, or ``[rows, columns, bands]`` of a coloured one.

    Parameters
    ----------
    file: PNG, JPEG or BMP; transparency is left out.
    labels: keep the numbers of a picture with a palette, instead of its colours.

    Raises
    ------
    InputError: damaged, or of a kind that Pillow does not know.
    """
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        with Pillow.open(file) as picture:
            picture.load()
            if picture.mode == "1" or (picture.mode == "P" and labels):
                return np.array(picture)
            if picture.mode == "P":
                return np.array(picture.convert("RGB"))
            array = np.array(picture)
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError, Pillow.DecompressionBombError) as error:
        raise_out_of_memory(error, file)
        raise InputError("cannot be read as a picture: damaged, truncated or another format", file=file) from error
    if array.ndim == 2:
        return array
    colours = array[..., : array.shape[-1] - (array.shape[-1] in (2, 4))]
    return colours[..., 0] if colours.shape[-1] == 1 else colours


def read_tiff(file: Path) -> npt.NDArray[Any]:
    """Return the pages of a TIFF as ``[pages, rows, columns]``; the colours of a single page are three such pages.

    Raises
    ------
    InputError: damaged, or pages of several values per pixel.
    """
    problem = "cannot be read as a TIFF: damaged, truncated, or pages of different sizes"
    if not is_whole(file):
        raise InputError(problem, file=file)
    try:
        image = sitk.ReadImage(itk_name(file))
    except RuntimeError as error:
        raise_out_of_memory(error, file)
        raise InputError(problem, file=file) from error
    array = np.asarray(sitk.GetArrayFromImage(image))
    if image.GetNumberOfComponentsPerPixel() == 1:
        return array[None] if array.ndim == 2 else array
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 4:
        raise InputError("its pages hold several values per pixel", file=file, hint="write each band as a page")
    return np.moveaxis(array[..., : array.shape[-1] - (array.shape[-1] in (2, 4))], -1, 0)
