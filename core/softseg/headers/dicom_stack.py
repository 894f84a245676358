"""From the places of DICOM slices to one grid, or the reason why there is none.

The spacing between slices follows from their positions, never from what a tag says of thickness or spacing. Slices
that are missing, unequally spaced, turned against each other or repeated make no volume and are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.headers.forms import Affine

EVEN_MM = 0.01
"""Slices that lie this near to an even grid are on it; further off, up to :data:`EVEN_PART`, it is said."""

EVEN_PART = 0.05
"""Part of the spacing by which a slice may lie off the grid (our default): scanners round positions."""

_SAME = 1e-4  # direction cosines and pixel spacings that differ by less are the same
_GAP = 1.5  # of the usual spacing


@dataclass(frozen=True)
class Plane:
    """Where one slice lies.

    Attributes
    ----------
    position: centre of the first pixel, LPS mm.
    row, column: directions in which the columns and the rows are counted (``i`` and ``j``), LPS.
    spacing: mm along ``i`` and ``j``.
    size: pixels along ``i`` and ``j``.
    """

    position: tuple[float, float, float]
    row: tuple[float, float, float]
    column: tuple[float, float, float]
    spacing: tuple[float, float]
    size: tuple[int, int]

    @property
    def axes(self) -> tuple[float, ...]:
        """The direction cosines as DICOM writes them: row, then column."""
        return (*self.row, *self.column)

    @property
    def normal(self) -> npt.NDArray[np.float64]:
        """Unit vector across the slice, along which ``k`` is counted."""
        across = np.cross(self.row, self.column)
        length = float(np.linalg.norm(across))
        return across / length if length > 0 else across


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices as one grid.

    Attributes
    ----------
    order: which slice is which ``k``.
    affine: 4 x 4, from ``(i, j, k, 1)`` to RAS mm.
    size: ``(i, j, k)``.
    notes: what is to be said, one sentence each without a full stop.
    """

    order: tuple[int, ...]
    affine: Affine
    size: tuple[int, int, int]
    notes: tuple[str, ...] = ()


def stacked(planes: Sequence[Plane], file: Path, alone_mm: float | None = None) -> Stack:
    """Return the grid of slices in any order.

    Parameters
    ----------
    planes: the slices.
    file: for messages.
    alone_mm: length of a voxel across a single slice, where something says it.

    Raises
    ------
    InputError: they make no grid; the message says where, in mm along the slice axis.
    """
    first = planes[0]
    _require_alike(planes, file)
    positions = np.array([plane.position for plane in planes])
    along = positions @ first.normal
    order = np.argsort(along, kind="stable")
    positions, along = positions[order], along[order]
    notes: tuple[str, ...] = ()
    if len(planes) == 1:
        step = first.normal * (alone_mm or 1.0)
        if alone_mm is None:
            notes = ("it is a single slice that does not say how thick it is: 1 mm is taken",)
    else:
        _require_steps(along, file)
        step = (positions[-1] - positions[0]) / (len(planes) - 1)
        notes = _judged(positions, along, step, file)
    matrix = np.eye(4)
    matrix[:3, 0] = np.asarray(first.row) * first.spacing[0]
    matrix[:3, 1] = np.asarray(first.column) * first.spacing[1]
    matrix[:3, 2], matrix[:3, 3] = step, positions[0]
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix
    return Stack(tuple(int(n) for n in order), affine, (*first.size, len(planes)), notes)


def _require_alike(planes: Sequence[Plane], file: Path) -> None:
    first = planes[0]
    turned = [plane for plane in planes if np.abs(np.subtract(plane.axes, first.axes)).max() > _SAME]
    if turned:
        raise InputError(
            f"holds slices of different orientations: {len(planes) - len(turned)} as at {_lps(first)} and "
            f"{len(turned)} as at {_lps(turned[0])}",
            file=file,
            field="ImageOrientationPatient",
            hint="localizers and reformatted slices are no volume: keep each orientation in a folder of its own",
        )
    for plane in planes:
        if plane.size != first.size:
            raise InputError(
                f"holds slices of {_by(first.size)} and of {_by(plane.size)} pixels, the latter at {_lps(plane)}",
                file=file,
                field="Rows, Columns",
            )
        if np.abs(np.subtract(plane.spacing, first.spacing)).max() > _SAME:
            raise InputError(
                f"holds pixels of {_by(first.spacing)} mm and of {_by(plane.spacing)} mm, the latter at {_lps(plane)}",
                file=file,
                field="PixelSpacing",
            )


def _require_steps(along: npt.NDArray[np.float64], file: Path) -> None:
    """Refuse slices at one place, and gaps."""
    steps = np.diff(along)
    usual = float(np.median(steps[steps > EVEN_MM])) if (steps > EVEN_MM).any() else 0.0
    same = np.flatnonzero(steps <= max(EVEN_MM, 0.01 * usual))
    if same.size:
        raise InputError(
            f"holds {len(along)} slices at {len(along) - same.size} places; several lie at {along[same[0]]:.2f} mm "
            "along the slice axis",
            file=file,
            field="ImagePositionPatient",
            hint="echoes, time points and copies are scans of their own: keep each in a folder of its own",
        )
    gaps = np.flatnonzero(steps > _GAP * usual)
    if gaps.size:
        missing = sum(max(1, round(float(steps[gap]) / usual) - 1) for gap in gaps)
        where = f"{along[gaps[0]]:.2f} and {along[gaps[0] + 1]:.2f} mm"
        raise InputError(
            f"{missing} slice{'s are' if missing > 1 else ' is'} missing: between the slices at {where} along the "
            f"slice axis lie {steps[gaps[0]]:.4g} mm, elsewhere {usual:.4g} mm",
            file=file,
            field="ImagePositionPatient",
            hint="export the series again, with all of its slices",
        )


def _judged(
    positions: npt.NDArray[np.float64], along: npt.NDArray[np.float64], step: npt.NDArray[np.float64], file: Path
) -> tuple[str, ...]:
    """Refuse slices that are not on an even grid; say how far off they are where scanners round."""
    grid = positions[0] + np.arange(len(positions))[:, None] * step
    off = np.linalg.norm(positions - grid, axis=1)
    worst = int(off.argmax())
    if off[worst] <= EVEN_MM:
        return ()
    steps = np.diff(along)
    if off[worst] > max(EVEN_MM, EVEN_PART * float(np.linalg.norm(step))):
        raise InputError(
            f"its slices are not equally spaced: {steps.min():.4g} to {steps.max():.4g} mm apart; the one at "
            f"{along[worst]:.2f} mm along the slice axis lies {off[worst]:.3g} mm off an even grid",
            file=file,
            field="ImagePositionPatient",
            hint="resample the series to even slices first",
        )
    return (f"its slices lie up to {off[worst]:.3g} mm off an even grid, which is taken",)


def _lps(plane: Plane) -> str:
    return f"({', '.join(f'{mm:.2f}' for mm in plane.position)}) mm"


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.6g}" for number in numbers)
