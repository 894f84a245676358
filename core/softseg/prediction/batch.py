"""``softseg predict``: a model over many cases, each with a folder of its own that appears only when complete."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any, get_args

import torch

from softseg.errors import InputError, OutOfMemoryError, SoftSegError
from softseg.events import Events
from softseg.files import require_writable_folder
from softseg.network import Model
from softseg.prediction.case import Prediction, fitted_outliers, predict_case, require_one_for_outliers
from softseg.prediction.cohort import Share, Table, error_fields, volumes_of
from softseg.prediction.ensemble import joint_name, load_model, load_models, require_once
from softseg.prediction.inputs import CaseInput, find_cases
from softseg.prediction.outputs import SOFT_FILE, VOLUMES_FILE, CutSpec, Wanted, write_case
from softseg.prediction.places import case_folders
from softseg.prediction.postprocessing import CleaningStep
from softseg.prediction.record import files_of, is_made_by, model_digest, record_of, write_record
from softseg.prediction.sweep import Blend
from softseg.prediction.uncertainty import Uncertainty
from softseg.requests.manifest import SOFT, VOLUMES, OutputFile, State, WrittenCase, absolute
from softseg.system import MEMORY_ERRORS, gpus, raise_out_of_memory, resolve_device, resolve_precision

__all__ = ["CaseResult", "load_model", "predict"]


@dataclass(frozen=True)
class CaseResult:
    """A finished case.

    Attributes
    ----------
    name: the case's.
    folder: its output folder.
    volumes: the rows of its volumes.csv.
    skipped: whether it was complete before.
    written: what the manifest says of it: its images and files.
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
    cut: CutSpec | Sequence[CutSpec] | None = None,
    nodes: Sequence[str] = (),
    confidence: float | None = None,
    uncertainty: str | None = None,
    outliers: bool = False,
    device: str | torch.device = "auto",
    events: Events | None = None,
    map_type: str = "float32",
    postprocess: Sequence[str] = (),
    overlap: float = 0.5,
    precision: str | None = None,
    blend: str = "probabilities",
    overwrite: bool = False,
    calibrated: bool = True,
    branches: Sequence[str] = (),
) -> list[CaseResult]:
    """Predict cases and write, for each, ``OUT/<case>/``.

    The folder holds ``soft.soft.npz`` (a SoftParcellation), ``labels_<cut>.nii.gz`` with ``labels_<cut>.ctbl``,
    ``node_<id>.nii.gz``, ``entropy.nii.gz`` and ``mutual_information.nii.gz`` (with uncertainty or several models),
    ``decision_<id>_entropy.nii.gz`` (and ``_information``), ``volumes.csv`` and ``prediction.json`` (what made it).
    With several cases ``OUT/results.json`` says what became of each and ``OUT/volumes.csv`` holds all volumes. A case
    that fails is warned about and the others go on. A case that was predicted from the same images by the same model
    and settings before is not predicted again.

    Where RANK and WORLD_SIZE are set (``torchrun``), each process predicts its part of the cases.

    Parameters
    ----------
    model: a model folder, the name of a shipped model, or a loaded model; or several, as a list or joined by commas:
        their mean is stored (they must be of one tree, the same channels and the same crop).
    inputs: files and folders, see :mod:`softseg.prediction.inputs`.
    out: the output folder; a case's folder in it that an earlier prediction wrote is replaced.
    cut: level, ``"leaves"`` or file of node ids, or several of these; the leaves by default.
    nodes: ids or names of nodes whose soft maps are written.
    confidence: 0.5..1: also write, per voxel, the deepest node of at least this probability.
    uncertainty: ``"tta:N"`` or ``"dropout:N"``.
    outliers: whether the model's outlier score is stored too, with a mask ``outliers.nii.gz`` and outliers marked in
        the label maps; refused by models without a score (``softseg outliers fit``).
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    events: stages, progress, warnings, estimates, results; cancelling.
    map_type: of soft maps: ``"float32"`` (0..1) or ``"uint8"`` (round(255 x share)).
    postprocess: cleaning steps, ``keep-largest:NODE``, ``fill-holes:LEAF``, ``remove-small:NODE:ML``; none by default.
    overlap: of neighbouring windows, 0 <= overlap < 1.
    precision: of the network's arithmetic; what the model's plan says by default.
    blend: ``"probabilities"`` or ``"logits"``: what is averaged where windows overlap, with a softmax head.
    overwrite: predict again what is complete already.
    calibrated: whether a model's calibration (``softseg calibrate``) is applied, where it has one.
    branches: ids or names of inner nodes, or ``["all"]``, for which the uncertainty of their decision is mapped.

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
    share = Share.of_environment()
    loaded, *others = load_models(model)
    cuts = [] if cut is None else [cut] if isinstance(cut, (int, str, PathLike)) else list(cut)
    wanted = Wanted.of(loaded.tree, cuts, nodes, map_type, confidence, branches)
    _require_sensible(overlap, blend)
    require_once([loaded, *others], uncertainty)
    if outliers:
        require_one_for_outliers([loaded, *others])
    score = fitted_outliers(loaded) if outliers else None
    all_cases = find_cases(inputs, loaded.plan.channels)
    folders = case_folders(Path(out), all_cases)
    chosen = resolve_device(_own_gpu(device, share), events)
    job = _Job(
        model=loaded,
        others=tuple(others),
        digest="+".join(model_digest(each) for each in (loaded, *others)),
        device=chosen,
        uncertainty=None if uncertainty is None else Uncertainty.parse(uncertainty),
        wanted=wanted,
        postprocess=tuple(CleaningStep.parse(text, loaded.tree) for text in postprocess),
        overlap=overlap,
        precision=loaded.plan.precision if precision is None else precision,
        blend="logits" if blend == "logits" else "probabilities",
        overwrite=overwrite,
        outliers=None if score is None else score.digest(),
        calibrated=calibrated,
    )
    resolve_precision(job.precision, chosen)
    require_writable_folder(out)
    cases = share.of(all_cases)
    if share.world > 1:
        events.log(f"process {share.rank + 1} of {share.world}: {len(cases)} of {len(all_cases)} cases")
    table = Table(Path(out), share, list(folders), job.name)
    if len(all_cases) == 1 and cases:
        return [_only(job, cases[0], folders[cases[0].name], table, events)]
    return _cohort(job, cases, folders, table, share, events)


@dataclass(frozen=True, eq=False)
class _Job:
    """What is done with every case."""

    model: Model
    others: tuple[Model, ...]
    digest: str
    device: torch.device
    uncertainty: Uncertainty | None
    wanted: Wanted
    postprocess: tuple[CleaningStep, ...]
    overlap: float
    precision: str
    blend: Blend
    overwrite: bool
    outliers: str | None = None
    calibrated: bool = True

    @property
    def name(self) -> str:
        """Name of the model."""
        return joint_name([self.model, *self.others])

    def record(self) -> dict[str, Any]:
        """Return what decides about a case's result, beside its images, as plain values."""
        how = self.uncertainty
        settings = {
            "cuts": {named.name: [node.id for node in named.cut.nodes] for named in self.wanted.cuts},
            "nodes": list(self.wanted.nodes),
            "map_type": self.wanted.map_type,
            "confidence": self.wanted.confidence,
            "uncertainty": None if how is None else f"{how.kind}:{how.samples}",
            "postprocess": [asdict(step) for step in self.postprocess],
            "overlap": self.overlap,
            "precision": str(resolve_precision(self.precision, self.device)).removeprefix("torch."),
            "blend": self.blend,
            "outliers": self.outliers,
            "calibration": [self._temperatures(model) for model in (self.model, *self.others)],
            "branches": list(self.wanted.branches),
        }
        return record_of(self.name, self.digest, settings)

    def _temperatures(self, model: Model) -> list[float] | None:
        used = model.calibration if self.calibrated else None
        return None if used is None else list(used.temperatures)


