"""``softseg study``: all jobs of a study, several at once, then tables, statistics and the report."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from softseg.errors import InputError, OutOfMemoryError
from softseg.events import Events
from softseg.files import require_writable_folder, write_beside
from softseg.prediction.cohort import ProcessRank
from softseg.studies.plan.jobs import Job, jobs_of
from softseg.studies.plan.smoke import keep_apart
from softseg.studies.plan.study import Study
from softseg.studies.work.relay import Relay
from softseg.studies.work.running import StudyFolder, remaining, sweep, to_do
from softseg.studies.work.workers import attempt, run_in_processes
from softseg.system import GIB, free_memory

_PAUSE = 0.2  # seconds between two looks for the datasets that process 0 writes


@dataclass(frozen=True)
class Failure:
    """A job that did not finish: ``"failed"`` or ``"memory"`` (it did not fit), its name, and why."""

    kind: str
    job: str
    why: str


def run_study(
    study: str | PathLike[str] | Study,
    out: str | PathLike[str],
    *,
    device: str = "auto",
    jobs: int | None = None,
    report_only: bool = False,
    judge_again: bool = False,
    command: Sequence[str] = (),
    events: Events | None = None,
) -> Path:
    """Run what is missing of a study and write its tables and report.

    A finished job is a folder ``out/jobs/<name>``; it is not run again unless the study file asks for something else
    now. A job that fails is warned about and the others go on.

    Parameters
    ----------
    study: the file, or what was read from it.
    out: the study's folder.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``.
    jobs: parallel trainings; from the file by default. Where RANK and WORLD_SIZE are set (``torchrun``),
        each process takes its part of the jobs instead.
    report_only: train nothing, write tables and report of what is finished.
    judge_again: also evaluate finished trainings again where their models were kept (``keep_models``): with the numbers
        that this version of the program knows. The others keep theirs.
    command: what was typed, for the report.
    events: progress by finished jobs, warnings, results; cancelling.

    Returns
    -------
    ``out/report.html``.

    Raises
    ------
    InputError: the study or its data is wrong (before anything is trained), or jobs failed (after all others are done).
    OutOfMemoryError: as InputError, where memory was the only reason.
    CancelledError: cancelled; finished jobs stay, others can go on.
    """
    events = Events() if events is None else events
    loaded = study if isinstance(study, Study) else Study.load(study)
    process = ProcessRank.of_environment()
    place = StudyFolder(require_writable_folder(out), device)
    all_jobs = _planned(loaded, place, process, events)
    sweep(loaded, process.of(all_jobs), place)
    own = [] if report_only else to_do(loaded, process.of(all_jobs), place, judge_again)
    events.log(f"{len(all_jobs)} trainings, {len(own)} of them to do" + (" here" if process.world > 1 else ""))
    failures = _run([job for job in own if not job.members], loaded, jobs, place, process, events)
    if any(job.members for job in all_jobs):
        process.wait_for_all()
        failures += _run([job for job in own if job.members], loaded, jobs, place, process, events)
    process.wait_for_all()
    if process.rank == 0:
        _summarise(loaded, all_jobs, place, report_only, command, events)
    _tell(failures, place)
    return place.out / "report.html"


def _run(
    own: Sequence[Job], study: Study, asked: int | None, place: StudyFolder, process: ProcessRank, events: Events
) -> list[Failure]:
    """Run jobs, several at once where asked and memory allows; returns those that failed."""
    if not own:
        return []
    events.stage("study", len(own))
    at_once = _at_once(study, asked, len(own), process, events)
    if at_once == 1:
        return _one_by_one(study, own, place, events)
    return [Failure(*pair) for pair in run_in_processes(study, own, place, at_once, events)]


def _planned(study: Study, place: StudyFolder, process: ProcessRank, events: Events) -> list[Job]:
    """Return all jobs; process 0 writes the datasets and the others wait for them."""
    keep_apart(place.out, study.smoke)
    mark, digest = place.out / "data" / "ready.txt", hashlib.sha256(study.text.encode()).hexdigest()
    while process.rank > 0 and not (mark.is_file() and mark.read_text(encoding="utf-8") == digest):
        events.check()
        time.sleep(_PAUSE)
    jobs = jobs_of(study, place.out, events)
    if process.rank == 0:
        with write_beside(place.out / "study.yaml") as copy:
            copy.write_text(study.text, encoding="utf-8")
        with write_beside(mark) as temporary:
            temporary.write_text(digest, encoding="utf-8")
    return jobs


def _at_once(study: Study, asked: int | None, todo: int, process: ProcessRank, events: Events) -> int:
    """Return how many jobs run at the same time: what is asked for, fewer where memory is short."""
    if process.world > 1:
        return 1
    wanted = min(study.spec.jobs if asked is None else asked, todo)
    fit = max(1, math.floor(free_memory() / (study.spec.memory_gb * GIB)))
    if fit < wanted:
        events.warning(
            f"memory allows {fit} instead of {wanted} trainings at once ({study.spec.memory_gb:g} GB each, memory_gb)"
        )
    return min(wanted, fit)


def _one_by_one(study: Study, jobs: Sequence[Job], place: StudyFolder, events: Events) -> list[Failure]:
    failures = []
    relay = Relay(events)
    for number, job in enumerate(jobs):
        kind, name, why = attempt(study, job, place, relay.for_job(job.name))
        if kind != "done":
            failures.append(Failure(kind, name, why))
            events.warning(f"{name} failed: {why}")
        events.progress(number + 1, len(jobs))
    return failures


def _summarise(
    study: Study, jobs: Sequence[Job], place: StudyFolder, report_only: bool, command: Sequence[str], events: Events
) -> None:
    from softseg.studies.report.files import write_summary

    missing = remaining(study, jobs, place)
    done = [job for job in jobs if job not in missing]
    if not done:
        if report_only:
            raise InputError(
                "no training is finished by the current study file",
                file=place.out,
                hint="leave --report-only out to train",
            )
        return
    if missing:
        events.warning(f"{len(missing)} of {len(jobs)} trainings are not finished; the report is about the others")
    write_summary(study, done, len(missing), place, command, events)


def _tell(failures: Sequence[Failure], place: StudyFolder) -> None:
    if failures:
        short = all(failure.kind == "memory" for failure in failures)
        raise (OutOfMemoryError if short else InputError)(
            f"{len(failures)} trainings failed; the first, {failures[0].job}: {failures[0].why}",
            file=place.out,
            hint="the same command tries them again",
        )
