"""``softseg predict``: a model over many cases, each with a folder of its own that appears only when complete."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from softseg.errors import InputError, OutOfMemoryError, SoftSegError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.network import Model
from softseg.prediction.bids_inputs import BidsChoice
from softseg.prediction.case import Prediction, predict_with
from softseg.prediction.cohort import CaseTable, ProcessRank, error_fields, volumes_of
from softseg.prediction.ensemble import best_network, device_of, joint_name, load_model, load_models, require_once
from softseg.prediction.first_checks import require_mask_of_each, require_possible
from softseg.prediction.foreign import ForeignJob, foreign_model
from softseg.prediction.guarantee import level_of
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.masking import MaskSource
from softseg.prediction.outputs import SOFT_FILE, VOLUMES_FILE, Wanted
from softseg.prediction.places import case_places
from softseg.prediction.record import RECORD_FILE, files_of, is_made_by, model_digest, record_of, write_record
from softseg.prediction.results.bids import describe_dataset
from softseg.prediction.results.extras import Told, more_steps, require_packages
from softseg.prediction.results.place import CasePlace
from softseg.prediction.results.steps import write_case
from softseg.prediction.settings import PredictionSettings
from softseg.requests.manifest import RECORD, SOFT, VOLUMES, OutputFile, State, WrittenCase, absolute
from softseg.requests.predict import PredictRequest
from softseg.system import MEMORY_ERRORS, backend_of, gpus, raise_out_of_memory

if TYPE_CHECKING:
    import torch

__all__ = ["CaseResult", "load_model", "predict", "run"]


@dataclass(frozen=True)
class CaseResult:
    """A finished case.

    Attributes
    ----------
    name: the case's.
    folder: its output folder.
    volumes: the rows of its volumes.csv.
    skipped: whether it was complete before.
    written: its entry in the manifest: images and files.
    """

    name: str
    folder: Path
    volumes: list[dict[str, str | int | float]]
    skipped: bool
    written: WrittenCase

    @staticmethod
    def of(written: WrittenCase) -> CaseResult:
        """Return what became of a case that did not fail."""
        folder = written.folder or Path()
        return CaseResult(written.case, folder, volumes_of(written), written.state == "skipped", written)


def predict(
    model: str | PathLike[str] | Model | Sequence[Model],
    inputs: Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    device: str | torch.device = "auto",
    events: Events | None = None,
    **asked: Any,
) -> list[CaseResult]:
    """Predict cases; :func:`run` with a request of these values.

    Parameters
    ----------
    model: as in a request, or a loaded model, or several.
    inputs: files and folders, see :mod:`softseg.prediction.inputs`.
    out: the output folder.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    events: stages, progress, warnings, estimates, results; cancelling.
    asked: any further options of :class:`~softseg.requests.PredictRequest`: cut, nodes, confidence, uncertainty,
        branches, calibrated, outliers, mask, postprocess, map_type, overlap, precision, blend, fast, mirror,
        structures, preview, report, statistics, layout, stack, suffix, entities, overwrite, backend.

    Returns
    -------
    see :func:`run`.

    Raises
    ------
    see :func:`run`.
    """
    models = None if isinstance(model, (str, PathLike)) else load_models(model)
    name = fspath(model) if isinstance(model, (str, PathLike)) else ""
    request = PredictRequest(name, tuple(fspath(each) for each in inputs), Path(out), device=str(device), **asked)
    return run(request, events, models)


def run(
    request: PredictRequest, events: Events | None = None, models: Sequence[Model] | None = None
) -> list[CaseResult]:
    """Predict cases and write, for each, a folder of its own in ``request.out``.

    The folder holds ``soft.soft.npz`` (a SoftParcellation), ``labels_<cut>.nii.gz`` with ``labels_<cut>.ctbl``,
    ``node_<id>.nii.gz``, ``entropy.nii.gz`` and ``mutual_information.nii.gz`` (with uncertainty or several models),
    ``decision_<id>_entropy.nii.gz`` (and ``_information``), ``volumes.csv`` and ``prediction.json`` (what made it).
    ``OUT/results.json`` lists the case, folder and files of each input (:mod:`softseg.requests.manifest`); with
    several cases ``OUT/volumes.csv`` holds all volumes. A case that fails is warned about and the others go on. A case
    that was predicted from the same images by the same model and settings before is not predicted again. The folder
    of another case is never replaced.

    Where RANK and WORLD_SIZE are set (``torchrun``), each process predicts its part of the cases.

    Parameters
    ----------
    request: what is asked.
    events: stages, progress, warnings, estimates, results; cancelling.
    models: loaded ones that stand in for ``request.model``.

    Returns
    -------
    The finished cases of this process, those that were complete before included.

    Raises
    ------
    InputError: an option is wrong (before anything is computed), or cases failed (after all others are done).
    OutOfMemoryError: the only case, or every case that failed, does not fit into memory.
    CancelledError: cancelled; finished cases stay, nothing of the others does.
    """
    events = Events() if events is None else events
    process = ProcessRank.of_environment()
    if models is not None and request.fast:
        raise InputError("loaded models are taken as they are", field="fast", hint="give the ensemble's folder or name")
    require_packages(request)
    job = _job_of(request, models, process, events)
    if job.wanted.kept is not None:
        events.log("label maps and tables hold --structures alone; the soft parcellation holds the whole tree")
    all_cases = find_cases(request.inputs, job.channels, request.series, BidsChoice(request.suffix, request.entities))
    require_mask_of_each(request, len(all_cases))
    places = case_places(request.out, all_cases, request.layout, job.model.tree, job.name)
    require_writable_folder(request.out)
    if request.layout == "bids":
        remark = describe_dataset(request.out, all_cases, [job.name])
        if remark:
            events.warning(remark)
    cases = process.of(all_cases)
    if process.world > 1:
        events.log(f"process {process.rank + 1} of {process.world}: {len(cases)} of {len(all_cases)} cases")
    table = CaseTable(request.out, process, list(places), job.name)
    if len(all_cases) == 1 and cases:
        return [_only(job, cases[0], places[cases[0].name], table, events)]
    return _cohort(job, cases, places, table, process, events)


def _job_of(request: PredictRequest, models: Sequence[Model] | None, process: ProcessRank, events: Events) -> AnyBatch:
    """Return what is to be done with every case."""
    if models is None:
        foreign = foreign_model(request, events)
        if foreign is not None:
            return ForeignJob.of(foreign, request, Wanted.of(foreign.tree, request))
        backend = backend_of(request)
        require_possible(request, backend)
        models = _models_of(request, backend, events)
    loaded, *others = models
    level = level_of(request, [loaded, *others], events)
    wanted = replace(Wanted.of(loaded.tree, request), confidence=level)
    require_once([loaded, *others], request.uncertainty)
    device = device_of(loaded, _own_gpu(request.device, process), events)
    settings = PredictionSettings.of([loaded, *others], request, device)
    settings = replace(settings, mask=MaskSource.of([loaded, *others], request))
    return _Batch(loaded, "+".join(model_digest(each) for each in (loaded, *others)), settings, wanted)


def _models_of(request: PredictRequest, backend: str, events: Events) -> list[Model]:
    """Return the models that a request names, as a backend runs them."""
    if request.fast:
        return [best_network(request.model, events, backend)]
    return load_models(request.model, backend=backend)


@dataclass(frozen=True, eq=False)
class _Batch:
    """What is done with every case."""

    model: Model
    digest: str
    settings: PredictionSettings
    wanted: Wanted

    @property
    def name(self) -> str:
        """Name of the model."""
        return joint_name(self.models)

    @property
    def models(self) -> tuple[Model, ...]:
        """All models."""
        return (self.model, *self.settings.others)

    def record(self, images: Sequence[Path]) -> dict[str, Any]:
        """Return what decides about a case's result, beside its images, as plain values."""
        settings, request = self.settings, self.settings.request
        decisive = {
            **self.wanted.decisive(),
            "map_type": request.map_type,
            "guarantee": None if request.guarantee is None else [request.guarantee, request.guarantee_confidence],
            "uncertainty": request.uncertainty,
            **({"mirror": True} if request.mirror else {}),
            "postprocess": [asdict(step) for step in settings.postprocess],
            "overlap": request.overlap,
            "precision": settings.precision_of(self.model),
            "blend": request.blend,
            "outliers": None if settings.outliers is None else settings.outliers.digest(),
            "calibration": [self._temperatures(model) for model in self.models],
            "branches": list(self.wanted.branches),
        }
        if self.model.onnx is not None:
            decisive["backend"] = self.model.onnx.name
        joint = settings.calibration_of(self.models)
        if joint is not None:
            decisive["calibration_of_mean"] = list(joint.temperatures)
        if settings.mask is not None:
            decisive["mask"] = settings.mask.record(images)
        return record_of(self.name, self.digest, decisive)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the images of a case."""
        return self.model.plan.channels

    def predict(self, images: Sequence[Path], events: Events) -> Prediction:
        """Predict one case; see :func:`softseg.prediction.case.predict_case`."""
        return predict_with(self.model, images, self.settings, events)

    def _temperatures(self, model: Model) -> list[float] | None:
        used = model.calibration if self.settings.request.calibrated else None
        return None if used is None else list(used.temperatures)


AnyBatch: TypeAlias = "_Batch | ForeignJob"


def _only(job: AnyBatch, case: CaseInput, place: CasePlace, table: CaseTable, events: Events) -> CaseResult:
    """Predict the only case; its error is the command's."""
    began = time.monotonic()
    told = Told(events)
    written = _written(job, case, place, _predicted(job, case, place, told.events), told, began)
    table.add(written)
    table.finish()
    return CaseResult.of(written)