def _only(job: _Job, case: CaseInput, folder: Path, table: Table, events: Events) -> CaseResult:
    """Predict the only case; its error is the command's."""
    began = time.monotonic()
    written = _written(job, case, folder, _predicted(job, case, folder, events), events, began)
    table.add(written)
    table.finish()
    return CaseResult.of(written)


def _cohort(
    job: _Job, cases: Sequence[CaseInput], folders: Mapping[str, Path], table: Table, share: Share, events: Events
) -> list[CaseResult]:
    """Predict this process's cases, whatever becomes of single ones, and report about all."""
    done: list[CaseResult] = []
    failed: dict[str, SoftSegError] = {}
    for number, case in enumerate(cases):
        events.log(f"case {number + 1} of {len(cases)}: {case.name}")
        began = time.monotonic()
        try:
            prediction = _predicted(job, case, folders[case.name], events)
        except (InputError, *MEMORY_ERRORS) as found:
            error = _of_this_case(found, case)
            failed[case.name] = error
            events.warning(f"case {case.name} failed: {error}")
            table.add(
                WrittenCase(case.name, "failed", absolute(case.images), error=error_fields(error), model=job.name)
            )
            continue
        written = _written(job, case, folders[case.name], prediction, events, began)
        done.append(CaseResult.of(written))
        table.add(written)
    for file in table.finish():
        events.result(file.stem, file)
    share.wait_for_all()
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


