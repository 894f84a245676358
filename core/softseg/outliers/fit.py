"""Fitting an outlier score to a model: estimates on training cases, a threshold on validation cases."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from softseg.data import CaseStore, Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import scratch_beside
from softseg.network import Model
from softseg.network.fitted_outliers import OUTLIERS_FILE, FittedOutliers
from softseg.outliers.estimate import estimate_score
from softseg.outliers.reference import Reference
from softseg.outliers.scoring import score_case
from softseg.outliers.threshold import MOST_LOSS, threshold_at, threshold_costing, with_threshold
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
    most_loss: accuracy on known labelled voxels (background apart) that the threshold may cost: the share of them that
        the model names rightly and that lie beyond it.
    tpr: instead, the share of known labelled voxels that stays below the threshold.
    threshold: instead, the threshold itself, in units of the score.
    held_out: ids of branches that the model was not trained on: their voxels are not known ones.
    options: of the score, e.g. ``{"temperature": 2}``.
    cache: folder for prepared cases, a temporary one in the model folder by default.

    Raises
    ------
    InputError: the head cannot have the score, an option is wrong, a case is unknown, or labels are missing.
    CancelledError: cancelled.
    """
    events = Events() if events is None else events
    reference = Reference.of(model, dataset, held_out)
    device = resolve_device(device)
    require_sound(most_loss, tpr)
    with scratch_beside(model.path / OUTLIERS_FILE) if cache is None else contextlib.nullcontext(Path(cache)) as folder:
        fitted = estimate_score(model, reference, cases, score_name, folder, device, options or {}, events)
        judged = threshold_cases_of(dataset, cases, threshold_cases, events)
        found = known_scores(model, fitted, reference, judged, folder, device, events)
    value, chosen = chosen_threshold(found, judged, most_loss, tpr, threshold, held_out)
    return with_threshold(fitted, found.scores, value, chosen, model.head)


def require_sound(most_loss: float, tpr: float | None) -> None:
    """Raise :class:`InputError` unless a threshold can be chosen so."""
    if tpr is not None and not 0 < tpr <= 1:
        raise InputError(f"expected a share above 0, at most 1, got {tpr}", field="tpr")
    if not 0 <= most_loss < 1:
        raise InputError(f"expected a share from 0 to below 1, got {most_loss}", field="most loss")


def chosen_threshold(
    found: KnownScores,
    cases: Sequence[str],
    most_loss: float,
    tpr: float | None,
    threshold: float | None,
    held_out: Sequence[str],
) -> tuple[float, dict[str, Any]]:
    """Return the threshold, and how it was chosen and what it costs as plain values.

    Parameters
    ----------
    found: scores of the voxels of ``cases``.
    cases: ids.
    most_loss, tpr, threshold, held_out: see :func:`fit_outliers`.
    """
    if threshold is not None:
        value, chosen = threshold, dict[str, Any](how="given")
    elif tpr is not None:
        value, chosen = threshold_at(found.scores, tpr), {"how": "tpr", "tpr": tpr}
    else:
        value = threshold_costing(found.scores, found.right, most_loss)
        chosen = {"how": "most-loss", "most_loss": most_loss}
    chosen |= {"cases": list(cases), "voxels": int(found.scores.size)}
    if found.scores.size:
        chosen["known_kept"] = float((found.scores <= value).mean())
        chosen["accuracy_before"] = float(found.right.mean())
        chosen["accuracy_lost"] = float((found.right & (found.scores > value)).mean())
    if held_out:
        chosen |= {"held_out": list(held_out), "held_out_voxels": int(found.held_out.size)}
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
