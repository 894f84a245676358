"""What all tests share: where the real data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real scans beside the project (or SOFTSEG_TEST_DATA); skips where there is none."""
    folder = Path(os.environ.get("SOFTSEG_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("real data is not here: set SOFTSEG_TEST_DATA to its folder")
    return folder


@pytest.fixture(params=["float32", "bfloat16"])
def precision(request: pytest.FixtureRequest) -> str:
    """Both precisions in which networks compute on CPUs; every CPU can do both, whichever it is fast at."""
    return str(request.param)


@pytest.fixture(scope="session")
def resources() -> Path:
    """The project's Resources folder."""
    return REPOSITORY / "Resources"
