"""A cube: many bands of one scene, on one grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry, Image, reorient


@dataclass(frozen=True, eq=False)
class Cube:
    """An array of several bands with its grid.

    Attributes
    ----------
    array: ``[bands, k, j, i]``, any real number type; one slice (k) where the file is a picture.
    geometry: the grid of every band.
    wavelengths: of the bands, in nm, where the file has them.
    notes: remarks on the position of the file it was read from, one sentence each without a full stop.
    """

    array: npt.NDArray[Any]
    geometry: Geometry
    wavelengths: tuple[float, ...] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.geometry.shape:
            raise ValueError(f"expected an array of shape [bands, {self.geometry.shape}], got {self.array.shape}")
        if self.wavelengths is not None and len(self.wavelengths) != len(self.array):
            raise ValueError(f"expected {len(self.array)} wavelengths, got {len(self.wavelengths)}")

    @property
    def bands(self) -> int:
        """Number of bands."""
        return len(self.array)

    def band(self, position: int) -> Image:
        """Return one band, counted from 0."""
        return Image(self.array[position], self.geometry)


ChannelImage: TypeAlias = Image | Cube
"""What one channel of a case may be: a scalar image, or a cube of bands."""


def turn(image: ChannelImage, orientation: str) -> ChannelImage:
    """Return the image with its index axes turned to ``orientation`` (:func:`softseg.image.reorient`)."""
    if isinstance(image, Image):
        return reorient(image, orientation)
    first = reorient(image.band(0), orientation)
    if first.geometry == image.geometry:
        return image
    array = np.empty((image.bands, *first.array.shape), image.array.dtype)
    for position in range(image.bands):
        array[position] = reorient(image.band(position), orientation).array
    return Cube(array, first.geometry, image.wavelengths)


def filled(image: ChannelImage) -> npt.NDArray[Any]:
    """Return an array ``(k, j, i)`` that is zero exactly where the image is zero in every band."""
    return image.array if isinstance(image, Image) else np.asarray((image.array != 0).any(axis=0))


def crop(image: ChannelImage, box: tuple[slice, slice, slice]) -> ChannelImage:
    """Return the part of the image within ``box`` (slices of k, j, i)."""
    start = (box[0].start, box[1].start, box[2].start)
    size = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    grid = image.geometry.cropped(start, size)
    if isinstance(image, Image):
        return Image(image.array[box], grid)
    return Cube(image.array[:, box[0], box[1], box[2]], grid, image.wavelengths)
