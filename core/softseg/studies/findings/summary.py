"""From the files of finished trainings to means over subjects and comparisons with the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from softseg.events import Events
from softseg.files import read_json_object
from softseg.spreadsheets import read_rows
from softseg.studies.findings.judge import Judged, judged_rows
from softseg.studies.findings.sizes import SizeGain, size_gains
from softseg.studies.findings.statistics import Paired, compare_paired, holm
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.metrics import NOT_AVERAGED, NOT_COMPARED, SEES_ALL, SMALLER_IS_BETTER
from softseg.studies.plan.study import Study
from softseg.studies.work.objects import JobObjects, object_results, read_objects
from softseg.studies.work.running import JOB_FILE, OBJECTS_FILE, RESULTS_FILE, VOXELS_FILE, StudyFolder
from softseg.studies.work.tables import Result, read_results
from softseg.studies.work.voxels import JudgedVoxels

CHOSEN = "chosen-on-inner-folds"
"""Name under which nested folds report: in each fold the variant that was best on its inner folds."""


@dataclass(frozen=True)
class Key:
    """What one comparison is about; ``subgroup`` is empty for all subjects together."""

    density: str
    score: str
    rule: str
    level: int
    metric: str
    subgroup: str = ""


@dataclass(frozen=True)
class VariantComparison:
    """One variant against the baseline.

    ``p_holm``: p after Holm's correction over all variants and levels of one density, metric, score, rule and subgroup.
    """

    key: Key
    variant: str
    baseline: str
    paired: Paired
    p_holm: float

    def row(self) -> dict[str, Any]:
        """Return a row of statistics.csv."""
        numbers = asdict(self.paired)
        return {
            **asdict(self.key),
            "variant": self.variant,
            "compared_with": self.baseline,
            **{("baseline_mean" if name == "baseline" else name): value for name, value in numbers.items()},
            "p_holm": self.p_holm,
        }


@dataclass(frozen=True, eq=False)
class Findings:
    """All numbers of a study.

    Attributes
    ----------
    results: the long table, inner folds left out.
    by_unit: per key and variant the mean of each subject (over seeds, cases, folds and held-out groups).
    comparisons: every variant against the baseline.
    sizes: every variant against the baseline on structures of each size, leaves by their Dice.
    variants: names in the study's order, :data:`CHOSEN` last where there is nesting.
    jobs: job.json of every finished training.
    """

    results: list[Result]
    by_unit: dict[Key, dict[str, dict[str, float]]]
    comparisons: list[VariantComparison]
    sizes: list[SizeGain]
    variants: tuple[str, ...]
    jobs: list[dict[str, Any]]

    def mean(self, key: Key, variant: str) -> float:
        """Return the mean over subjects; nan where there is none."""
        values = [value for value in self.by_unit.get(key, {}).get(variant, {}).values() if math.isfinite(value)]
        return float(np.mean(values)) if values else math.nan

    def keys(self, metric: str, *, density: str | None = None, subgroup: str = "") -> list[Key]:
        """Return the keys of a metric."""
        known = [key for key in self.by_unit if key.metric == metric and key.subgroup == subgroup]
        return [key for key in known if density in (None, key.density)]


def mean_rows(found: Findings) -> Iterator[dict[str, Any]]:
    """Yield each variant's mean over subjects, with standard deviation, smallest and largest, of every number."""
    for key, variants in found.by_unit.items():
        for variant, units in variants.items():
            values = np.array([value for value in units.values() if math.isfinite(value)])
            if values.size:
                sd = float(values.std(ddof=1)) if values.size > 1 else math.nan
                numbers = {"units": values.size, "mean": float(values.mean()), "sd": sd}
                ends = {"low": float(values.min()), "high": float(values.max())}
                yield {"variant": variant, **asdict(key), **numbers, **ends}


def collect_results(study: Study, done: Sequence[Job], place: StudyFolder, events: Events) -> list[Result]:
    """Return the long table of the finished trainings."""
    if study.spec.kind == "compare":
        tables = [read_results(place.folder(job) / RESULTS_FILE) for job in done]
        rows = [row for table in tables for row in table]
        counted = study.spec.counted
        if counted is not None:
            jobs = [_objects(job, table, place) for job, table in zip(done, tables, strict=True) if table]
            rows += object_results(jobs, counted)
        return rows + (nested(rows) if study.spec.folds.nested else [])
    rows = []
    groups: dict[tuple[str, str, int, str], list[Job]] = {}
    for job in done:
        groups.setdefault((job.density, job.variant.name, job.seed, job.fold.name), []).append(job)
    for trainings in groups.values():
        events.check()
        judged = [_judged(job, place) for job in trainings]
        rows += judged_rows(judged, study.spec.rules, trainings[0].tree)
    return rows


