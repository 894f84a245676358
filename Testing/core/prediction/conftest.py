"""Makes the helpers of this folder importable and gives scans on disk."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softseg.image import Geometry, write_image

sys.path.insert(0, str(Path(__file__).parent))

from prediction_kit import STRAIGHT, ball


@pytest.fixture
def scan(tmp_path: Path) -> Callable[..., Path]:
    """Write a scan of the ball and return its file."""

    def write(name: str = "scan.nii.gz", geometry: Geometry = STRAIGHT, **changes: Any) -> Path:
        return write_image(ball(geometry, **changes), tmp_path / name)

    return write
