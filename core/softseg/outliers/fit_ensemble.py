"""Fitting an outlier score to an ensemble: its members' scores joined, or how much the members disagree.

The estimates and the range of each member come from the member alone (:mod:`softseg.outliers.fit`). The threshold is
chosen on what the members say together: on the scans' own grids, where members with grids of their own meet, and on the
score as prediction computes it (:mod:`softseg.network.ensemble_outliers`).
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.data import Dataset
from softseg.data.corrected import only_corrected
from softseg.data.labelled import LABELLED, PAINTED, paints_strokes
from softseg.data.scan_labels import labels_on_scan
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import scratch_beside
from softseg.network import Model
from softseg.network.ensemble_outliers import DISAGREEMENT, EnsembleOutliers, scores_of_ensemble
from softseg.network.fitted_outliers import OUTLIERS_FILE
from softseg.network.joint import Joint
from softseg.outliers.fit import KnownScores, chosen_threshold, drawn, fit_outliers, require_sound, threshold_cases_of
from softseg.outliers.reference import Reference, largest_of
from softseg.outliers.threshold import MOST_LOSS, range_for
from softseg.prediction.answering import mean_and_score_of
from softseg.prediction.settings import Settings
from softseg.requests.predict import PredictRequest
from softseg.soft.blocks import Piece
from softseg.system import resolve_device
from softseg.types import IntArray


def fit_ensemble_outliers(
    models: Sequence[Model],
    dataset: Dataset,
    cases: Sequence[str],
    score_name: str,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    threshold_cases: Sequence[str] | None = None,
    most_loss: float = MOST_LOSS,
    tpr: float | None = None,
    threshold: float | None = None,
    held_out: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    cache: str | PathLike[str] | None = None,
) -> EnsembleOutliers:
    """Fit a score to an ensemble.

    Parameters
    ----------
    models: the members of one ensemble.
    score_name: ``"disagreement"``, or a score that every member can have.
    threshold: in units of the score: nats for ``disagreement``, else the mean place in the members' ranges, 0..1.
    dataset, cases, device, events, threshold_cases, most_loss, tpr, held_out, options, cache: see
        :func:`softseg.outliers.fit_outliers`; the options are those of every member.

    Raises
    ------
    InputError: the members cannot have the score, an option is wrong, a case is unknown, or labels are missing.
    CancelledError: cancelled.
    """
    joint = Joint.of(models)
    if joint is None:
        raise ValueError("these models are no ensemble")
    events = Events() if events is None else events
    require_score(score_name, models, options or {})
    require_sound(most_loss, tpr)
    reference = Reference.of(models[0], dataset, held_out)
    device = resolve_device(device)
    judged = threshold_cases_of(dataset, cases, threshold_cases, events)
    with scratch_beside(joint.folder / OUTLIERS_FILE) if cache is None else contextlib.nullcontext(Path(cache)) as kept:
        own = partial(
            fit_outliers,
            threshold_cases=judged,
            most_loss=most_loss,
            tpr=tpr,
            held_out=held_out,
            options=options,
            cache=kept,
        )
        scored = () if score_name == DISAGREEMENT else models
        members = tuple(own(model, dataset, cases, score_name, device, events) for model in scored)
    unfinished = EnsembleOutliers(score_name, 0.5, 0.0, 1.0, members)
    found = joint_scores(models, unfinished, reference, judged, device, events)
    value, chosen = chosen_threshold(found, judged, most_loss, tpr, threshold, held_out)
    top = 1.0 if members else math.log(models[0].head.classes)
    low, high = range_for(found.scores, value, (0.0, top))
    return EnsembleOutliers(score_name, value, low, high, members, chosen)


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
        settings = replace(Settings.of(models, request, device), outliers=outliers)
        quiet = Events(cancel=events.cancel)
        target, pieces, score = mean_and_score_of(models, images, settings, quiet)
        best = _most_probable(pieces, target.shape, models[0].head.background)
        flat = score().reshape(-1)
        labels = labels_on_scan(case, reference.dataset, target, models[0].plan.raters, events.warning)
        labels = labels if case.corrected is None else only_corrected(labels)
        least = PAINTED if paints_strokes(case, reference.dataset) else LABELLED
        largest = largest_of(labels, least, None)
        known, held_out = (drawn(where, number) for where in reference.known_and_held_out(largest))
        scores.append(flat[known])
        right.append(reference.right(models[0].tree, best[known], largest.reshape(-1)[known]))
        outside.append(flat[held_out])
        events.progress(number + 1, len(cases))
    return KnownScores(np.concatenate(scores), np.concatenate(right), np.concatenate(outside))


def _most_probable(pieces: Iterable[Piece], shape: tuple[int, int, int], background: int | None) -> IntArray:
    """Return the index of the most probable leaf of each voxel ``(N,)``; background where no piece says anything."""
    best = np.full(math.prod(shape), 0 if background is None else background, np.int32)
    for voxels, classes, values in pieces:
        best[voxels] = classes[values.argmax(axis=0)]
    return best
