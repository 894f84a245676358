"""Prediction: a trained network over whole scans, back onto the scan's own grid, stored softly."""

from softseg.prediction.batch import CaseResult, load_model, predict
from softseg.prediction.case import Prediction, predict_case
from softseg.prediction.uncertainty import Uncertainty
from softseg.prediction.windows import sliding_probabilities

__all__ = [
    "CaseResult",
    "Prediction",
    "Uncertainty",
    "load_model",
    "predict",
    "predict_case",
    "sliding_probabilities",
]
