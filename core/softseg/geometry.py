"""A voxel grid in space.

Arrays are ``(k, j, i)``; :class:`Geometry` keeps SimpleITK's order and frame: ``size`` and ``spacing`` (mm) along
``(i, j, k)``, ``origin`` (mm) and ``direction`` in LPS. ``affine`` is the NIfTI matrix from ``(i, j, k, 1)`` to RAS mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.headers import Forms, form_notes, forms_of
from softseg.headers.forms import nearest_rotation

_ROUNDING = 1e-5

MOST_FINER, FEW_VOXELS = 1000, 1 << 24
"""A grid is resampled to at most so many times its voxels, or to so many voxels."""


@dataclass(frozen=True)
class Geometry:
    """A voxel grid in space.

    Attributes
    ----------
    size: voxels along ``(i, j, k)``.
    spacing: mm along ``(i, j, k)``.
    origin: centre of the first voxel, LPS mm.
    direction: nine numbers, row-major; column ``n`` is the LPS direction of index axis ``n``.
    forms: NIfTI's two forms of the file that the grid came from, which outputs carry on; equality is about the grid.

    Examples
    --------
    >>> from softseg.geometry import Geometry
    >>> grid = Geometry(size=(4, 3, 2), spacing=(1.0, 1.0, 5.0))
    >>> grid.shape, grid.voxel_volume_ml  # array order (k, j, i)
    ((2, 3, 4), 0.005)
    >>> grid.affine.diagonal()  # RAS
    array([-1., -1.,  5.,  1.])
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    direction: tuple[float, ...] = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    forms: Forms | None = field(default=None, compare=False)

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
        """Volume of one voxel in ml, also where the axes are sheared."""
        sheared = abs(float(np.linalg.det(np.reshape(self.direction, (3, 3)))))
        return float(np.prod(self.spacing)) / 1000.0 * (sheared if abs(sheared - 1) > 1e-6 else 1.0)

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
        """Return the grid with another ``spacing`` (i, j, k; mm) that covers the same box of space.

        Raises
        ------
        InputError: it would have over a thousand times as many voxels, which no scan is worth.
        """
        extent = np.asarray(self.size) * np.asarray(self.spacing)
        many = float(np.prod(np.maximum(1.0, np.ceil(extent / np.asarray(spacing)))))
        if many > max(MOST_FINER * float(np.prod(self.size, dtype=float)), FEW_VOXELS):
            of = [" x ".join(f"{mm:.4g}" for mm in lengths) for lengths in (self.spacing, spacing)]
            raise InputError(
                f"voxels of {of[0]} mm would become {many:.2g} voxels of {of[1]} mm",
                field="spacing",
                hint="are its voxel lengths in mm?",
            )
        size = np.maximum(1, np.ceil(extent / np.asarray(spacing) - 1e-3)).astype(int)
        first = (np.asarray(spacing) * size - extent) / -2 + (np.asarray(spacing) - np.asarray(self.spacing)) / 2
        origin = np.asarray(self.origin) + np.reshape(self.direction, (3, 3)) @ first
        scale = np.asarray(spacing) / np.asarray(self.spacing)
        forms = None if self.forms is None else self.forms.moved(first / np.asarray(self.spacing), scale)
        return replace(
            self,
            size=(int(size[0]), int(size[1]), int(size[2])),
            spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            forms=forms,
        )

    def cropped(self, start_kji: tuple[int, int, int], shape_kji: tuple[int, int, int]) -> Geometry:
        """Return the grid of the box that begins at array index ``start_kji`` and has ``shape_kji`` voxels."""
        index = np.array([start_kji[2], start_kji[1], start_kji[0], 1.0])
        origin = (self.ijk_to_lps() @ index)[:3]
        return replace(
            self,
            size=(shape_kji[2], shape_kji[1], shape_kji[0]),
            origin=(float(origin[0]), float(origin[1]), float(origin[2])),
            forms=None if self.forms is None else self.forms.moved([float(n) for n in index[:3]]),
        )

    @property
    def written_forms(self) -> Forms:
        """The forms of a NIfTI file on this grid: those it came with, else both forms hold the grid (code 1)."""
        return forms_of(self.affine, 1) if self.forms is None else self.forms

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks on its two forms: they differ, or sides are unknown; empty without forms."""
        return () if self.forms is None else form_notes(self.forms, self.size)

    @property
    def other(self) -> Geometry | None:
        """The same voxels where the other form of their file places them; None where there is no other sound form."""
        found = None if self.forms is None else self.forms.other
        return None if found is None else Geometry.from_affine(self.size, found)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`; ``forms`` is there only where the grid has them."""
        values: dict[str, Any] = {
            "size": [int(n) for n in self.size],
            "spacing": [float(mm) for mm in self.spacing],
            "origin": [float(mm) for mm in self.origin],
            "direction": [float(n) for n in self.direction],
        }
        return values if self.forms is None else {**values, "forms": self.forms.to_json()}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Geometry:
        """Return the grid that :meth:`to_json` described.

        Raises
        ------
        ValueError, TypeError, KeyError: this is no grid of a volume.
        """
        size, spacing, origin = ([float(n) for n in values[key]] for key in ("size", "spacing", "origin"))
        direction = tuple(float(n) for n in values["direction"])
        counts = {len(size), len(spacing), len(origin)}
        if counts != {3} or len(direction) != 9 or min(size) < 1 or min(spacing) <= 0:
            raise ValueError("the geometry is not that of a volume")
        turned = abs(np.linalg.det(np.reshape(direction, (3, 3)))) >= 0.1
        if not np.isfinite([*spacing, *origin, *direction]).all() or not turned:
            raise ValueError("the geometry is not that of a volume")
        return Geometry(
            (int(size[0]), int(size[1]), int(size[2])),
            (spacing[0], spacing[1], spacing[2]),
            (origin[0], origin[1], origin[2]),
            direction,
            Forms.from_json(values["forms"]) if "forms" in values else None,
        )

    @staticmethod
    def from_affine(size: Sequence[int], affine: npt.NDArray[np.float64], forms: Forms | None = None) -> Geometry:
        """Return the grid of ``size`` (i, j, k) that a 4 x 4 matrix to RAS mm places."""
        matrix = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        axes = matrix[:3, :3] / spacing
        straight = nearest_rotation(axes)
        if np.abs(axes - straight).max() < _ROUNDING:  # of the file's short floats
            axes = np.where(
                np.abs(np.abs(straight) - np.rint(np.abs(straight))) < _ROUNDING**2, np.rint(straight), straight
            )
        i, j, k = (int(n) for n in size)
        return Geometry(
            (i, j, k),
            (float(spacing[0]), float(spacing[1]), float(spacing[2])),
            (float(matrix[0, 3]), float(matrix[1, 3]), float(matrix[2, 3])),
            tuple(float(n) for n in (axes + 0.0).ravel()),
            forms,
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
