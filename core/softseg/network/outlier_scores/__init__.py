"""Outlier scores: how strange a voxel is to a model, each a small class with one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from softseg.errors import InputError
from softseg.network.heads import Head
from softseg.network.outlier_scores.base import Needs, OutlierScore, Voxels
from softseg.network.outlier_scores.godin import Godin
from softseg.network.outlier_scores.mahalanobis import Mahalanobis
from softseg.network.outlier_scores.odin import Odin
from softseg.network.outlier_scores.probability import Energy, Entropy, MaxSoftmax

__all__ = [
    "SCORES",
    "Energy",
    "Entropy",
    "Godin",
    "Mahalanobis",
    "MaxSoftmax",
    "Needs",
    "Odin",
    "OutlierScore",
    "Voxels",
    "make_score",
    "score_class",
    "scores_for",
]

SCORES: Mapping[str, type[OutlierScore]] = {
    score.name: score for score in (MaxSoftmax, Energy, Entropy, Odin, Mahalanobis, Godin)
}
"""Every outlier score by its name."""


def scores_for(head: Head) -> tuple[str, ...]:
    """Return the names of the scores that make sense for a head."""
    return tuple(name for name, score in SCORES.items() if not _reason_against(score, head))


def score_class(name: str, head: Head) -> type[OutlierScore]:
    """Return the class of a score, once it is sure that the head can have it.

    Raises
    ------
    InputError: there is no such score, or it makes no sense for the head.
    """
    if name not in SCORES:
        raise InputError(f"unknown outlier score {name!r}", field="score", hint=f"there are {', '.join(SCORES)}")
    reason = _reason_against(SCORES[name], head)
    if reason:
        raise InputError(
            f"{name} cannot be had from this model: {reason}",
            field="score",
            hint=f"this model can have {', '.join(scores_for(head))}",
        )
    return SCORES[name]


def make_score(name: str, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> OutlierScore:
    """Return a score by name, with its options and estimates.

    Raises
    ------
    InputError: there is no such score, the head cannot have it, or options or estimates do not fit.
    """
    try:
        return score_class(name, head).made_from(options, tensors, head)
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name}: {error}", field="outliers") from error


def _reason_against(score: type[OutlierScore], head: Head) -> str:
    if head.name not in score.heads:
        if score is Godin:
            return "it needs a head trained for it (recipe: head: godin)"
        return "activations of the normrelu head are no logits"
    if head.single and score is not Mahalanobis:
        return "its one activation is divided by the volume's maximum, which no window knows"
    return ""
