"""Fitting an outlier score to a model: estimates on training cases, a threshold on validation cases."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.data import CaseStore, Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.network import Model
from softseg.network.fitted_outliers import FittedOutliers
from softseg.outliers.estimate import estimate_score
from softseg.outliers.reference import Reference
from softseg.outliers.scoring import outlier_scores
from softseg.outliers.threshold import TPR, threshold_at, with_threshold
from softseg.types import FloatArray

MOST_VOXELS = 1 << 20
"""Voxels of a case whose scores are kept to choose a threshold, drawn at random (our default)."""


def fit_outliers(
    model: Model,
    dataset: Dataset,
    cases: Sequence[str],
    score_name: str,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    threshold_cases: Sequence[str] | None = None,
    tpr: float = TPR,
    threshold: float | None = None,
    held_out: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    cache: str | PathLike[str] | None = None,
) -> FittedOutliers:
    """Fit a score to a model.

    Parameters
    ----------
    model: its network is moved to the device.
    dataset: with labels of the model's classes.
    cases: ids of training cases: estimates (Mahalanobis) come from these.
    score_name: one of :data:`softseg.network.outlier_scores.SCORES`.
    device: where the network runs.
    events: stages, progress, warnings; cancelling.
    threshold_cases: ids of the cases that the threshold and the stored range come from; the dataset's validation cases
        by default, with none of these ``cases``.
    tpr: share of known labelled voxels (background apart) that stays below the threshold.
    threshold: instead, the threshold itself, in units of the score.
    held_out: ids of branches that the model was not trained on: their voxels are not known ones.
    options: of the score, e.g. ``{"temperature": 2}``.
    cache: folder for prepared cases, a temporary one by default.

    Raises
    ------
    InputError: the head cannot have the score, an option is wrong, a case is unknown, or labels are missing.
    CancelledError: cancelled.
    """
    events = Events() if events is None else events
    reference = Reference.of(model, dataset, held_out)
    device = torch.device(device)
    if not 0 < tpr <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {tpr}", field="tpr")
    with _folder(cache) as folder:
        fitted = estimate_score(model, reference, cases, score_name, folder, device, options or {}, events)
        judged = _threshold_cases(dataset, cases, threshold_cases, events)
        known, outside = known_scores(model, fitted, reference, judged, folder, device, events)
    chosen: dict[str, Any] = {"how": "tpr", "tpr": tpr} if threshold is None else {"how": "given"}
    value = threshold_at(known, tpr) if threshold is None else threshold
    chosen |= {"cases": list(judged), "voxels": int(known.size)}
    if known.size:
        chosen["known_kept"] = float((known <= value).mean())
    if held_out:
        chosen |= {"held_out": list(held_out), "held_out_voxels": int(outside.size)}
        if outside.size:
            chosen["held_out_found"] = float((outside > value).mean())
    return with_threshold(fitted, known, value, chosen, model.head)


def known_scores(
    model: Model,
    fitted: FittedOutliers,
    reference: Reference,
    cases: Sequence[str],
    cache: Path,
    device: torch.device,
    events: Events,
) -> tuple[FloatArray, FloatArray]:
    """Return the scores of known and of held-out labelled voxels of some cases, float32 ``(N,)`` each.

    At most :data:`MOST_VOXELS` of each case, the same ones every time.
    """
    store = CaseStore(reference.dataset, model.plan, cache)
    store.prepare(events, list(cases))
    events.stage("score", len(cases))
    found: tuple[list[FloatArray], list[FloatArray]] = ([], [])
    for number, name in enumerate(cases):
        case = store.load(name)
        scores = outlier_scores(model, fitted, case, device, Events(cancel=events.cancel))
        for part, where in zip(found, reference.known_and_held_out(case), strict=True):
            values = scores[where]
            if values.size > MOST_VOXELS:
                values = np.random.default_rng(number).choice(values, MOST_VOXELS, replace=False)
            part.append(values)
        events.progress(number + 1, len(cases))
    empty = np.zeros(0, np.float32)
    return np.concatenate([empty, *found[0]]), np.concatenate([empty, *found[1]])


def _threshold_cases(dataset: Dataset, cases: Sequence[str], chosen: Sequence[str] | None, events: Events) -> list[str]:
    if chosen is not None:
        return [dataset.case(name).id for name in chosen]
    validation = [case.id for case in dataset.split("val")]
    if validation:
        return validation
    events.warning("the dataset has no validation cases: the threshold comes from the training cases, and is too low")
    return list(cases)


@contextlib.contextmanager
def _folder(cache: str | PathLike[str] | None) -> Iterator[Path]:
    if cache is not None:
        yield Path(cache)
        return
    with tempfile.TemporaryDirectory(prefix="softseg-outliers-") as folder:
        yield Path(folder)