def _cohort(
    job: AnyBatch,
    cases: Sequence[CaseInput],
    places: Mapping[str, CasePlace],
    table: CaseTable,
    process: ProcessRank,
    events: Events,
) -> list[CaseResult]:
    """Predict this process's cases, whatever becomes of single ones, and report about all."""
    done: list[CaseResult] = []
    failed: dict[str, SoftSegError] = {}
    for number, case in enumerate(cases):
        events.log(f"case {number + 1} of {len(cases)}: {case.name}")
        began, told = time.monotonic(), Told(events)
        try:
            prediction = _predicted(job, case, places[case.name], told.events)
        except (InputError, *MEMORY_ERRORS) as found:
            error = _of_this_case(found, case)
            failed[case.name] = error
            events.warning(f"case {case.name} failed: {error}")
            table.add(
                WrittenCase(case.name, "failed", absolute(case.images), error=error_fields(error), model=job.name)
            )
            continue
        written = _written(job, case, places[case.name], prediction, told, began)
        done.append(CaseResult.of(written))
        table.add(written)
    for file in table.finish():
        events.result(file.stem, file)
    process.wait_for_all()
    if failed:
        raise _summary(failed, len(cases))
    return done


def _of_this_case(error: Exception, case: CaseInput) -> SoftSegError:
    """Return an error after which other cases may still work: wrong input, or too little memory.

    Any other is raised.
    """
    if isinstance(error, (InputError, OutOfMemoryError)):
        return error
    try:
        raise_out_of_memory(error, case.images[0])
    except OutOfMemoryError as plain:
        return plain
    raise error


