"""Volumes and their place in space: one reader and one writer.

Arrays are ``(k, j, i)`` (slices first, as in SimpleITK and Slicer); :class:`softseg.geometry.Geometry` tells
where they lie. The position in a file is read by :mod:`softseg.headers`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.geometry import Geometry
from softseg.headers import IMAGE_SUFFIXES, Header, place_notes, read_header, write_nifti
from softseg.headers.itk_names import itk_name
from softseg.straight import is_sheared, straightened
from softseg.system import raise_out_of_memory

Warn: TypeAlias = Callable[[str], None]
"""Called with one sentence, without a full stop, about something odd."""

__all__ = [
    "IMAGE_SUFFIXES",
    "WRITTEN_SUFFIXES",
    "Geometry",
    "Image",
    "placed",
    "read_image",
    "reorient",
    "say_notes",
    "write_image",
]

WRITTEN_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File endings that are written."""


@dataclass(frozen=True, eq=False)
class Image:
    """An array with its grid.

    Attributes
    ----------
    array: ``(k, j, i)``, any number type.
    geometry: its grid; ``array.shape == geometry.shape``.
    notes: remarks on the position of the file it was read from, one sentence each without a full stop.
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.shape != self.geometry.shape:
            raise ValueError(f"expected an array of shape {self.geometry.shape}, got {self.array.shape}")

    def to_sitk(self) -> sitk.Image:
        """Return a SimpleITK image; booleans become uint8, 64-bit floats stay."""
        array = self.array.astype(np.uint8) if self.array.dtype == np.bool_ else self.array
        image = sitk.GetImageFromArray(np.ascontiguousarray(array))
        image.SetSpacing(self.geometry.spacing)
        image.SetOrigin(self.geometry.origin)
        image.SetDirection(self.geometry.direction)
        return image

    @staticmethod
    def from_sitk(image: sitk.Image) -> Image:
        """Return a scalar SimpleITK image (2D or 3D) as :class:`Image`."""
        if image.GetDimension() == 2:
            image = sitk.JoinSeries(image)
        return Image(sitk.GetArrayFromImage(image), Geometry.of(image))


def read_image(path: str | os.PathLike[str], *, labels: bool = False) -> Image:
    """Read a scalar volume (NIfTI, Analyze, MGH, NRRD, MetaImage, DICOM; 2D becomes one slice).

    A volume with sheared axes comes on the straight grid that covers it, see :mod:`softseg.straight`.

    Parameters
    ----------
    path: the file, a folder of DICOM slices, or a series of it (``FOLDER:3``).
    labels: whether it is a label map, whose whole numbers are never interpolated.

    Raises
    ------
    InputError: the file is missing, damaged, truncated, places its voxels nowhere, is not a scalar volume (complex,
        colours, several values per voxel), or holds NaN or infinity.
    """
    file = Path(path)
    header = read_header(file)
    if header.bands != 1:
        what = f"{header.colours} colours" if header.colours else f"{header.bands} values per voxel"
        raise InputError(
            f"expected a scalar 3D volume, got {what}", file=file, hint="give each channel as a file of its own"
        )
    array, geometry, notes = placed(header, labels)
    return Image(array[0], geometry, notes)


def placed(header: Header, labels: bool = False) -> tuple[npt.NDArray[Any], Geometry, tuple[str, ...]]:
    """Read a file's numbers: ``[bands, k, j, i]``, their straight grid, and remarks on their position.

    Raises
    ------
    InputError: the file is damaged or holds NaN or infinity.
    """
    geometry, notes = Geometry.from_affine(header.size, header.affine, header.forms), place_notes(header)
    array = header.load()
    if is_sheared(geometry):
        array, geometry = straightened(array, geometry, labels)
    return array, geometry, notes


def say_notes(notes: Iterable[str], file: str | os.PathLike[str], warn: Warn) -> None:
    """Warn with the remarks on the position of a file."""
    for note in notes:
        warn(f"{os.fspath(file)}: {note}")


def write_image(image: Image, path: str | os.PathLike[str]) -> Path:
    """Write a volume, compressed, in the format its ending names; it appears only when complete.

    A NIfTI file carries the forms that :attr:`Geometry.forms` came with, so that it lies on its input in every reader.

    Raises
    ------
    InputError: the ending is unknown, the folder cannot be written, or the disk is full.
    """
    file = Path(path)
    name = file.name.lower()
    if not name.endswith(WRITTEN_SUFFIXES):
        raise InputError(f"cannot write this format; expected {', '.join(WRITTEN_SUFFIXES)}", file=file)
    with write_beside(file) as temporary:
        if name.endswith((".nii", ".nii.gz")):
            array = image.array.astype(np.uint8) if image.array.dtype == np.bool_ else image.array
            write_nifti(array, image.geometry.written_forms, temporary)
            return file
        try:
            sitk.WriteImage(image.to_sitk(), itk_name(temporary, file), useCompression=True)
        except RuntimeError as error:
            raise_out_of_memory(error, file)
            raise InputError("could not be written: is the disk full?", file=file) from error
    return file


def reorient(image: Image, orientation: str) -> Image:
    """Return the image with its index axes ``(i, j, k)`` turned to ``orientation``, e.g. ``"LPS"``.

    ``"LPS"`` means that ``i`` runs to the Left, ``j`` to Posterior, ``k`` to Superior (SimpleITK's naming); voxel
    values are moved, never interpolated.
    """
    return Image.from_sitk(sitk.DICOMOrient(image.to_sitk(), orientation))
