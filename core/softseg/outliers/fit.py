"""Fitting an outlier score to a model: estimates on training cases, a threshold on validation cases."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from softseg.data import CaseStore, Dataset
from softseg.events import Events
from softseg.files import scratch_beside
from softseg.network import Model
from softseg.network.fitted_outliers import OUTLIERS_FILE, FittedOutliers
from softseg.outliers.estimate import estimate_score
from softseg.outliers.reference import Reference
from softseg.outliers.request import FitRequest
from softseg.outliers.scoring import score_case
from softseg.outliers.threshold import threshold_at, threshold_costing, with_threshold
from softseg.system import resolve_device
from softseg.types import BoolArray, FloatArray

MOST_VOXELS = 1 << 20
"""Voxels of a case whose scores are kept to choose a threshold, drawn at random (our default)."""


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Scores of labelled voxels of some cases.

    Attributes
    ----------
    scores: float32 ``(N,)``, of known voxels.
    right: bool ``(N,)``, whether the most probable leaf is the labelled one, or lies below the labelled node.
    held_out: float32 ``(M,)``, scores of voxels of held-out branches.
    """

    scores: FloatArray
    right: BoolArray
    held_out: FloatArray


def fit_outliers(
    model: Model,
    dataset: Dataset,
    cases: Sequence[str],
    score: FitRequest | str,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    cache: str | PathLike[str] | None = None,
    **settings: Any,
) -> FittedOutliers:
    """Fit a score to a model.

    Parameters
    ----------
    model: its network is moved to the device.
    dataset: with labels of the model's classes.
    cases: ids of training cases: estimates (Mahalanobis) come from these.
    score: which score, and how its threshold is chosen; or its name alone.
    device: where the network runs.
    events: stages, progress, warnings; cancelling.
    cache: folder for prepared cases, a temporary one in the model folder by default.
    settings: attributes of :class:`FitRequest` that are other than in ``score``, e.g. ``tpr=0.97``.

    Raises
    ------
    InputError: the head cannot have the score, an option is wrong, a case is unknown, or labels are missing.
    CancelledError: cancelled.
    """
    request = FitRequest.of(score, settings)
    events = Events() if events is None else events
    reference = Reference.of(model, dataset, request.held_out)
    device = resolve_device(device)
    request.require_sound()
    with scratch_beside(model.path / OUTLIERS_FILE) if cache is None else contextlib.nullcontext(Path(cache)) as folder:
        fitted = estimate_score(model, reference, cases, request.score, folder, device, request.options, events)
        judged = threshold_cases_of(dataset, cases, request.threshold_cases, events)
        found = known_scores(model, fitted, reference, judged, folder, device, events)
    value, chosen = chosen_threshold(found, judged, request)
    return with_threshold(fitted, found.scores, value, chosen, model.head)


def chosen_threshold(found: KnownScores, cases: Sequence[str], request: FitRequest) -> tuple[float, dict[str, Any]]:
    """Return the threshold, and how it was chosen and what it costs as plain values.

    Parameters
    ----------
    found: scores of the voxels of ``cases``.
    cases: ids.
    request: how it is chosen.
    """
    if request.threshold is not None:
        value, chosen = request.threshold, dict[str, Any](how="given")
    elif request.tpr is not None:
        value, chosen = threshold_at(found.scores, request.tpr), {"how": "tpr", "tpr": request.tpr}
    else:
        value = threshold_costing(found.scores, found.right, request.most_loss)
        chosen = {"how": "most-loss", "most_loss": request.most_loss}
    chosen |= {"cases": list(cases), "voxels": int(found.scores.size)}
    if found.scores.size:
        chosen["known_kept"] = float((found.scores <= value).mean())
        chosen["accuracy_before"] = float(found.right.mean())
        chosen["accuracy_lost"] = float((found.right & (found.scores > value)).mean())
    if request.held_out:
        chosen |= {"held_out": list(request.held_out), "held_out_voxels": int(found.held_out.size)}
        if found.held_out.size:
            chosen["held_out_found"] = float((found.held_out > value).mean())
    return value, chosen


def known_scores(
    model: Model,
    fitted: FittedOutliers,
    reference: Reference,
    cases: Sequence[str],
    cache: Path,
    device: torch.device,
    events: Events,
) -> KnownScores:
    """Return the scores of labelled voxels of some cases, at most :data:`MOST_VOXELS` of each, the same every time."""
    store = CaseStore(reference.dataset, model.plan, cache)
    store.prepare(events, list(cases))
    events.stage("score", len(cases))
    scores, right, outside = [np.zeros(0, np.float32)], [np.zeros(0, bool)], [np.zeros(0, np.float32)]
    for number, name in enumerate(cases):
        case = store.load(name)
        scored = score_case(model, [fitted], case, device, Events(cancel=events.cancel))
        largest = reference.largest(case)
        known, held_out = (drawn(where, number) for where in reference.known_and_held_out(largest))
        flat = scored.scores[0].reshape(-1)
        found = scored.probabilities.reshape(len(scored.probabilities), -1)[:, known].argmax(axis=0)
        scores.append(flat[known])
        right.append(reference.right(model.tree, found, largest.reshape(-1)[known]))
        outside.append(flat[held_out])
        events.progress(number + 1, len(cases))
    return KnownScores(np.concatenate(scores), np.concatenate(right), np.concatenate(outside))


def drawn(where: BoolArray, seed: int) -> npt.NDArray[np.intp]:
    """Return the flat places where an array is true, :data:`MOST_VOXELS` drawn at random where there are more."""
    places = np.flatnonzero(where)
    if places.size > MOST_VOXELS:
        places = np.random.default_rng(seed).choice(places, MOST_VOXELS, replace=False)
    return places


def threshold_cases_of(
    dataset: Dataset, cases: Sequence[str], chosen: Sequence[str] | None, events: Events
) -> list[str]:
    """Return the ids of the cases that a threshold is chosen on; see :func:`fit_outliers`."""
    if chosen is not None:
        return [dataset.case(name).id for name in chosen]
    validation = [case.id for case in dataset.split("val")]
    if validation:
        return validation
    events.warning("the dataset has no validation cases: the threshold comes from the training cases, and is too low")
    return list(cases)
