"""``softseg predict``: segment scans with a model folder."""

from __future__ import annotations

from dataclasses import replace

from softseg.commands.asked import command_of
from softseg.ensemble_file import is_model_folder
from softseg.errors import InputError
from softseg.events import Events
from softseg.requests.predict import DEFAULT_MODEL, PredictRequest
from softseg.resources import list_models


def _run(request: PredictRequest, events: Events) -> None:
    """Segment scans softly: soft parcellation, label maps, soft maps and volumes."""
    from softseg.prediction.batch import run

    run(with_model(request), events)


def with_model(request: PredictRequest) -> PredictRequest:
    """Return a request as it is, or with the default model where its first argument is a scan.

    A scan is an image file, or what stands alone and is no model.

    Raises
    ------
    InputError: a model stands alone.
    """
    from softseg.headers import IMAGE_SUFFIXES

    first = request.model
    if request.inputs and not first.lower().endswith(IMAGE_SUFFIXES):
        return request
    if first in list_models() or is_model_folder(first):
        raise InputError("no scan is given", field="IMAGE", hint=f"softseg predict {first} IMAGE --out DIR")
    return replace(request, model=DEFAULT_MODEL, inputs=(first, *request.inputs))


predict = command_of(PredictRequest, _run)
