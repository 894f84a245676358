"""The outlier scores of a study on one trained model: estimated once, computed in one pass with the answers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from softseg.data import Dataset, PreparedCase
from softseg.events import Events
from softseg.network import Model
from softseg.network.fitted_outliers import FittedOutliers
from softseg.outliers.estimate import estimate_score
from softseg.outliers.reference import Reference
from softseg.outliers.scoring import score_case
from softseg.types import FloatArray


def estimated_scores(
    model: Model, trained: Dataset, names: Sequence[str], cache: Path, device: torch.device, events: Events
) -> list[FittedOutliers]:
    """Return the scores of these names; what they estimate comes from the labels that the model was trained on.

    Their thresholds mean nothing here: the study chooses its own.

    Raises
    ------
    InputError: there is no such score, or the model's head cannot have it.
    """
    reference = Reference.of(model, trained)
    cases = [case.id for case in trained.split("train")]
    return [estimate_score(model, reference, cases, name, cache, device, {}, events) for name in names]


def scored(
    model: Model, fitted: Sequence[FittedOutliers], case: PreparedCase, device: torch.device, events: Events
) -> tuple[FloatArray, FloatArray]:
    """Return probabilities of the leaves ``[C, k, j, i]`` and scores ``[scores, k, j, i]`` of a prepared case."""
    found = score_case(model, fitted, case, device, Events(cancel=events.cancel))
    return found.probabilities, found.scores
