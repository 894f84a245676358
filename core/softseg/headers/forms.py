"""What a NIfTI header says about place: two forms with codes, voxel lengths and a unit.

The forms are kept as the file has them, so that an output carries them unchanged: every reader that places the input
somewhere places the output there too, whichever form it goes by. Matrices are NIfTI's, from ``(i, j, k, 1)`` to RAS.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Affine: TypeAlias = npt.NDArray[np.float64]
"""4 x 4, from ``(i, j, k, 1)`` to RAS mm."""

Chosen: TypeAlias = Literal["sform", "qform", "none"]

CODES = range(6)
"""Codes of NIfTI: 0 unknown, 1 scanner, 2 aligned, 3 Talairach, 4 MNI 152, 5 template."""

MILLIMETRES = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Length in mm of one unit (0 not said, 1 m, 2 mm, 3 micrometres)."""

_NORM = 1e-3  # a quaternion may be this much longer than 1
_TURNED = 3 * float(np.finfo(np.float32).eps)  # a square of a below this is rounding: a half turn, as in nibabel


@dataclass(frozen=True)
class Forms:
    """The two forms of a NIfTI header, in the file's own numbers.

    Attributes
    ----------
    sform_code, qform_code: as in the file; 0: the form says nothing.
    sform: twelve numbers, the first three rows of the matrix.
    quaternion: b, c, d of the rotation.
    offset: of the first voxel in the qform.
    qfac: 1 or -1, the sign of the third axis in the qform.
    pixdim: voxel lengths along ``(i, j, k)``, positive.
    units: NIfTI's number of the unit of lengths: 0, 1, 2 or 3.
    """

    sform_code: int = 0
    sform: tuple[float, ...] = (0.0,) * 12
    qform_code: int = 0
    quaternion: tuple[float, float, float] = (0.0, 0.0, 0.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    qfac: float = 1.0
    pixdim: tuple[float, float, float] = (1.0, 1.0, 1.0)
    units: int = 2

    def __post_init__(self) -> None:
        if len(self.sform) != 12 or len(self.pixdim) != 3 or not all(mm > 0 for mm in self.pixdim):
            raise ValueError("expected an sform of twelve numbers and three positive voxel lengths")
        if self.qfac not in (1.0, -1.0) or self.units not in MILLIMETRES:
            raise ValueError("expected qfac 1 or -1, and units 0 to 3")

    @property
    def millimetres(self) -> float:
        """Length of the file's unit in mm."""
        return MILLIMETRES[self.units]

    @property
    def sform_affine(self) -> Affine | None:
        """What the sform says, in mm; None where it has no code of NIfTI's or is no place in space."""
        return self._sound(self.sform_code, sform_matrix(self.sform))

    @property
    def qform_affine(self) -> Affine | None:
        """What the qform says, in mm; None where it has no code of NIfTI's or is no place in space."""
        return self._sound(self.qform_code, qform_matrix(self.quaternion, self.offset, self.qfac, self.pixdim))

    def _sound(self, code: int, matrix: Affine | None) -> Affine | None:
        if code not in CODES or code == 0 or matrix is None or not is_place(matrix):
            return None
        return np.diag([self.millimetres] * 3 + [1.0]) @ matrix

    @property
    def chosen(self) -> Chosen:
        """Which form is meant, decided as nibabel and FSL do: the sform, else the qform, else none."""
        return "sform" if self.sform_affine is not None else "qform" if self.qform_affine is not None else "none"

    @property
    def affine(self) -> Affine:
        """The matrix of the chosen form in mm; without one the grid alone: ``i`` to the left, ``j`` to the back."""
        found = self.sform_affine if self.chosen == "sform" else self.qform_affine
        if found is not None:
            return found
        lengths = [mm * self.millimetres for mm in self.pixdim]
        return np.diag([-lengths[0], -lengths[1], lengths[2], 1.0])

    @property
    def other(self) -> Affine | None:
        """The matrix of the qform in mm where the sform is chosen and the qform is sound."""
        return self.qform_affine if self.chosen == "sform" else None

    def apart_mm(self, size: Sequence[int]) -> float:
        """Return how far (mm) the two forms place any voxel of a grid of ``size`` (i, j, k) apart; 0 with one form."""
        return 0.0 if self.other is None else distance_mm(self.affine, self.other, size)

    def moved(self, first: Sequence[float], scale: Sequence[float] = (1.0, 1.0, 1.0)) -> Forms:
        """Return the forms of a grid that begins at voxel ``first`` (i, j, k), with voxels ``scale`` as long."""
        step = np.array([*first, 1.0])
        pixdim = _three(np.asarray(self.pixdim) * scale)
        if self.chosen == "none":
            return replace(self, pixdim=pixdim)
        sform, form = sform_matrix(self.sform), qform_matrix(self.quaternion, self.offset, self.qfac, self.pixdim)
        sform[:3, 3] = (sform @ step)[:3]
        sform[:3, :3] *= scale
        offset = self.offset if form is None else _three((form @ step)[:3])
        return replace(self, sform=tuple(float(n) for n in sform[:3].ravel()), offset=offset, pixdim=pixdim)

    def placed(self, affine: Affine) -> Forms:
        """Return forms with the codes and unit of these that both say ``affine`` (mm, straight axes)."""
        matrix = np.diag([1 / self.millimetres] * 3 + [1.0]) @ affine
        return replace(forms_of(matrix, 1), sform_code=self.sform_code, qform_code=self.qform_code, units=self.units)

    def to_json(self) -> dict[str, Any]:
        """Return plain values, for :meth:`from_json`."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> Forms:
        """Return the forms that :meth:`to_json` described.

        Raises
        ------
        ValueError, TypeError, KeyError: these are no forms.
        """
        return Forms(
            int(values["sform_code"]),
            tuple(float(n) for n in values["sform"]),
            int(values["qform_code"]),
            _three(values["quaternion"]),
            _three(values["offset"]),
            float(values["qfac"]),
            _three(values["pixdim"]),
            int(values["units"]),
        )


def sform_matrix(rows: Sequence[float]) -> Affine:
    """Return the 4 x 4 matrix of an sform's twelve numbers."""
    return np.vstack([np.reshape(np.asarray(rows, np.float64), (3, 4)), [0.0, 0.0, 0.0, 1.0]])


def qform_matrix(
    quaternion: Sequence[float], offset: Sequence[float], qfac: float, pixdim: Sequence[float]
) -> Affine | None:
    """Return the 4 x 4 matrix of a qform; None where the quaternion is longer than 1, so that it is no rotation."""
    b, c, d = (float(n) for n in quaternion)
    length = b * b + c * c + d * d
    if not math.isfinite(length) or length > (1 + _NORM) ** 2:
        return None
    if length > 1 - _TURNED:
        b, c, d = (n / math.sqrt(length) for n in (b, c, d))
    a = math.sqrt(max(0.0, 1.0 - (b * b + c * c + d * d)))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn * (np.asarray(pixdim, np.float64) * [1.0, 1.0, qfac])
    matrix[:3, 3] = offset
    return matrix


def forms_of(matrix: Affine, code: int) -> Forms:
    """Return forms that both say ``matrix`` (mm); the qform takes the nearest straight axes."""
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    turn = nearest_rotation(matrix[:3, :3] / lengths)
    qfac = -1.0 if np.linalg.det(turn) < 0 else 1.0
    return Forms(
        code,
        tuple(float(n) for n in matrix[:3].ravel()),
        code,
        quaternion_of(turn * [1.0, 1.0, qfac]),
        _three(matrix[:3, 3]),
        qfac,
        _three(lengths),
    )


def quaternion_of(turn: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Return b, c, d of a proper rotation matrix, with a not negative."""
    candidates = np.array([1 + np.trace(turn), *(1 + 2 * turn[n, n] - np.trace(turn) for n in range(3))])
    largest = int(candidates.argmax())  # four times the square of a, b, c or d: the largest is the safe divisor
    half = math.sqrt(float(candidates[largest])) / 2
    differences = [float(turn[2, 1] - turn[1, 2]), float(turn[0, 2] - turn[2, 0]), float(turn[1, 0] - turn[0, 1])]
    if largest == 0:
        return _three([n / (4 * half) for n in differences])
    axis = largest - 1
    found = [float(turn[axis, n] + turn[n, axis]) / (4 * half) for n in range(3)]
    found[axis] = half
    sign = -1.0 if differences[axis] < 0 else 1.0  # of a
    return _three([sign * n for n in found])


def nearest_rotation(columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the straight axes (orthonormal, 3 x 3) nearest to ``columns``."""
    left, _, right = np.linalg.svd(columns)
    return np.asarray(left @ right)


def is_place(matrix: Affine) -> bool:
    """Whether a matrix puts voxels somewhere: finite, with three axes that are not in one plane."""
    if not np.isfinite(matrix).all():
        return False
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    return bool((lengths > 0).all() and abs(np.linalg.det(matrix[:3, :3] / lengths)) > 1e-3)


def distance_mm(one: Affine, other: Affine, size: Sequence[int]) -> float:
    """Return how far (mm) two matrices place any voxel of a grid of ``size`` (i, j, k) apart at most."""
    corners = np.array(np.meshgrid(*[(0, max(0, n - 1)) for n in size], [1])).reshape(4, -1)
    return float(np.linalg.norm(((one - other) @ corners)[:3], axis=0).max())


def shear_of(matrix: Affine) -> tuple[float, float]:
    """Return how far the axes are from straight: the largest cosine between two of them, and that angle in degrees."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    cosines = np.abs(axes.T @ axes - np.diag(np.diag(axes.T @ axes)))
    worst = min(1.0, float(cosines.max()))
    return worst, math.degrees(math.asin(worst))


def _three(values: Sequence[float] | npt.NDArray[np.float64]) -> tuple[float, float, float]:
    x, y, z = (float(n) for n in values)
    return x, y, z
