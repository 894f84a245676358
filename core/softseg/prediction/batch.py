"""``softseg predict``: a model over many cases, each with a folder of its own that appears only when complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path

import torch

from softseg.errors import InputError, OutOfMemoryError, SoftSegError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.network import Model, ModelFolder
from softseg.prediction.case import predict_case
from softseg.prediction.devices import resolve_device, resolve_precision
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.outputs import (
    SOFT_FILE,
    VOLUMES_FILE,
    CutSpec,
    Wanted,
    safe_name,
    volume_rows,
    write_case,
    write_volumes,
)
from softseg.prediction.postprocessing import CleaningStep
from softseg.prediction.uncertainty import Uncertainty
from softseg.resources import model_path


@dataclass(frozen=True)
class CaseResult:
    """A finished case.

    Attributes
    ----------
    name: the case's.
    folder: its output folder.
    volumes: the rows of its volumes.csv.
    """

    name: str
    folder: Path
    volumes: list[dict[str, str | int | float]]


def predict(
    model: str | PathLike[str] | Model,
    inputs: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    cut: CutSpec | Sequence[CutSpec] | None = None,
    nodes: Sequence[str] = (),
    uncertainty: str | None = None,
    outliers: bool = False,
    device: str | torch.device = "auto",
    events: Events | None = None,
    map_type: str = "float32",
    postprocess: Sequence[str] = (),
    overlap: float = 0.5,
    precision: str | None = None,
) -> list[CaseResult]:
    """Predict cases and write, for each, ``OUT/<case>/``.

    The folder holds ``soft.soft.npz`` (a SoftParcellation), ``labels_<cut>.nii.gz`` with ``labels_<cut>.ctbl``,
    ``node_<id>.nii.gz``, ``entropy.nii.gz`` and ``mutual_information.nii.gz`` (with uncertainty) and ``volumes.csv``.
    With several cases ``OUT/volumes.csv`` holds all volumes. A case that fails is warned about and the others go on.

    Parameters
    ----------
    model: a model folder, the name of a shipped model, or a loaded model.
    inputs: files and folders, see :mod:`softseg.prediction.inputs`.
    out: the output folder; a case's folder in it that an earlier prediction wrote is replaced.
    cut: level, ``"leaves"`` or file of node ids, or several of these; the leaves by default.
    nodes: ids or names of nodes whose soft maps are written.
    uncertainty: ``"tta:N"`` or ``"dropout:N"``.
    outliers: whether outliers are asked for; refused by models without an outlier score.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    events: stages, progress, warnings, results; cancelling.
    map_type: of soft maps: ``"float32"`` (0..1) or ``"uint8"`` (round(255 x share)).
    postprocess: cleaning steps, ``keep-largest:NODE``, ``fill-holes:LEAF``, ``remove-small:NODE:ML``; none by default.
    overlap: of neighbouring windows, 0 <= overlap < 1.
    precision: of the network's arithmetic; what the model's plan says by default.

    Raises
    ------
    InputError: an option is wrong (before anything is computed), or cases failed (after all others are done).
    OutOfMemoryError: the only case, or every case that failed, does not fit into memory.
    CancelledError: cancelled; finished cases stay, nothing of the others does.
    """
    events = Events() if events is None else events
    loaded = model if isinstance(model, Model) else load_model(model)
    how = None if uncertainty is None else Uncertainty.parse(uncertainty)
    cuts = [] if cut is None else [cut] if isinstance(cut, (int, str, PathLike)) else list(cut)
    wanted = Wanted.of(loaded.tree, cuts, nodes, map_type)
    steps = [CleaningStep.parse(text, loaded.tree) for text in postprocess]
    _require_sensible(outliers, overlap)
    cases = find_cases(inputs, loaded.plan.channels)
    folders = {case.name: _output_folder(Path(out), case) for case in cases}
    chosen = resolve_device(device, events)
    resolve_precision(loaded.plan.precision if precision is None else precision, chosen)
    require_writable_folder(out)
    done: list[CaseResult] = []
    failed: dict[str, SoftSegError] = {}
    for number, case in enumerate(cases):
        if len(cases) > 1:
            events.log(f"case {number + 1} of {len(cases)}: {case.name}")
        try:
            if case.problem is not None:
                raise case.problem
            prediction = predict_case(
                loaded,
                case.images,
                device=chosen,
                events=events,
                uncertainty=how,
                nodes=wanted.nodes,
                postprocess=steps,
                overlap=overlap,
                precision=precision,
            )
        except (InputError, OutOfMemoryError) as error:
            if len(cases) == 1:
                raise
            failed[case.name] = error
            events.warning(f"case {case.name} failed: {error}")
            continue
        folder = folders[case.name]
        write_case(folder, prediction, wanted, events)
        done.append(CaseResult(case.name, folder, volume_rows(prediction.volumes)))
        events.result(case.name, folder)
    if len(done) > 1:
        table = write_volumes({result.name: result.volumes for result in done}, Path(out) / VOLUMES_FILE)
        events.result("volumes", table)
    if failed:
        raise _summary(failed, len(cases))
    return done


def load_model(model: str | PathLike[str]) -> Model:
    """Return the model of a folder, or the shipped model of that name.

    Raises
    ------
    InputError: there is neither, or the folder is not a valid model folder.
    """
    path = Path(model)
    if not path.exists() and path.name == fspath(model):
        path = model_path(path.name)
    return ModelFolder.load(path)


def _require_sensible(outliers: bool, overlap: float) -> None:
    if outliers:
        raise InputError(
            "this model carries no outlier score", field="outliers", hint="leave --outliers out, or use another model"
        )
    if not 0 <= overlap < 1:
        raise InputError(f"expected a number from 0 to below 1, got {overlap}", field="overlap")


def _output_folder(out: Path, case: CaseInput) -> Path:
    """Return the case's folder, after making sure that nothing but an older prediction would be replaced."""
    folder = out / safe_name(case.name)
    for image in case.images:
        if folder.resolve() in image.resolve().parents:
            raise InputError("this image lies in the folder that its own prediction would replace", file=image)
    older = folder.is_dir() and ((folder / SOFT_FILE).is_file() or not any(folder.iterdir()))
    if folder.exists() and not older:
        raise InputError(
            "exists already and is not an older prediction", file=folder, hint="choose another output folder"
        )
    return folder


def _summary(failed: dict[str, SoftSegError], total: int) -> SoftSegError:
    """Return the one error that a batch ends with: it lists what failed."""
    reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
    message = f"{len(failed)} of {total} cases failed ({total - len(failed)} are done): {reasons}"
    if all(isinstance(error, OutOfMemoryError) for error in failed.values()):
        return OutOfMemoryError(message)
    return InputError(message)
