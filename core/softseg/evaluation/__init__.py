"""How good a segmentation is, per leaf, inner node and level; soft and hard; as numbers and as a report.

What draws is loaded when a report is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from softseg.evaluation.comparison import evaluate
from softseg.evaluation.quick import quick_scores
from softseg.evaluation.results import Report

if TYPE_CHECKING:
    from softseg.evaluation.prediction_report import render_prediction_report

__all__ = ["Report", "evaluate", "quick_scores", "render_prediction_report"]


def __getattr__(name: str) -> Any:
    if name == "render_prediction_report":
        from softseg.evaluation.prediction_report import render_prediction_report

        return render_prediction_report
    raise AttributeError(f"module 'softseg.evaluation' has no attribute {name!r}")
