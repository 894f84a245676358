"""Reading a channel or a label map from any file there is a reader for.

Axis order: a cube in a file of arrays is ``[rows, columns, bands]``; pages of a TIFF and the fourth axis (or the
components) of a NIfTI, NRRD or MHA file are bands. Rows run down (array axis ``j``) and columns to the right (``i``).
What has no place in space of its own gets pixels of 1 mm, with the first pixel at the origin.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes.address import split_address
from softseg.data.cubes.arrays import read_array
from softseg.data.cubes.cube import ChannelImage, Cube
from softseg.errors import InputError
from softseg.image import IMAGE_SUFFIXES, Geometry, Image, read_image

ARRAY_SUFFIXES = (".npz", ".npy", ".mat")
"""Files of plain arrays."""

CHANNEL_SUFFIXES = (*IMAGE_SUFFIXES, *ARRAY_SUFFIXES)
"""File endings of images that channels can be read from."""


def read_channel(path: str | PathLike[str]) -> ChannelImage:
    """Read one channel of a case: a scalar image, or a cube of bands.

    Parameters
    ----------
    path: a file, or a file of several arrays and the name of one (``scene.npz:cube``).

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, or holds no such array.
    """
    file, key = _existing(path)
    if file.name.lower().endswith(ARRAY_SUFFIXES):
        array = read_array(file, key, (3, 2), "a picture (rows x columns) or a cube (rows x columns x bands)")
        return picture(array)
    return read_image(file)


def read_label_map(path: str | PathLike[str]) -> Image:
    """Read a label map: any scalar image, or an array of rows x columns.

    Parameters
    ----------
    path: a file, or a file of several arrays and the name of one (``scene.npz:labels``).

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, or holds no such array.
    """
    file, key = _existing(path)
    if file.name.lower().endswith(ARRAY_SUFFIXES):
        return flat(read_array(file, key, (2,), "a label map (rows x columns)"))
    return read_image(file)


def picture(array: npt.NDArray[Any], wavelengths: tuple[float, ...] | None = None) -> ChannelImage:
    """Return ``[rows, columns]`` or ``[rows, columns, bands]`` as one slice with pixels of 1 mm."""
    if array.ndim == 2:
        return flat(array)
    bands = np.ascontiguousarray(np.moveaxis(array, -1, 0))[:, None]
    return Cube(_native(bands), Geometry((array.shape[1], array.shape[0], 1)), wavelengths)


def flat(array: npt.NDArray[Any]) -> Image:
    """Return ``[rows, columns]`` as one slice with pixels of 1 mm."""
    return Image(_native(np.ascontiguousarray(array))[None], Geometry((array.shape[1], array.shape[0], 1)))


def _native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the array in this machine's byte order; yes and no become 1 and 0."""
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _existing(path: str | PathLike[str]) -> tuple[Path, str | None]:
    file, key = split_address(path)
    if not file.is_file():
        raise InputError("no such file", file=file)
    return file, key
