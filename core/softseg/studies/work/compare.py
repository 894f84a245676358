"""A job of ``kind: compare``: train, predict the test cases on their own grids, evaluate by the study's tree."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.data import Case, Dataset
from softseg.evaluation import evaluate
from softseg.evaluation.aggregate import LEVEL_METRICS, NODE_METRICS
from softseg.evaluation.disagreement import RATER_METRICS
from softseg.events import Events
from softseg.network import Model
from softseg.prediction import predict_case
from softseg.prediction.outputs import SOFT_FILE
from softseg.requests.manifest import SOFT, Manifest, OutputFile, WrittenCase, absolute
from softseg.requests.predict import NO_MASK
from softseg.spreadsheets import read_rows
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.metrics import SIZE, TREE_DISTANCES
from softseg.studies.plan.study import Study
from softseg.studies.work.tables import Result
from softseg.system import resolve_device


@dataclass(frozen=True)
class Judgement:
    """What a trained model is worth.

    Attributes
    ----------
    rows: all numbers.
    reliability: curves by level, and with several raters those of disputed voxels; None without probabilities.
    objects: of the test cases, as :func:`softseg.evaluation.objects.object_rows` has them; None where not asked for.
    """

    rows: list[Result]
    reliability: Any
    objects: list[dict[str, Any]] | None


def judge(study: Study, job: Job, models: Sequence[Model], work: Path, device: str, events: Events) -> Judgement:
    """Evaluate a trained model, or the members of an ensemble, on the test cases.

    Parameters
    ----------
    study, job: what is evaluated.
    models: the trained model; of an ensemble its members.
    work: folder for predictions, which may go afterwards.
    device: as the command line has it.
    events: progress; cancelling.
    """
    dataset = Dataset.load(job.whole, job.tree)
    cases = dataset.split("test")
    chosen = resolve_device(device, events)
    folder = work / "predictions"
    folder.mkdir(parents=True, exist_ok=True)
    quiet = Events(cancel=events.cancel)
    model, *others = models
    written = []
    for number, case in enumerate(cases):
        images = [case.images[channel] for channel in model.plan.channels]
        found = predict_case(model, images, device=chosen, events=quiet, others=others, mask=NO_MASK)
        place = folder / dataset.file_names[case.id]
        found.parcellation.save(place / SOFT_FILE)
        written.append(WrittenCase(case.id, "done", absolute(images), place, (OutputFile(SOFT, SOFT_FILE),)))
        events.progress(number + 1, len(cases))
    Manifest(folder, tuple(written)).write()
    options: dict[str, Any] = {"labelled_only": True} if study.labelled_only else {}
    if not study.spec.surfaces:
        options["tolerance_mm"] = None
    if study.spec.counted is not None:
        options["objects"] = study.spec.counted.connectivity
    files = [each.file(SOFT) for each in written]
    report = evaluate(files, [job.whole], job.tree, work / "evaluation", quiet, html=False, **options)
    units = {case.id: unit_of(study, job, case) for case in cases}
    rows = _rows(job, work / "evaluation" / "levels.csv", (*LEVEL_METRICS, *RATER_METRICS), units)
    rows += _rows(job, work / "evaluation" / "metrics.csv", (*NODE_METRICS, *RATER_METRICS, SIZE), units)
    rows += _distances(job, report.distances, units)
    summary = json.loads((work / "evaluation" / "summary.json").read_text(encoding="utf-8"))
    reliability = summary.get("calibration")
    if reliability is not None and summary["disagreement"] is not None:
        reliability["disagreement"] = summary["disagreement"]
    return Judgement(rows, reliability, report.objects if "objects" in options else None)


def unit_of(study: Study, job: Job, case: Case) -> str:
    """Return the subject that a case counts for: its person, or the fold where one image is cut into blocks."""
    return f"fold {job.fold.outer}" if study.spec.folds.by == "block" else case.group


def _distances(job: Job, distances: Sequence[Mapping[str, Any]], units: Mapping[str, str]) -> list[Result]:
    """Return how far off in the tree each case's errors are, as numbers of level 0."""
    return [
        _result(job, row["case"], units, 0, "", metric, float(row[column]))
        for row in distances
        for metric, column in TREE_DISTANCES.items()
    ]


def _result(job: Job, case: str, units: Mapping[str, str], level: int, node: str, metric: str, value: float) -> Result:
    return Result(
        density=job.density,
        variant=job.variant.name,
        seed=job.seed,
        fold=job.fold.name,
        held_out="",
        case=case,
        unit=units[case],
        level=level,
        node=node,
        score="",
        rule="",
        metric=metric,
        value=value,
    )


def _rows(job: Job, file: Path, metrics: tuple[str, ...], units: dict[str, str]) -> list[Result]:
    with file.open(newline="", encoding="utf-8") as stream:
        return [
            _result(
                job,
                row["case"],
                units,
                int(row["level"]),
                row.get("node", ""),
                metric,
                float(row[metric]) if row[metric] else math.nan,
            )
            for row in read_rows(stream)
            for metric in metrics
            if metric in row
        ]
