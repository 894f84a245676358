"""Calibrate a model's probabilities: temperatures for the levels of its tree."""

from __future__ import annotations

from softseg.calibration.calibrate import Calibrated, calibrate
from softseg.calibration.fitting import fit
from softseg.calibration.sampling import Sample

__all__ = ["Calibrated", "Sample", "calibrate", "fit"]
