"""Reading a channel or a label map from any file there is a reader for.

Axis order: a cube in a file of arrays is ``[rows, columns, bands]``; ENVI names it itself; the pages of a TIFF, the
colours of a picture and the fourth axis (or the components) of a NIfTI, NRRD or MHA file are bands. Rows run down
(array axis ``j``) and columns to the right (``i``). What has no place in space of its own gets pixels of 1 mm, with the
first pixel at the origin.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes.address import split_address
from softseg.data.cubes.arrays import read_array
from softseg.data.cubes.cube import ChannelImage, Cube
from softseg.data.cubes.envi import is_envi, read_envi
from softseg.data.cubes.pictures import PICTURE_SUFFIXES, TIFF_SUFFIXES, read_picture, read_tiff
from softseg.errors import InputError
from softseg.files import require_file
from softseg.headers import PAIR_SUFFIXES, is_dicom_scan, is_image_file, is_nifti_pair, is_scan, read_header
from softseg.image import IMAGE_SUFFIXES, Geometry, Image, placed, read_image

ARRAY_SUFFIXES = (".npz", ".npy", ".mat")
"""Files of plain arrays."""

CHANNEL_SUFFIXES = (*IMAGE_SUFFIXES, *ARRAY_SUFFIXES, *PAIR_SUFFIXES, *TIFF_SUFFIXES, *PICTURE_SUFFIXES)
"""File endings of images that channels can be read from."""

_SECOND = (".img", ".img.gz")  # a pair is listed once, by its header

_CUBE = "a picture (rows x columns) or a cube (rows x columns x bands)"


def channel_files(files: Iterable[Path]) -> list[Path]:
    """Return those of a folder's files that channels are read from: volumes, or where there are none, other images."""
    there = list(files)
    volumes = [file for file in there if is_image_file(file)]
    others = [file for file in there if file.name.lower().endswith(CHANNEL_SUFFIXES)]
    return volumes or [file for file in others if not file.name.lower().endswith(_SECOND)]


def read_channel(path: str | PathLike[str]) -> ChannelImage:
    """Read one channel of a case: a scalar image, or a cube of bands.

    Parameters
    ----------
    path: a file, a file of several arrays and the name of one (``scene.npz:cube``), a folder of DICOM slices, or a
        series of it (``FOLDER:3``).

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, or holds no such array.
    """
    file, key = _existing(path)
    with _named(file):
        return _read_channel(file, key)


@contextlib.contextmanager
def _named(file: Path) -> Iterator[None]:
    """Let errors of the system name the file that is read; a few of those that libraries raise do not."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        raise InputError(f"cannot be read ({error.strerror or error})", file=file) from error


def _read_channel(file: Path, key: str | None) -> ChannelImage:
    name = file.name.lower()
    if is_dicom_scan(file):
        return read_volume(file)
    if name.endswith(ARRAY_SUFFIXES):
        return picture(read_array(file, key, (3, 2), _CUBE))
    if is_nifti_pair(file):
        return read_volume(file)
    if is_envi(file):
        numbers, wavelengths = read_envi(file)
        return stack(numbers, wavelengths)
    if name.endswith(TIFF_SUFFIXES):
        return stack(read_tiff(file))
    if name.endswith(PICTURE_SUFFIXES):
        return picture(read_picture(file))
    if not name.endswith(IMAGE_SUFFIXES):
        raise InputError(f"expected an image that ends in {', '.join(CHANNEL_SUFFIXES)}, or DICOM", file=file)
    return read_volume(file)


def read_label_map(path: str | PathLike[str]) -> Image:
    """Read a label map: any scalar image, a picture, or an array of rows x columns.

    Parameters
    ----------
    path: a file, or a file of several arrays and the name of one (``scene.npz:labels``).

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, holds no such array, or holds several bands.
    """
    file, key = _existing(path)
    name = file.name.lower()
    if is_dicom_scan(file):
        return read_image(file, labels=True)
    if name.endswith(ARRAY_SUFFIXES):
        return flat(read_array(file, key, (2,), "a label map (rows x columns)"))
    if name.endswith(PICTURE_SUFFIXES):
        found = picture(read_picture(file, labels=True))
    elif name.endswith(TIFF_SUFFIXES) or (is_envi(file) and not is_nifti_pair(file)):
        found = read_channel(file)
    else:
        return read_image(file, labels=True)
    if isinstance(found, Cube):
        raise InputError(
            f"expected a label map of one value per pixel, got {found.bands}",
            file=file,
            hint="save labels as grey values or with a palette, not as colours",
        )
    return found


def read_volume(file: Path) -> ChannelImage:
    """Read a volume of any format of :mod:`softseg.headers`; a fourth axis, colours or components are bands.

    Raises
    ------
    InputError: as :func:`softseg.image.read_image`, and several axes beyond the third.
    """
    header = read_header(file)
    array, geometry, notes = placed(header)
    return Image(array[0], geometry, notes) if len(array) == 1 else Cube(array, geometry, notes=notes)


def stack(bands: npt.NDArray[Any], wavelengths: tuple[float, ...] | None = None) -> ChannelImage:
    """Return ``[bands, rows, columns]`` as one slice with pixels of 1 mm; a single band is a scalar image."""
    if len(bands) == 1:
        return flat(bands[0])
    array = _native(np.ascontiguousarray(bands))[:, None]
    return Cube(array, Geometry((bands.shape[2], bands.shape[1], 1)), wavelengths)


def picture(array: npt.NDArray[Any]) -> ChannelImage:
    """Return ``[rows, columns]`` or ``[rows, columns, bands]`` as one slice with pixels of 1 mm."""
    return flat(array) if array.ndim == 2 else stack(np.moveaxis(array, -1, 0))


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
    if not is_scan(file):
        require_file(file)
    return file, key