def _predicted(job: _Job, case: CaseInput, folder: Path, events: Events) -> Prediction | None:
    """Predict a case; ``None`` if its folder is there already."""
    if case.problem is not None:
        raise case.problem
    if not job.overwrite and is_made_by(folder, job.record(), case.images):
        events.log(f"{case.name}: complete already, by the same model and settings (--overwrite predicts it again)")
        return None
    return predict_case(
        job.model,
        case.images,
        device=job.device,
        events=events,
        uncertainty=job.uncertainty,
        nodes=job.wanted.nodes,
        postprocess=job.postprocess,
        overlap=job.overlap,
        precision=job.precision,
        blend=job.blend,
        outliers=job.outliers is not None,
        others=job.others,
        calibrated=job.calibrated,
        branches=job.wanted.branches,
    )


def _written(
    job: _Job, case: CaseInput, folder: Path, prediction: Prediction | None, events: Events, began: float
) -> WrittenCase:
    """Write a case's folder, unless it is there already, and say what it holds."""
    if prediction is None:
        files = files_of(folder) or (OutputFile(SOFT, SOFT_FILE), OutputFile(VOLUMES, VOLUMES_FILE))
    else:

        def finish(unfinished: Path, files: tuple[OutputFile, ...]) -> None:
            write_record(unfinished, job.record(), case.name, case.images, files)

        files = write_case(folder, prediction, job.wanted, events, finish)
    state: State = "skipped" if prediction is None else "done"
    seconds = round(time.monotonic() - began, 1)
    written = WrittenCase(case.name, state, absolute(case.images), folder, files, seconds, model=job.name)
    events.result(case.name, folder, case=written.to_json())
    return written


def _own_gpu(device: str | torch.device, share: Share) -> str | torch.device:
    """Return the GPU of this process where several share a machine and none was named."""
    if str(device) != "auto" or share.world == 1 or gpus() == 0:
        return device
    return f"cuda:{share.local % gpus()}"


def _require_sensible(overlap: float, blend: str) -> None:
    if not 0 <= overlap < 1:
        raise InputError(f"expected a number from 0 to below 1, got {overlap}", field="overlap")
    if blend not in get_args(Blend):
        raise InputError(f"expected {' or '.join(get_args(Blend))}, got {blend!r}", field="blend")


def _summary(failed: dict[str, SoftSegError], total: int) -> SoftSegError:
    """Return the one error that a batch ends with: it lists what failed."""
    reasons = "; ".join(f"{name}: {error}" for name, error in failed.items())
    message = f"{len(failed)} of {total} cases failed ({total - len(failed)} are done): {reasons}"
    if all(isinstance(error, OutOfMemoryError) for error in failed.values()):
        return OutOfMemoryError(message)
    return InputError(message)
