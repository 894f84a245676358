"""The files of a model folder."""

from __future__ import annotations

from softseg.network.fitted_outliers import ESTIMATES_FILE, OUTLIERS_FILE
from softseg.network.graph_session import ONNX_FILE
from softseg.soft.calibration import FILE as CALIBRATION_FILE

FORMAT_VERSION = 1
"""Version of the ``softseg`` part of ``metadata.json``; newer ones are refused."""

FILES = ("configs/metadata.json", "models/model.pt", "tree.json", "recipe.yaml")
"""What every model folder has."""

OPTIONAL = (CALIBRATION_FILE, OUTLIERS_FILE, ESTIMATES_FILE, ONNX_FILE)
"""What belongs to one network: a new one is written without."""
