"""Warnings about a scan before it is predicted; what they look at is in :mod:`softseg.prediction.scan_checks`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.data import Plan
from softseg.events import Events
from softseg.prediction.scan_checks import Expected, scan_warnings

if TYPE_CHECKING:
    from softseg.image import Image


def warn_about(image: Image, file: Path, plans: Sequence[Plan], events: Events) -> None:
    """Warn, in a plain sentence each, about what may spoil the prediction of this scan by models with these plans."""
    for text in scan_warnings(image, *(Expected.of_plan(plan.model_dump(mode="json")) for plan in plans)):
        events.warning(f"{file}: {text}")
