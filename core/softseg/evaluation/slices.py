"""Three planes through a volume, turned as radiologists look at them, with labels and heat maps laid over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from softseg.evaluation.colors import Color, lookup
from softseg.image import Geometry, Image, reorient
from softseg.types import BoolArray, FloatArray

Box = tuple[slice, slice, slice]
Labels = npt.NDArray[np.int16]

_NAMES = ("axial", "coronal", "sagittal")
_SIDES = (("R", "L"), ("R", "L"), ("A", "P"))
_THINNEST = 4  # voxels; a plane of fewer shows nothing


@dataclass(frozen=True, eq=False)
class Planes:
    """Which planes are drawn: axial, coronal and sagittal, as far as the volume is thick enough.

    All volumes must have been turned by :func:`upright` first.

    Attributes
    ----------
    spacing: mm along ``(k, j, i)`` of the upright volume.
    box: the part of the volume that is shown.
    point: voxel ``(k, j, i)`` that the planes go through.
    sides: whether the patient's sides are written into the planes.
    """

    spacing: tuple[float, float, float]
    box: Box
    point: tuple[int, int, int]
    sides: bool = True

    @property
    def axes(self) -> list[int]:
        """The axes (0 axial, 1 coronal, 2 sagittal) along which there is a plane worth drawing."""
        size = [part.stop - part.start for part in self.box]
        found = [axis for axis in range(3) if min(n for other, n in enumerate(size) if other != axis) >= _THINNEST]
        return found or [int(np.argmin(size))]

    def of(self, volume: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
        """Return a plane of ``volume``: head or front up, the patient's right or front on the left."""
        index: list[Any] = list(self.box)
        index[axis] = self.point[axis]
        plane = np.asarray(volume[tuple(index)])
        return plane if axis == 0 else plane[::-1]

    def extent(self, axis: int) -> tuple[float, float]:
        """Return width and height (mm) of a plane."""
        size = [(part.stop - part.start) * mm for part, mm in zip(self.box, self.spacing, strict=True)]
        height, width = (size[other] for other in range(3) if other != axis)
        return width, height

    def draw(self, axes: Axes, picture: npt.NDArray[Any], axis: int, **options: Any) -> Any:
        """Draw a plane (``[rows, columns]`` or ``[rows, columns, 3]``) in mm, with the sides' letters."""
        width, height = self.extent(axis)
        drawn = axes.imshow(picture, extent=(0, width, height, 0), interpolation="nearest", **options)
        axes.set(xticks=[], yticks=[], anchor="N")
        for spine in axes.spines.values():
            spine.set_visible(False)
        return drawn

    def letters(self, axes: Axes, axis: int) -> None:
        """Write the patient's sides into a drawn plane."""
        if not self.sides:
            return
        for x, side, align in zip((0.02, 0.98), _SIDES[axis], ("left", "right"), strict=True):
            axes.text(x, 0.5, side, transform=axes.transAxes, color="#ffffff", alpha=0.8, ha=align, va="center", size=7)

    def outline(self, axes: Axes, mask: BoolArray, axis: int, color: str, width: float = 0.9) -> None:
        """Draw the border of a mask (already a plane) in mm."""
        if not mask.any() or mask.all() or min(mask.shape) < 2:
            return
        across, down = self.extent(axis)
        rows, columns = mask.shape
        x = (np.arange(columns) + 0.5) * across / columns
        y = (np.arange(rows) + 0.5) * down / rows
        axes.contour(x, y, mask.astype(np.float32), levels=[0.5], colors=[color], linewidths=width)

    def name(self, axis: int) -> str:
        """Return the name of a plane."""
        return _NAMES[axis]


def upright(array: npt.NDArray[Any], geometry: Geometry) -> npt.NDArray[Any]:
    """Return the volume turned so that its axes run to superior, posterior and left; values are only moved."""
    return reorient(Image(array, geometry), "LPS").array


def upright_spacing(geometry: Geometry) -> tuple[float, float, float]:
    """Return the spacing (mm, ``(k, j, i)``) after :func:`upright`."""
    turned = reorient(Image(np.zeros(geometry.shape, np.uint8), geometry), "LPS")
    return turned.geometry.spacing_kji


def box_around(mask: BoolArray, spacing: tuple[float, float, float], margin_mm: float) -> Box:
    """Return the box around a mask with a margin, within the volume; the whole volume where the mask is empty."""
    where = np.nonzero(mask)
    parts = []
    for places, size, mm in zip(where, mask.shape, spacing, strict=True):
        margin = int(np.ceil(margin_mm / mm))
        low, high = (int(places.min()), int(places.max()) + 1) if places.size else (0, size)
        parts.append(slice(max(low - margin, 0), min(high + margin, size)))
    return parts[0], parts[1], parts[2]


def fullest_point(mask: BoolArray) -> tuple[int, int, int]:
    """Return, along each axis, the plane with the largest part of the mask; the middle where it is empty."""
    if not mask.any():
        return tuple(size // 2 for size in mask.shape)  # type: ignore[return-value]
    k, j, i = (int(np.argmax(mask.sum(axis=tuple({0, 1, 2} - {axis})))) for axis in range(3))
    return k, j, i


def telling_point(mask: BoolArray) -> tuple[int, int, int]:
    """Return the centre of mass of a mask, aside of its middle along ``i``; the volume's middle where it is empty.

    The plane between left and right passes between the halves of many organs and would show little of either.
    """
    if not mask.any():
        return tuple(size // 2 for size in mask.shape)  # type: ignore[return-value]
    k, j, i = (
        int(np.average(np.arange(mask.shape[axis]), weights=mask.sum(axis=tuple({0, 1, 2} - {axis}))))
        for axis in range(3)
    )
    columns = np.flatnonzero(mask.any(axis=(0, 1)))
    aside = (int(columns[-1]) - int(columns[0])) // 10
    return k, j, i + aside


def is_picture(scan: npt.NDArray[Any] | None) -> bool:
    """Whether a scan is one slice in colours: a picture, which shows no patient's sides."""
    return scan is not None and scan.ndim == 4 and len(scan) == 1


def grey(scan: npt.NDArray[Any] | None, shape: tuple[int, ...], box: Box) -> FloatArray:
    """Return the scan as grey values 0..1, spread over what is seen inside ``box``; dark where there is no scan.

    Colours ``[k, j, i, 3]`` in 0..255 stay colours, in 0..1.
    """
    if scan is None:
        return np.full(shape, 0.13, np.float32)
    if scan.ndim == 4:
        return np.asarray(scan / np.float32(255), np.float32)
    inside = scan[box]
    inside = inside[np.isfinite(inside)]
    low, high = np.percentile(inside, [1.0, 99.7]) if inside.size else (0.0, 1.0)
    return np.asarray(np.clip((scan - low) / max(high - low, 1e-9), 0, 1), np.float32)


def blend(under: FloatArray, labels: Labels, colors: Sequence[Color], opacity: float = 0.62) -> npt.NDArray[np.uint8]:
    """Return ``[rows, columns, 3]``: grey or coloured, with labels (index into ``colors``, -1: none) laid over."""
    base = (under if under.ndim == 3 else np.repeat(under[..., None], 3, axis=-1)) * 255
    over = lookup(list(colors))[labels]
    weight = np.where(labels >= 0, opacity, 0.0)[..., None]
    return np.asarray(base * (1 - weight) + over * weight, np.uint8)
