"""Predicting with a bound on wrong answers: from ``--guarantee`` to the level that the model's people ask for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.errors import InputError
from softseg.network import Joint
from softseg.prediction.record import model_digest
from softseg.requests.predict import OVERLAP, PredictRequest
from softseg.soft.guarantee import FILE, Guarantee

if TYPE_CHECKING:
    from softseg.events import Events
    from softseg.network import Model


def folder_of(models: Sequence[Model]) -> Path:
    """Return the folder of a model, or of the ensemble that models are the members of.

    Raises
    ------
    InputError: several models that are no ensemble.
    """
    joint = Joint.of(models)
    if joint is not None:
        return joint.folder
    if len(models) == 1:
        return models[0].path
    raise InputError(
        "several models that are no ensemble have no folder to keep this in",
        field="MODEL",
        hint="put the models into one folder with softseg ensemble",
    )


def answering_digest(models: Sequence[Model]) -> str:
    """Return a digest of all that decides about the answers of these models: networks, plans, temperatures."""
    digest = hashlib.sha256()
    for model in models:
        digest.update(model_digest(model).encode())
        temperatures = None if model.calibration is None else list(model.calibration.temperatures)
        digest.update(json.dumps(temperatures).encode())
    joint = Joint.of(models)
    if joint is not None and joint.calibration is not None:
        digest.update(json.dumps(list(joint.calibration.temperatures)).encode())
    return digest.hexdigest()[:32]


def level_of(request: PredictRequest, models: Sequence[Model], events: Events) -> float | None:
    """Return the probability that answers must have: as asked, or as the guarantee needs; None where none is asked.

    Raises
    ------
    InputError: the models carry none, it was found for others (or before a new calibration), the settings are not those
        that it was found with, or it cannot be kept (the message names what can be).
    """
    if request.guarantee is None:
        return request.confidence
    file = folder_of(models) / FILE
    if not file.is_file():
        raise InputError(
            "this model carries no guarantee",
            file=file,
            field="--guarantee",
            hint="find one with softseg guarantee MODEL DATA.json, or ask for a level with --confidence",
        )
    found = Guarantee.load(file)
    if found.model != answering_digest(models):
        raise InputError(
            "the model has changed since this was found",
            file=file,
            field="model",
            hint="find it again with softseg guarantee MODEL DATA.json",
        )
    _require_same_settings(request)
    try:
        level = found.level(request.guarantee, request.guarantee_confidence)
    except InputError as error:
        raise InputError(error.message, file=file, field="--guarantee", hint=error.hint) from error
    events.log(
        f"guarantee: level {level:.2f} gives at most {request.guarantee:g} wrong answers on a new person like the "
        f"{len(found.people)} that were asked, with a confidence of {request.guarantee_confidence:g}"
        + ("; not proven for this model: models that other people trained were asked" if found.crossed else "")
    )
    return level


def _require_same_settings(request: PredictRequest) -> None:
    """Raise :class:`InputError` where probabilities would be others than those that the guarantee was found with."""
    other = {
        "--uncertainty": request.uncertainty is not None,
        "--no-calibration": not request.calibrated,
        "--postprocess": bool(request.postprocess),
        "--overlap": request.overlap != OVERLAP,
        "--mirror": request.mirror,
        "--blend": request.blend != PredictRequest.blend,
        "--mask": request.mask != PredictRequest.mask,
    }
    for name, changed in other.items():
        if changed:
            raise InputError(
                f"{name} changes the probabilities that the guarantee was found with",
                field="--guarantee",
                hint=f"leave {name} out, or ask for a level with --confidence instead",
            )
