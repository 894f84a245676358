"""What may spoil the prediction of a scan, in plain sentences; needs no torch, so that a viewer can ask at once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from softseg.image import Geometry, Image

LEAST_ZERO_FRACTION = 0.2
"""A skull-stripped scan has at least this fraction of voxels that are exactly 0 (our default)."""

LARGEST_BOX = 2.0
"""A skull-stripped scan's content lies in a box of at most this many times the volume usual in
training (our default)."""

COARSEST = 2.5
"""Voxels longer than this many times the model's own are warned about (our default)."""

PLAUSIBLE_MM = (0.05, 12.0)
"""Voxel lengths outside of this are taken for a mistake in the file's header (our default)."""


LEAST_AROUND = 0.4
"""A scan counts as skull-stripped if at least this part of its voxels is exactly 0 (our default): a brain, which is
about an ellipsoid, leaves half of the smallest box around it empty."""

LEAST_BORDER = 0.95
"""And this part of the voxels on its border (our default): below a head there is a neck."""

MOST_FILLED = 0.62
"""And if what is not 0 has at most this part of the volume of the usual box of training (our default): an ellipsoid
has 0.52 of its box."""


@dataclass(frozen=True)
class Expected:
    """What a model was trained on, as far as a scan can be compared with it.

    Attributes
    ----------
    skull_stripped: the background of its scans was exactly 0.
    extent_mm: usual size of their content along ``(k, j, i)``, mm; None if it was not measured or does not matter.
    orientation: three letters, such as ``"LPS"``, of the axes ``(i, j, k)``.
    spacing: mm along ``(k, j, i)``; None where the scan's own is kept.
    """

    skull_stripped: bool
    extent_mm: tuple[float, ...] | None
    orientation: str
    spacing: tuple[float | None, ...]

    @staticmethod
    def of_plan(plan: Mapping[str, Any]) -> Expected:
        """Return the expectations of a plan, given as the plain values of ``metadata.json``."""
        stripped = any(channel["kind"] == "z-score-nonzero" for channel in plan["normalization"].values())
        extent = (plan.get("statistics") or {}).get("median_extent_mm")
        if plan["crop"]["kind"] != "nonzero" or not extent:
            extent = None
        return Expected(
            stripped, None if extent is None else tuple(extent), plan["orientation"], tuple(plan["spacing"])
        )


def is_stripped(image: Image, *expected: Expected) -> str | None:
    """Return the evidence that this scan is skull-stripped, None where it looks untouched.

    Around the content every voxel is exactly 0, and the content is no larger than what models were trained on.

    Parameters
    ----------
    image: the scan.
    expected: of the model, or of each member of an ensemble; only their usual sizes are looked at.
    """
    content = image.array != 0
    filled = int(np.count_nonzero(content))
    zeros = 1 - filled / max(1, content.size)
    if zeros < LEAST_AROUND or filled == 0 or _border(content) < LEAST_BORDER:
        return None
    litres = filled * image.geometry.voxel_volume_ml / 1000
    usual = [math.prod(one.extent_mm) / 1e6 for one in expected if one.extent_mm is not None]
    if usual and litres > MOST_FILLED * max(usual):
        return None
    return f"{zeros:.0%} of its voxels are exactly 0, the others fill {litres:.1f} l"


def _border(content: npt.NDArray[np.bool_]) -> float:
    """Return which part of the voxels on the faces of the volume is empty; faces of single slices are left out."""
    axes = [axis for axis in range(3) if content.shape[axis] > 1]
    faces = [content.take(end, axis) for axis in axes for end in (0, -1)]
    size = sum(face.size for face in faces)
    return 1 - sum(int(np.count_nonzero(face)) for face in faces) / size if size else 0.0


def scan_warnings(image: Image, *expected: Expected) -> list[str]:
    """Return warnings about this scan, one sentence each (without a full stop).

    Parameters
    ----------
    image: the scan.
    expected: of the model, or of each member of an ensemble; each fact is reported once, as the worst of them sees it.
    """
    warnings = []
    reasons = [reason for one in expected if one.skull_stripped and (reason := _not_stripped(image, one))]
    if reasons:
        warnings.append(
            f"the scan does not seem to be skull-stripped ({reasons[0]}), but the model was trained on skull-stripped "
            "scans; remove the skull first, or do not trust the result"
        )
    geometry = image.geometry
    if min(geometry.spacing) < PLAUSIBLE_MM[0] or max(geometry.spacing) > PLAUSIBLE_MM[1]:
        warnings.append(f"voxels of {_by(geometry.spacing)} mm are unusual; is the spacing in the file's header right?")
        return warnings
    pairs = [pair for one in expected for pair in _matched(geometry, one)]
    coarse = [own / wanted for own, wanted in pairs if wanted is not None]
    if coarse and max(coarse) > COARSEST:
        warnings.append(
            f"voxels of {_by(geometry.spacing)} mm are up to {max(coarse):.1f} times as long as those the model was "
            "trained on; expect a worse result"
        )
    return warnings


def _not_stripped(image: Image, expected: Expected) -> str | None:
    """Return evidence against skull stripping: few zeros, or content in a far larger box than in training."""
    content = image.array != 0
    zeros = 1 - float(np.count_nonzero(content)) / content.size
    if zeros < LEAST_ZERO_FRACTION:
        return f"only {zeros:.0%} of its voxels are exactly 0"
    if expected.extent_mm is None or zeros == 1:
        return None
    planes = content.any(axis=0), content.any(axis=(1, 2))
    box = [np.flatnonzero(planes[1]), np.flatnonzero(planes[0].any(axis=1)), np.flatnonzero(planes[0].any(axis=0))]
    litres = math.prod((n[-1] - n[0] + 1) * mm for n, mm in zip(box, image.geometry.spacing_kji, strict=True)) / 1e6
    usual = math.prod(expected.extent_mm) / 1e6
    return f"its content fills a box of {litres:.1f} l, usually {usual:.1f} l" if litres > LARGEST_BOX * usual else None


def _matched(geometry: Geometry, expected: Expected) -> list[tuple[float, float | None]]:
    """Pair the scan's voxel lengths with the model's, both sorted by its axes as the scan is turned to them."""
    directions = np.abs(np.reshape(geometry.direction, (3, 3)))
    along = {letter: row for row, pair in enumerate(("LR", "AP", "SI")) for letter in pair}
    pairs: list[tuple[float, float | None]] = []
    for index, letter in enumerate(expected.orientation):
        own = geometry.spacing[int(np.argmax(directions[along[letter]]))]
        pairs.append((own, expected.spacing[2 - index]))
    return pairs


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.3g}" for number in numbers)