def _predicted(job: AnyBatch, case: CaseInput, place: CasePlace, events: Events) -> Prediction | None:
    """Predict a case; ``None`` if it is there already."""
    if case.problem is not None:
        raise case.problem
    if not job.settings.request.overwrite and is_made_by(place.record, job.record(case.images), case.images):
        events.log(f"{case.name}: complete already, by the same model and settings (--overwrite predicts it again)")
        return None
    return job.predict(case.images, events)


def _written(
    job: AnyBatch, case: CaseInput, place: CasePlace, prediction: Prediction | None, told: Told, began: float
) -> WrittenCase:
    """Write a case into its place, unless it is there already, and return its entry in the manifest."""
    record = place.called(OutputFile(RECORD, RECORD_FILE))
    shared = () if record.path == RECORD_FILE else (record,)
    if prediction is None:
        files = files_of(place.record) or (OutputFile(SOFT, SOFT_FILE), OutputFile(VOLUMES, VOLUMES_FILE))
    else:

        def finish(unfinished: Path, written: tuple[OutputFile, ...]) -> None:
            made = job.record(case.images)
            write_record(unfinished / record.path, made, case.name, case.images, (*written, *shared))

        more = more_steps(job.wanted, prediction, case, job.settings.request, job.channels, told)
        files = (*write_case(place, prediction, job.wanted, told.events, more, finish), *shared)
    state: State = "skipped" if prediction is None else "done"
    seconds = round(time.monotonic() - began, 1)
    written = WrittenCase(case.name, state, absolute(case.images), place.folder, files, seconds, model=job.name)
    told.events.result(case.name, place.shown, case=written.to_json())
    return written


def _own_gpu(device: str | torch.device, process: ProcessRank) -> str | torch.device:
    """Return the GPU of this process where several share a machine and none was named."""
    if str(device) != "auto" or process.world == 1 or gpus() == 0:
        return device
    return f"cuda:{process.local % gpus()}"


def _summary(failed: dict[str, SoftSegError], total: int) -> SoftSegError:
    """Return the one error that a batch ends with: it lists what failed."""
    reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
    message = f"{len(failed)} of {total} cases failed ({total - len(failed)} are done): {reasons}"
    if all(isinstance(error, OutOfMemoryError) for error in failed.values()):
        return OutOfMemoryError(message)
    return InputError(message)
