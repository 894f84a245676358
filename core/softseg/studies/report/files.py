"""The files of a study: tables, summary.json, report.md and report.html."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import softseg
from softseg.events import Events
from softseg.files import read_json_object, write_beside
from softseg.studies.findings.summary import Findings, collect_results, findings, mean_rows
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.study import Study
from softseg.studies.report.markdown import write_markdown
from softseg.studies.report.page import write_report
from softseg.studies.work.running import JOB_FILE, StudyFolder
from softseg.studies.work.tables import write_results, write_rows

MEANS_FILE = "means.csv"
STATISTICS_FILE = "statistics.csv"
SIZES_FILE = "sizes.csv"
SUMMARY_FILE = "summary.json"
MARKDOWN_FILE = "report.md"


def write_summary(
    study: Study, done: Sequence[Job], missing: int, place: StudyFolder, command: Sequence[str], events: Events
) -> Findings:
    """Write the study's tables and report from its finished trainings and return the numbers.

    Raises
    ------
    InputError: a file of a job is damaged, or the files cannot be written.
    """
    events.stage("summary")
    results = collect_results(study, done, place, events)
    write_results(place.out / "results.csv", results)
    jobs = [read_json_object(place.folder(job) / JOB_FILE) for job in done]
    found = findings(study, results, jobs)
    tables = {
        MEANS_FILE: list(mean_rows(found)),
        STATISTICS_FILE: [comparison.row() for comparison in found.comparisons],
        SIZES_FILE: [gain.row() for gain in found.sizes],
    }
    for name, rows in tables.items():
        if rows:
            write_rows(place.out / name, rows)
        else:  # one variant has no comparison, one structure no groups of sizes
            (place.out / name).unlink(missing_ok=True)
    with write_beside(place.out / SUMMARY_FILE) as temporary:
        text = json.dumps(summary(study, found, missing, command), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")
    write_markdown(study, found, missing, place.out / MARKDOWN_FILE, command)
    for name in ("results.csv", *(name for name, rows in tables.items() if rows), SUMMARY_FILE, MARKDOWN_FILE):
        events.result(name, place.out / name)
    write_report(study, found, done, missing, place, command)
    events.result("report", place.out / "report.html")
    return found


def summary(study: Study, found: Findings, missing: int, command: Sequence[str]) -> dict[str, Any]:
    """Return what ``summary.json`` holds: means over subjects, and how they came about."""
    means = [
        {**asdict(key), "variant": variant, "mean": found.mean(key, variant), "units": len(units)}
        for key, table in found.by_unit.items()
        for variant, units in table.items()
    ]
    return {
        "schema": "softseg-study",
        "version": 1,
        "software": f"softseg {softseg.__version__}",
        "name": study.spec.name,
        "kind": study.spec.kind,
        "command": list(command),
        "baseline": study.baseline,
        "variants": list(found.variants),
        "seeds": study.spec.seeds,
        "folds": sorted({row.fold for row in found.results}),
        "trainings": len(found.jobs),
        "missing": missing,
        "minutes": round(
            sum(float(job["seconds_training"]) + float(job["seconds_judging"]) for job in found.jobs) / 60, 1
        ),
        "versions": sorted({json.dumps(job["versions"], sort_keys=True) for job in found.jobs}),
        "means": [{**row, "mean": row["mean"] if math.isfinite(row["mean"]) else None} for row in means],
    }
