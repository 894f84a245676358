"""What a scan can be warned about before it is predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softseg.data import Plan
from softseg.events import Events

if TYPE_CHECKING:
    from softseg.image import Geometry, Image

LEAST_ZERO_SHARE = 0.2
"""A skull-stripped scan has at least this share of voxels that are exactly 0 (our default)."""

LARGEST_BOX = 2.0
"""A skull-stripped scan's content lies in a box of at most this many times the volume usual in
training (our default)."""

COARSEST = 2.5
"""Voxels longer than this many times the model's own are warned about (our default)."""

PLAUSIBLE_MM = (0.05, 12.0)
"""Voxel lengths outside of this are taken for a mistake in the file's header (our default)."""


def warn_about(image: Image, file: Path, plan: Plan, events: Events) -> None:
    """Warn, in a plain sentence each, about what may spoil the prediction of this scan."""
    reason = _not_stripped(image, plan) if expects_skull_stripped(plan) else None
    if reason:
        events.warning(
            f"{file}: the scan does not seem to be skull-stripped ({reason}), but the model was trained on "
            "skull-stripped scans; remove the skull first, or do not trust the result"
        )
    spacing = image.geometry.spacing_kji
    if min(spacing) < PLAUSIBLE_MM[0] or max(spacing) > PLAUSIBLE_MM[1]:
        events.warning(
            f"{file}: voxels of {_by(image.geometry.spacing)} mm are unusual; "
            "is the spacing in the file's header right?"
        )
        return
    coarse = [own / wanted for own, wanted in _matched(image.geometry, plan) if wanted is not None]
    if coarse and max(coarse) > COARSEST:
        events.warning(
            f"{file}: voxels of {_by(image.geometry.spacing)} mm are up to {max(coarse):.1f} times as long as those "
            "the model was trained on; expect a worse result"
        )


def expects_skull_stripped(plan: Plan) -> bool:
    """Whether the model was trained on scans whose background is exactly 0."""
    return any(channel.kind == "z-score-nonzero" for channel in plan.normalization.values())


def _not_stripped(image: Image, plan: Plan) -> str | None:
    """Return what speaks against a removed skull: few zeros, or content in a far larger box than in training."""
    content = image.array != 0
    zeros = 1 - float(np.mean(content))
    if zeros < LEAST_ZERO_SHARE:
        return f"only {zeros:.0%} of its voxels are exactly 0"
    trained = plan.statistics.get("median_extent_mm")
    if not trained or plan.crop.kind != "nonzero":
        return None
    box = [np.flatnonzero(content.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    litres = math.prod((n[-1] - n[0] + 1) * mm for n, mm in zip(box, image.geometry.spacing_kji, strict=True)) / 1e6
    usual = math.prod(trained) / 1e6
    return f"its content fills a box of {litres:.1f} l, usually {usual:.1f} l" if litres > LARGEST_BOX * usual else None


def _matched(geometry: Geometry, plan: Plan) -> list[tuple[float, float | None]]:
    """Pair the scan's voxel lengths with the plan's, both sorted by the plan's axes as the scan is turned to them."""
    directions = np.abs(np.reshape(geometry.direction, (3, 3)))
    along = {letter: row for row, pair in enumerate(("LR", "AP", "SI")) for letter in pair}
    pairs: list[tuple[float, float | None]] = []
    for index, letter in enumerate(plan.orientation):
        own = geometry.spacing[int(np.argmax(directions[along[letter]]))]
        pairs.append((own, plan.spacing[2 - index]))
    return pairs


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:.3g}" for number in numbers)
