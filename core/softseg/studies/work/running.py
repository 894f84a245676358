"""One job from nothing to a finished folder: train (or go on), evaluate, keep what counts."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import softseg
from softseg import torchrun
from softseg.data import Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import read_json_object, settle, write_folder_beside
from softseg.prediction.ensemble import load_model, load_models
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.study import Study
from softseg.studies.work.objects import write_objects
from softseg.studies.work.tables import write_results
from softseg.training import train

JOB_FILE = "job.json"
RESULTS_FILE = "results.csv"
OBJECTS_FILE = "objects.csv"
VOXELS_FILE = "voxels.npz"
CURVES_FILE = "metrics.csv"
MODEL_FOLDER = "model"


@dataclass(frozen=True)
class StudyFolder:
    """Where a study works.

    Attributes
    ----------
    out: the study's folder.
    device: as the command line has it.
    """

    out: Path
    device: str = "auto"

    def folder(self, job: Job) -> Path:
        """The finished job's folder."""
        return self.out / "jobs" / job.name

    def work(self, job: Job) -> Path:
        """Folder of a job that is in progress."""
        return self.out / "work" / job.name

    @property
    def cache(self) -> Path:
        """Prepared cases, shared by all jobs."""
        return self.out / "cache"


def is_done(study: Study, job: Job, place: StudyFolder) -> bool:
    """Whether the job is finished by the study's current definition."""
    file = place.folder(job) / JOB_FILE
    return file.is_file() and read_json_object(file).get("digest") == job.digest(study)


def kept_model(job: Job, place: StudyFolder) -> Path | None:
    """Return the model that a finished training of this job left, if it did (``keep_models``)."""
    folder = place.folder(job)
    if (
        job.model is not None
        or job.members
        or not (folder / JOB_FILE).is_file()
        or not (folder / MODEL_FOLDER).is_dir()
    ):
        return None
    same = read_json_object(folder / JOB_FILE).get("trained") == job.training_digest
    return folder / MODEL_FOLDER if same else None


def run_job(study: Study, job: Job, place: StudyFolder, events: Events) -> Path:
    """Train, evaluate and write the job's folder; a training that was interrupted goes on.

    Nothing is trained where an earlier judgement left the model.

    Raises
    ------
    InputError, OutOfMemoryError, CancelledError: as training, prediction and evaluation.
    """
    started = time.monotonic()
    work, kept = place.work(job), kept_model(job, place)
    _forget_other(work, job)
    with torchrun.hidden():
        path = _joined(job, work, place) if job.members else job.model or kept or _trained(job, work, place, events)
        trained = time.monotonic()
        events.stage("judge")
        with write_folder_beside(place.folder(job)) as folder:
            content = _judged(study, job, path, place, folder, events)
            if job.model is None and not job.members:
                shutil.copy((place.folder(job) if kept else work / "run") / CURVES_FILE, folder / CURVES_FILE)
            if kept or (study.spec.keep_models and job.model is None and not job.members):
                shutil.copytree(path, folder / MODEL_FOLDER)
            content |= {
                "digest": job.digest(study),
                "trained": job.training_digest,
                **_what(job),
                "seconds_training": round(trained - started, 2),
                "seconds_judging": round(time.monotonic() - trained, 2),
            }
            if kept:
                content |= _of_training(read_json_object(place.folder(job) / JOB_FILE))
            (folder / JOB_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    shutil.rmtree(work, ignore_errors=True)
    return place.folder(job)


def _of_training(before: dict[str, Any]) -> dict[str, Any]:
    """Return what a new evaluation keeps: when, how long and with which versions the model was trained."""
    kept = ("recipe", "versions", "threads", "finished", "seconds_training")
    return {key: before[key] for key in kept} | {
        "judged": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "judged_with": f"softseg {softseg.__version__}",
    }


def _joined(job: Job, work: Path, place: StudyFolder) -> Path:
    """Put the members' models into one folder."""
    models = [member.model or place.folder(member) / MODEL_FOLDER for member in job.members]
    missing = next((member.name for member, path in zip(job.members, models, strict=True) if not path.is_dir()), None)
    if missing is not None:
        raise InputError(f"the training of its member {missing} is not finished", file=place.out)
    return save_ensemble(models, work / "ensemble", {"name": job.variant.name})


def _trained(job: Job, work: Path, place: StudyFolder, events: Events) -> Path:
    return train(
        Dataset.load(job.data, job.trained),
        job.variant.recipe,
        work / "run",
        device=place.device,
        seed=job.seed,
        resume=(work / "run" / "checkpoints" / "last.pt").is_file(),
        cache=place.cache,
        pictures=False,
        onnx=False,
        events=events,
    )


def _judged(study: Study, job: Job, path: Path, place: StudyFolder, folder: Path, events: Events) -> dict[str, Any]:
    """Evaluate the model, or ensemble, at ``path``, and write the results; return its entry in job.json."""
    if study.spec.kind == "compare":
        from softseg.studies.work.compare import judge

        found = judge(study, job, load_models(path), place.work(job), place.device, events)
        write_results(folder / RESULTS_FILE, found.rows)
        if found.objects is not None:
            write_objects(folder / OBJECTS_FILE, found.objects)
        return {"reliability": found.reliability}
    from softseg.studies.work.compare import unit_of
    from softseg.studies.work.outliers import collect

    voxels, cases, scores = collect(study, job, load_model(path), place.cache, place.device, events)
    voxels.save(folder / VOXELS_FILE)
    return {
        "cases": [case.id for case in cases],
        "units": [unit_of(study, job, case) for case in cases],
        "scores": scores,
    }


def _what(job: Job) -> dict[str, Any]:
    import torch

    return {
        "density": job.density,
        "variant": job.variant.name,
        "seed": job.seed,
        "fold": job.fold.name,
        "held_out": job.held_out,
        "held_nodes": list(job.held_nodes),
        "recipe": job.variant.recipe.model_dump(mode="json"),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "versions": {"softseg": softseg.__version__, "python": platform.python_version(), "torch": torch.__version__},
        "threads": torch.get_num_threads(),
    }


def _forget_other(work: Path, job: Job) -> None:
    """Delete what an unfinished job of the same name, but by another study file, left."""
    mark = work / "digest.txt"
    if work.is_dir() and (not mark.is_file() or mark.read_text(encoding="utf-8") != job.training_digest):
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    mark.write_text(job.training_digest, encoding="utf-8")


def remaining(study: Study, jobs: Sequence[Job], place: StudyFolder) -> list[Job]:
    """Return the jobs that are not finished."""
    return [job for job in jobs if not is_done(study, job, place)]


def sweep(study: Study, jobs: Sequence[Job], place: StudyFolder) -> None:
    """Remove what finished jobs worked with and what was being written, where a kill came before that was done."""
    for folder in (place.out, place.cache, place.out / "jobs"):
        settle(folder)
    for job in jobs:
        if place.work(job).is_dir() and is_done(study, job, place):
            shutil.rmtree(place.work(job), ignore_errors=True)


def to_do(study: Study, jobs: Sequence[Job], place: StudyFolder, judge_again: bool) -> list[Job]:
    """Return the jobs that are not finished and, with ``judge_again``, those that need no training to be evaluated."""
    if not judge_again:
        return remaining(study, jobs, place)
    free = {job.name for job in jobs if job.model is not None or job.members or kept_model(job, place) is not None}
    return [job for job in jobs if job.name in free or not is_done(study, job, place)]
