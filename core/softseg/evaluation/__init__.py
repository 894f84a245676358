"""How good a segmentation is, per leaf, inner node and level; soft and hard; as numbers and as a report."""

from softseg.evaluation.quick import quick_scores

__all__ = ["quick_scores"]
