"""The world of the trials, built once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "reliability"


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The valid files that trials damage."""
    folder = tmp_path_factory.mktemp("fuzz") / "world"
    script = f"import sys; sys.path.insert(0, {str(TOOLS)!r}); import world, pathlib"
    script += f"; world.build(pathlib.Path({str(folder)!r}))"
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return folder
