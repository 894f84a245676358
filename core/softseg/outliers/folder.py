"""Fitting a score to a model, or to an ensemble, on disk."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data import Dataset
from softseg.ensemble_file import is_model_folder
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_writable_folder, scratch_beside, write_folder_beside
from softseg.network import Model
from softseg.network.ensemble_outliers import EnsembleOutliers, scores_of_ensemble, title_of
from softseg.network.fitted_outliers import OUTLIERS_FILE, FittedOutliers
from softseg.network.joint import Joint
from softseg.network.outlier_scores import SCORES, score_class, scores_for
from softseg.outliers.fit import fit_outliers
from softseg.outliers.fit_ensemble import fit_ensemble_outliers, require_score
from softseg.outliers.request import FitRequest
from softseg.overrides import key_and_value
from softseg.prediction import load_models
from softseg.prediction.guarantee import folder_of
from softseg.system import resolve_device


def fit_folder(
    model: str | PathLike[str],
    dataset: Dataset,
    request: FitRequest,
    *,
    out: str | PathLike[str] | None = None,
    device: str = "auto",
    events: Events | None = None,
) -> Path:
    """Fit a score to a model folder or an ensemble and write it there, or into a copy of it.

    Parameters
    ----------
    model: a model folder, also an ensemble, or the name of a shipped model (then with ``out``).
    dataset: what it was trained on: training cases are estimated from, validation cases give the threshold.
    request: the score, and how its threshold is chosen.
    out: folder of the copy, which appears only when complete; ``None``: the model folder itself.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    events: stages, progress, warnings, results; cancelling.

    Returns
    -------
    The folder with the score.

    Raises
    ------
    InputError: before anything is computed, what is wrong with the request; later, what :func:`fit_outliers` finds.
    CancelledError: cancelled; nothing has changed.
    """
    events = Events() if events is None else events
    models = load_models(model, outliers=False)  # one is fitted, whatever state an older one is in
    folder = folder_of(models)
    target = _target(folder, model, out)
    fit: Callable[..., FittedOutliers | EnsembleOutliers]
    if Joint.of(models) is None:
        score_class(request.score, models[0].head)
        fit = partial(fit_outliers, models[0])
    else:
        require_score(request.score, models, request.options)
        fit = partial(fit_ensemble_outliers, models)
    cases = [case.id for case in dataset.split("train")]
    with scratch_beside(target / OUTLIERS_FILE if target == folder else target) as cache:
        fitted = fit(dataset, cases, request, resolve_device(device, events), events, cache=cache)
    for line in _summary(fitted):
        events.log(line)
    events.check()
    if target == folder:
        fitted.save(target)
    else:
        with write_folder_beside(target) as unfinished:
            shutil.copytree(folder, unfinished, dirs_exist_ok=True)
            fitted.save(unfinished)
    events.result("model", target)
    return target


def options_of(changes: Sequence[str]) -> dict[str, Any]:
    """Return options of a score from ``key=value`` texts.

    Raises
    ------
    InputError: one of them has no ``=``.
    """
    return dict(key_and_value(change) for change in changes)


def described(models: Sequence[Model]) -> list[str]:
    """Return lines for people: which score a model or ensemble has, how it was chosen, and which it can have."""
    joint = Joint.of(models)
    outliers: FittedOutliers | EnsembleOutliers | None
    if joint is None:
        name, outliers, possible = models[0].name, models[0].outliers, scores_for(models[0].head)
        title = "" if outliers is None else SCORES[outliers.score].title
    else:
        name, outliers = joint.name, joint.outliers
        possible = scores_of_ensemble([model.head for model in models])
        title = "" if outliers is None else title_of(outliers.score)
    lines = [f"{name}: no outlier score yet"]
    if outliers is not None:
        lines = [f"{name}: {title} ({outliers.score})", *_summary(outliers)]
    return [*lines, f"scores it can have: {', '.join(possible)}"]


def _target(folder: Path, named: str | PathLike[str], out: str | PathLike[str] | None) -> Path:
    """Return the folder that is written: that of the model or ensemble itself, or of its copy."""
    if out is None:
        if not Path(named).exists():
            raise InputError(
                f"{fspath(named)!r} is a shipped model, which is not changed", field="out", hint="add --out MODEL2"
            )
        require_writable_folder(folder)
        return folder
    target = Path(out)
    another = target.exists() and target.resolve() != folder.resolve()
    if another and not (target.is_dir() and (is_model_folder(target) or not any(target.iterdir()))):
        raise InputError("exists already and is not a model folder", file=target, hint="choose another folder")
    inside = {target.resolve(), *target.resolve().parents}
    if folder.resolve() in inside and target.resolve() != folder.resolve():
        raise InputError("lies inside the model that is to be copied", file=target, hint="choose another folder")
    require_writable_folder(target.parent)
    return folder if target.resolve() == folder.resolve() else target


def _summary(fitted: FittedOutliers | EnsembleOutliers) -> list[str]:
    if isinstance(fitted, EnsembleOutliers):
        own = [f"member {number}: {line}" for number, one in enumerate(fitted.members, 1) for line in _estimates(one)]
        return [*own, *_threshold(fitted)]
    return [*_estimates(fitted), *_threshold(fitted)]


def _estimates(fitted: FittedOutliers) -> list[str]:
    estimated = fitted.estimated
    if not {"voxels", "cases", "classes", "features"} <= estimated.keys():
        return []
    return [
        f"estimated from {estimated['voxels']:g} labelled voxels of {len(estimated['cases'])} cases: "
        f"{estimated['classes']} class means of {estimated['features']} features"
    ]


def _threshold(fitted: FittedOutliers | EnsembleOutliers) -> list[str]:
    chosen = fitted.chosen
    how = {
        "tpr": f"chosen to keep {chosen.get('tpr', np.nan):.4g}",
        "most-loss": f"chosen to cost at most {chosen.get('most_loss', np.nan):.2%} of accuracy",
    }.get(str(chosen.get("how")), "given")
    kept = f", of which it keeps {chosen['known_kept']:.2%}" if "known_kept" in chosen else ""
    if {"accuracy_before", "accuracy_lost"} <= chosen.keys():
        kept += f"; accuracy {chosen['accuracy_before']:.2%}, {chosen['accuracy_lost']:.2%} of it lost"
    lines = [
        f"threshold {fitted.threshold:.6g}, {how}: {chosen.get('voxels', 0)} known voxels of "
        f"{len(chosen.get('cases', ()))} cases{kept}"
    ]
    if {"held_out_found", "held_out_voxels", "held_out"} <= chosen.keys():
        lines.append(
            f"{chosen['held_out_found']:.2%} of {chosen['held_out_voxels']} voxels of {', '.join(chosen['held_out'])} "
            "are beyond it"
        )
    return lines
