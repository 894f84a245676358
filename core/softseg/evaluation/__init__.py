"""How good a segmentation is, per leaf, inner node and level; soft and hard; as numbers and as a report."""

from __future__ import annotations

from softseg.evaluation.evaluate import Report, evaluate
from softseg.evaluation.quick import quick_scores

__all__ = ["Report", "evaluate", "quick_scores"]
