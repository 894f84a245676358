"""What a request asks, held against its model's card and tree, the files and the folders, before anything is loaded."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from softseg.data.cubes import file_of
from softseg.errors import InputError
from softseg.files import require_file, require_writable_folder
from softseg.headers import split_series
from softseg.headers.room import require_room
from softseg.prediction.bids_inputs import BidsChoice
from softseg.prediction.ensemble import model_names
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.model_summary import ModelSummary
from softseg.prediction.outputs import Wanted
from softseg.prediction.places import case_places
from softseg.prediction.postprocessing import CleaningStep
from softseg.requests.predict import AUTO, MADE, NO_MASK, PredictRequest
from softseg.system import needs_torch
from softseg.tree import LabelTree


def require_possible(request: PredictRequest, backend: str = "torch") -> None:
    """Refuse what cannot be, before the seconds that weights and their libraries take to load.

    A damaged model passes: loading it reports more.

    Parameters
    ----------
    request: what is asked.
    backend: the library that is to run the network.

    Raises
    ------
    InputError: a node, cut, branch or step is not of the model's tree; an image is missing, or of other channels; a
        single scan's header is damaged; there is one mask and several scans; the folder cannot be written, or holds
        something else under the name of a case; the outlier score needs PyTorch.
    OutOfMemoryError: a single scan is larger than the free memory.
    """
    try:
        model = ModelSummary.load(model_names(request.model)[0])
    except InputError:
        _require_room(request)
        return
    if request.outliers and backend != "torch" and model.score_needs_torch:
        raise needs_torch(f"the outlier score {model.outlier_score} needs PyTorch", "outliers", "or leave it out")
    require_fitting(request, model.tree, model.channels, model.name)


def require_fitting(request: PredictRequest, tree: LabelTree, channels: Sequence[str], name: str) -> None:
    """Refuse what does not fit a model, first what can be known without any file.

    Parameters
    ----------
    request: what is asked.
    tree, channels, name: of the model.

    Raises
    ------
    InputError, OutOfMemoryError: see :func:`require_possible`.
    """
    Wanted.of(tree, request)
    for step in request.postprocess:
        CleaningStep.parse(step, tree)
    _require_room(request)
    cases = find_cases(request.inputs, channels, request.series, BidsChoice(request.suffix, request.entities))
    if len(cases) == 1:
        _require_there(cases[0])
    require_mask_of_each(request, len(cases))
    case_places(request.out, cases, request.layout, tree, name)
    _require_writable(request.out)


def _require_room(request: PredictRequest) -> None:
    if len(request.inputs) == 1:  # of several scans, each is judged when its turn comes
        require_room(Path(request.inputs[0]))


def _require_there(case: CaseInput) -> None:
    if case.problem is not None:
        raise case.problem
    for image in case.images:
        file = split_series(file_of(image))[0]
        if not file.exists():
            require_file(file)


def require_mask_of_each(request: PredictRequest, cases: int) -> None:
    """Raise :class:`InputError` if one file is to be the mask of several scans."""
    if cases > 1 and request.mask not in (AUTO, MADE, NO_MASK) and Path(request.mask).is_file():
        raise InputError(
            f"is one mask, and there are {cases} scans",
            file=request.mask,
            field="--mask",
            hint="give a folder of masks that are called as the scans",
        )


def _require_writable(folder: Path) -> None:
    """Raise :class:`InputError` unless a folder can be written, or made; nothing is made yet."""
    if folder.exists():
        require_writable_folder(folder)
        return
    above = next((each for each in folder.absolute().parents if each.exists()), None)
    if above is not None and not above.is_dir():
        raise InputError("expected a folder, got a file", file=above, hint="choose another output folder")
    if above is not None and not os.access(above, os.W_OK | os.X_OK):
        raise InputError("nothing can be written there", file=above, hint="choose another output folder")
