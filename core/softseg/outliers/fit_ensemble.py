"""Fitting an outlier score to an ensemble: its members' scores joined, or how much the members disagree.

The estimates and the range of each member come from the member alone (:mod:`softseg.outliers.fit`). The threshold is
chosen on the members' joint prediction: on the scans' own grids, where members with grids of their own meet, and on the
score as prediction computes it (:mod:`softseg.network.ensemble_outliers`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.data import Dataset
from softseg.data.corrected import only_corrected
from softseg.data.labelled import LABELLED, PAINTED, is_scribbled
from softseg.data.scan_labels import labels_on_scan
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import scratch_beside
from softseg.network import Model
from softseg.network.ensemble_outliers import DISAGREEMENT, EnsembleOutliers, scores_of_ensemble
from softseg.network.fitted_outliers import OUTLIERS_FILE
from softseg.network.joint import Joint
from softseg.outliers.fit import KnownScores, chosen_threshold, drawn, fit_outliers, threshold_cases_of
from softseg.outliers.reference import Reference, largest_of
from softseg.outliers.request import FitRequest
from softseg.outliers.threshold import range_for
from softseg.prediction.answering import mean_and_score_of
from softseg.prediction.settings import PredictionSettings
from softseg.requests.predict import PredictRequest
from softseg.soft.blocks import SparseVoxels
from softseg.system import resolve_device
from softseg.types import IntArray


def fit_ensemble_outliers(
    models: Sequence[Model],
    dataset: Dataset,
    cases: Sequence[str],
    score: FitRequest | str,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    cache: str | PathLike[str] | None = None,
    **settings: Any,
) -> EnsembleOutliers:
    """Fit a score to an ensemble.

    Parameters
    ----------
    models: the members of one ensemble.
    score: ``"disagreement"``, or a score that every member can have, and how its threshold is chosen.
    dataset, cases, device, events, cache, settings: see :func:`softseg.outliers.fit_outliers`.

    Raises
    ------
    InputError: the members cannot have the score, an option is wrong, a case is unknown, or labels are missing.
    CancelledError: cancelled.
    """
    joint = Joint.of(models)
    if joint is None:
        raise ValueError("these models are no ensemble")
    request = FitRequest.of(score, settings)
    events = Events() if events is None else events
    require_score(request.score, models, request.options)
    request.require_sound()
    reference = Reference.of(models[0], dataset, request.held_out)
    device = resolve_device(device)
    judged = threshold_cases_of(dataset, cases, request.threshold_cases, events)
    own = replace(request, threshold_cases=judged, threshold=None)  # the members' places are joined, not their units
    with scratch_beside(joint.folder / OUTLIERS_FILE) if cache is None else contextlib.nullcontext(Path(cache)) as kept:
        scored = () if request.score == DISAGREEMENT else models
        members = tuple(fit_outliers(model, dataset, cases, own, device, events, cache=kept) for model in scored)
    unfinished = EnsembleOutliers(request.score, 0.5, 0.0, 1.0, members)
    found = joint_scores(models, unfinished, reference, judged, device, events)
    value, chosen = chosen_threshold(found, judged, request)
    top = 1.0 if members else math.log(models[0].head.classes)
    low, high = range_for(found.scores, value, (0.0, top))
    return EnsembleOutliers(request.score, value, low, high, members, chosen)


def require_score(name: str, models: Sequence[Model], options: Mapping[str, Any]) -> None:
    """Raise :class:`InputError` unless the members of an ensemble can have a score with these options together."""
    possible = scores_of_ensemble([model.head for model in models])
    if name not in possible:
        raise InputError(
            f"{name} cannot be had from this ensemble",
            field="score",
            hint=f"this ensemble can have {', '.join(possible)}",
        )
    if name == DISAGREEMENT and options:
        raise InputError(f"{name}: unknown option {next(iter(options))!r}; it has none", field="--set")


def joint_scores(
    models: Sequence[Model],
    outliers: EnsembleOutliers,
    reference: Reference,
    cases: Sequence[str],
    device: torch.device,
    events: Events,
) -> KnownScores:
    """Return the scores of labelled voxels of some cases, on their scans' grids and before they are rounded.

    Parameters
    ----------
    models: the members of one ensemble.
    outliers: its score; neither threshold nor range plays a part.
    reference: how the models see the dataset.
    cases: ids.
    device: where the networks run.
    events: stage, progress by cases, warnings; cancelling.
    """
    scores, right, outside = [np.zeros(0, np.float32)], [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    events.stage("score", len(cases))
    for number, name in enumerate(cases):
        case = reference.dataset.case(name)
        images = [case.images[channel] for channel in models[0].plan.channels]
        request = PredictRequest(str(models[0].path), tuple(map(str, images)), images[0])
        settings = replace(PredictionSettings.of(models, request, device), outliers=outliers)
        quiet = Events(cancel=events.cancel)
        target, pieces, score = mean_and_score_of(models, images, settings, quiet)
        best = _most_probable(pieces, target.shape, models[0].head.background)
        flat = score().reshape(-1)
        labels = labels_on_scan(case, reference.dataset, target, models[0].plan.raters, events.warning)
        labels = labels if case.corrected is None else only_corrected(labels)
        least = PAINTED if is_scribbled(case, reference.dataset) else LABELLED
        largest = largest_of(labels, least, None)
        known, held_out = (drawn(where, number) for where in reference.known_and_held_out(largest))
        scores.append(flat[known])
        right.append(reference.right(models[0].tree, best[known], largest.reshape(-1)[known]))
        outside.append(flat[held_out])
        events.progress(number + 1, len(cases))
    return KnownScores(np.concatenate(scores), np.concatenate(right), np.concatenate(outside))


def _most_probable(pieces: Iterable[SparseVoxels], shape: tuple[int, int, int], background: int | None) -> IntArray:
    """Return the index of the most probable leaf of each voxel ``(N,)``; background where nothing is stored."""
    best = np.full(math.prod(shape), 0 if background is None else background, np.int32)
    for voxels, classes, values in pieces:
        best[voxels] = classes[values.argmax(axis=0)]
    return best