def _objects(job: Job, rows: Sequence[Result], place: StudyFolder) -> JobObjects:
    units = {row.case: row.unit for row in rows}
    return JobObjects(rows[0], units, read_objects(place.folder(job) / OBJECTS_FILE))


def _judged(job: Job, place: StudyFolder) -> Judged:
    content = read_json_object(place.folder(job) / JOB_FILE)
    return Judged(
        density=job.density,
        variant=job.variant.name,
        seed=job.seed,
        fold=job.fold.name,
        held_out=job.held_out,
        voxels=JudgedVoxels.load(place.folder(job) / VOXELS_FILE),
        cases=tuple(content["cases"]),
        units=tuple(content["units"]),
        scores=tuple(content["scores"]),
    )


def nested(rows: Sequence[Result], metric: str = "dice") -> list[Result]:
    """Return the rows of the variant that is best on the inner folds of each fold, under the name :data:`CHOSEN`.

    Best: by the mean over inner folds, seeds and cases of ``metric`` at the deepest level.
    """
    deepest = max((row.level for row in rows), default=0)
    merit: dict[tuple[str, str], dict[str, list[float]]] = {}
    for row in rows:
        if "." in row.fold and row.metric == metric and row.level == deepest and not row.node:
            outer = row.density, row.fold.partition(".")[0]
            if math.isfinite(row.value):
                merit.setdefault(outer, {}).setdefault(row.variant, []).append(row.value)
    best = {outer: max(values, key=lambda v: float(np.mean(values[v]))) for outer, values in merit.items()}
    return [replace(row, variant=CHOSEN) for row in rows if best.get((row.density, row.fold)) == row.variant]


def findings(study: Study, results: Sequence[Result], jobs: list[dict[str, Any]]) -> Findings:
    """Return means per subject and all comparisons with the baseline."""
    outer = [row for row in results if "." not in row.fold]
    units = _by_unit(outer, study.spec.subgroups)
    present = {row.variant for row in outer}
    names = (*(variant.name for variant in study.variants), CHOSEN)
    variants = tuple(name for name in names if name in present)
    comparisons = _comparisons(study, units, variants)
    return Findings(list(outer), units, comparisons, _sizes(study, outer, variants), variants, jobs)


def _sizes(study: Study, rows: Sequence[Result], variants: Sequence[str]) -> list[SizeGain]:
    leaves = max((row.level for row in rows), default=0)
    spec = study.spec
    return [
        gain
        for density in dict.fromkeys(row.density for row in rows)
        for gain in size_gains(rows, density, leaves, variants, study.baseline, spec.sizes, tie=spec.tie)
    ]


def _by_unit(rows: Iterable[Result], subgroups: Mapping[str, Sequence[str]]) -> dict[Key, dict[str, dict[str, float]]]:
    """Return per key, variant and subject the mean over all that belongs to the subject."""
    values: dict[Key, dict[str, dict[str, list[float]]]] = {}
    for row in rows:
        if row.node or row.metric in NOT_AVERAGED or (row.held_out and row.metric in SEES_ALL):
            continue
        if not math.isfinite(row.value):
            continue
        for name in ("", *(name for name, ids in subgroups.items() if row.case in ids or row.unit in ids)):
            key = Key(row.density, row.score, row.rule, row.level, row.metric, name)
            values.setdefault(key, {}).setdefault(row.variant, {}).setdefault(row.unit, []).append(row.value)
    return {
        key: {variant: {unit: float(np.mean(v)) for unit, v in units.items()} for variant, units in table.items()}
        for key, table in values.items()
    }


def _comparisons(
    study: Study, by_unit: Mapping[Key, dict[str, dict[str, float]]], variants: Sequence[str]
) -> list[VariantComparison]:
    families: dict[tuple[str, ...], list[VariantComparison]] = {}
    base = study.baseline
    for key, table in by_unit.items():
        if base not in table or key.metric in NOT_COMPARED:
            continue
        for variant in variants:
            if variant == base or variant not in table:
                continue
            units = sorted(set(table[variant]) & set(table[base]))
            paired = compare_paired(
                [table[variant][unit] for unit in units],
                [table[base][unit] for unit in units],
                tie=study.spec.tie * (100 if key.metric.endswith("_percent") else 1),
                larger_is_better=key.metric not in SMALLER_IS_BETTER,
            )
            family = (key.density, key.metric, key.score, key.rule, key.subgroup)
            families.setdefault(family, []).append(VariantComparison(key, variant, base, paired, math.nan))
    found = []
    for family_rows in families.values():
        adjusted = holm([row.paired.p for row in family_rows])
        found += [replace(row, p_holm=p) for row, p in zip(family_rows, adjusted, strict=True)]
    return found


def read_curves(file: Path) -> list[dict[str, str]]:
    """Return the rows of a training's metrics.csv."""
    if not file.is_file():
        return []
    with file.open(newline="", encoding="utf-8") as stream:
        return list(read_rows(stream))
