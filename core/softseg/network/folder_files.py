"""The files of a model folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softseg.network.fitted_outliers import ESTIMATES_FILE, OUTLIERS_FILE
from softseg.network.graph_session import ONNX_FILE
from softseg.soft.calibration import FILE as CALIBRATION_FILE

FORMAT_VERSION = 1
"""Version of the ``softseg`` part of ``metadata.json``; newer ones are refused."""

FILES = ("configs/metadata.json", "models/model.pt", "tree.json", "recipe.yaml")
"""What every model folder has."""

OPTIONAL = (CALIBRATION_FILE, OUTLIERS_FILE, ESTIMATES_FILE, ONNX_FILE)
"""What belongs to one network: a new one is written without."""


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file of a model folder, indented, with letters as they are."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
