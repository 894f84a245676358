"""Prediction: a trained network over whole scans, back onto the scan's own grid, stored softly.

Names are loaded when they are first asked for, so that :func:`collapse` works without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softseg.prediction.batch import CaseResult, load_model, predict
    from softseg.prediction.case import Prediction, predict_case
    from softseg.prediction.collapsing import collapse
    from softseg.prediction.ensemble import load_models
    from softseg.prediction.uncertainty import Uncertainty
    from softseg.prediction.windows import sliding_probabilities

_MODULE_OF = {
    "CaseResult": "batch",
    "Prediction": "case",
    "Uncertainty": "uncertainty",
    "collapse": "collapsing",
    "load_model": "batch",
    "load_models": "ensemble",
    "predict": "batch",
    "predict_case": "case",
    "sliding_probabilities": "windows",
}

__all__ = [
    "CaseResult",
    "Prediction",
    "Uncertainty",
    "collapse",
    "load_model",
    "load_models",
    "predict",
    "predict_case",
    "sliding_probabilities",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f"softseg.prediction.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'softseg.prediction' has no attribute {name!r}")
