"""Fitting outlier scores to a model, and scoring prepared cases; the scores are in softseg.network.outlier_scores."""

from softseg.network.fitted_outliers import FittedOutliers
from softseg.network.outlier_scores import SCORES, scores_for
from softseg.outliers.fit import fit_outliers
from softseg.outliers.fit_ensemble import fit_ensemble_outliers
from softseg.outliers.reference import Reference
from softseg.outliers.request import FitRequest
from softseg.outliers.scoring import ScoredCase, outlier_scores, score_case
from softseg.outliers.threshold import threshold_at, threshold_costing, with_threshold

__all__ = [
    "SCORES",
    "FitRequest",
    "FittedOutliers",
    "Reference",
    "ScoredCase",
    "fit_ensemble_outliers",
    "fit_outliers",
    "outlier_scores",
    "score_case",
    "scores_for",
    "threshold_at",
    "threshold_costing",
    "with_threshold",
]
