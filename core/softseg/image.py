"""Volumes and their place in space: one reader and one writer, over SimpleITK.

Arrays are ``(k, j, i)`` (slices first, as SimpleITK and Slicer hand them out). :class:`Geometry` keeps SimpleITK's own
order and frame: ``size``, ``spacing`` (mm) along ``(i, j, k)``, ``origin`` (mm) and ``direction`` in LPS. ``affine`` is
the NIfTI matrix from ``(i, j, k, 1)`` to RAS mm.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.files import write_beside
from softseg.nifti import problem_of_nifti

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
"""File endings that are read and written."""


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in space.

    Attributes
    ----------
    size: voxels along ``(i, j, k)``.
    spacing: mm along ``(i, j, k)``.
    origin: centre of the first voxel, LPS mm.
    direction: nine numbers, row-major; column ``n`` is the LPS direction of index axis ``n``.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Array shape ``(k, j, i)``."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def spacing_kji(self) -> tuple[float, float, float]:
        """Spacing (mm) in array order."""
        return self.spacing[2], self.spacing[1], self.spacing[0]

    @property
    def voxel_volume_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(np.prod(self.spacing)) / 1000.0

    def ijk_to_lps(self) -> npt.NDArray[np.float64]:
        """Return the 4 x 4 matrix from ``(i, j, k, 1)`` to LPS mm."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing)
        matrix[:3, 3] = self.origin
        return matrix

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """The 4 x 4 matrix from ``(i, j, k, 1)`` to RAS mm (NIfTI)."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.ijk_to_lps()

    def same_grid(self, other: Geometry, tolerance_mm: float = 0.01) -> bool:
        """Whether both grids have the same size and all corners lie within ``tolerance_mm`` of each other."""
        if self.size != other.size:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.size], [1])).reshape(4, -1)
        difference = (self.ijk_to_lps() - other.ijk_to_lps()) @ corners
        return bool(np.abs(difference).max() <= tolerance_mm)

    def resampled(self, spacing: tuple[float, float, float]) -> Geometry:
        """Return the grid with another ``spacing`` (i, j, k; mm) that covers the same box of space."""
        extent = np.asarray(self.size) * np.asarray(self.spacing)
        size = np.maximum(1, np.ceil(extent / np.asarray(spacing) - 1e-3)).astype(int)
        first = (np.asarray(spacing) * size - extent) / -2 + (np.asarray(spacing) - np.asarray(self.spacing)) / 2
        origin = np.asarray(self.origin) + np.reshape(self.direction, (3, 3)) @ first
        return replace(
            self,
            size=(int(size[0]), int(size[1]), int(size[2])),
            spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        )

    def cropped(self, start_kji: tuple[int, int, int], shape_kji: tuple[int, int, int]) -> Geometry:
        """Return the grid of the box that begins at array index ``start_kji`` and has ``shape_kji`` voxels."""
        index = np.array([start_kji[2], start_kji[1], start_kji[0], 1.0])
        origin = (self.ijk_to_lps() @ index)[:3]
        return replace(
            self,
            size=(shape_kji[2], shape_kji[1], shape_kji[0]),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        )

    @staticmethod
    def of(image: sitk.Image) -> Geometry:
        """Return the grid of a SimpleITK image; a 2D image becomes one slice of 1 mm."""
        if image.GetDimension() == 2:
            image = sitk.JoinSeries(image)
        size, spacing, origin = image.GetSize()[:3], image.GetSpacing()[:3], image.GetOrigin()[:3]
        direction = np.reshape(image.GetDirection(), (image.GetDimension(),) * 2)[:3, :3]
        return Geometry(
            size=(size[0], size[1], size[2]),
            spacing=(spacing[0], spacing[1], spacing[2]),
            origin=(origin[0], origin[1], origin[2]),
            direction=tuple(float(x) for x in direction.ravel()),
        )


@dataclass(frozen=True, eq=False)
class Image:
    """An array with its grid.

    Attributes
    ----------
    array: ``(k, j, i)``, any number type.
    geometry: its grid; ``array.shape == geometry.shape``.
    """

    array: npt.NDArray[Any]
    geometry: Geometry

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


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a scalar volume (NIfTI, NRRD, MHA; 2D becomes one slice).

    Raises
    ------
    InputError: the file is missing, damaged, truncated, not a scalar volume, or a NIfTI file with NaN or infinity,
        which the reader would turn into 0.
    """
    file = Path(path)
    if not file.is_file():
        raise InputError("no such file", file=file)
    if not file.name.lower().endswith(IMAGE_SUFFIXES):
        raise InputError(f"expected an image that ends in {', '.join(IMAGE_SUFFIXES)}", file=file)
    try:
        image = sitk.ReadImage(str(file))
    except RuntimeError as error:
        raise InputError("cannot be read as an image: damaged, truncated or another format", file=file) from error
    if file.name.lower().endswith((".nii", ".nii.gz")) and (problem := problem_of_nifti(file)):
        raise InputError(problem, file=file, hint="replace these values or write the file again")
    if image.GetNumberOfComponentsPerPixel() != 1 or image.GetDimension() not in (2, 3):
        raise InputError(
            f"expected a scalar 3D volume, got {image.GetDimension()}D with "
            f"{image.GetNumberOfComponentsPerPixel()} components per voxel",
            file=file,
            hint="give each channel as a file of its own",
        )
    return Image.from_sitk(image)


def write_image(image: Image, path: str | os.PathLike[str]) -> Path:
    """Write a volume, compressed, in the format its ending names; it appears only when complete.

    Raises
    ------
    InputError: the ending is unknown, the folder cannot be written, or the disk is full.
    """
    file = Path(path)
    if not file.name.lower().endswith(IMAGE_SUFFIXES):
        raise InputError(f"cannot write this format; expected {', '.join(IMAGE_SUFFIXES)}", file=file)
    with write_beside(file) as temporary:
        try:
            sitk.WriteImage(image.to_sitk(), str(temporary), useCompression=True)
        except RuntimeError as error:
            raise InputError("could not be written: is the disk full?", file=file) from error
    return file


def reorient(image: Image, orientation: str) -> Image:
    """Return the image with its index axes ``(i, j, k)`` turned to ``orientation``, e.g. ``"LPS"``.

    ``"LPS"`` means that ``i`` runs to the Left, ``j`` to Posterior, ``k`` to Superior (SimpleITK's naming); voxel
    values are moved, never interpolated.
    """
    return Image.from_sitk(sitk.DICOMOrient(image.to_sitk(), orientation))
