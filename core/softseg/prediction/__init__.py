"""Prediction: a trained network over whole scans, back onto the scan's own grid, stored softly.

Public names are loaded on first use; nothing heavy is imported before.
"""

from __future__ import annotations

from softseg.prediction.windows import sliding_probabilities

__all__ = ["sliding_probabilities"]
