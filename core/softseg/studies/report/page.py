"""The report of a study: one HTML page with the results, their uncertainty, and how they were made."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import softseg
from softseg.evaluation.charts import to_uri
from softseg.evaluation.page import write_page
from softseg.studies.findings.summary import Findings, Key, VariantComparison, read_curves
from softseg.studies.findings.thresholds import LEVEL_SCORE
from softseg.studies.plan.jobs import Job
from softseg.studies.plan.metrics import NAMES, SIZE
from softseg.studies.plan.study import Study
from softseg.studies.report import charts
from softseg.studies.report.outliers import outlier_tables
from softseg.studies.report.overview import (
    ScoreColumn,
    all_columns,
    amount,
    differences,
    leaf_columns,
    mean_table,
    signed,
)
from softseg.studies.report.raters import raters_section
from softseg.studies.work.running import CURVES_FILE, StudyFolder

_MANY = 8  # structures from which a dot for each is clearer than a table


def write_report(
    study: Study, found: Findings, done: Sequence[Job], missing: int, place: StudyFolder, command: Sequence[str]
) -> None:
    """Write ``report.html``.

    Raises
    ------
    InputError: it cannot be written.
    """
    densities = list(dict.fromkeys(row.density for row in found.results))
    values: dict[str, Any] = {
        "study": study.spec,
        "today": datetime.now(timezone.utc).date().isoformat(),
        "version": softseg.__version__,
        "baseline": study.baseline,
        "cards": _cards(study, found, missing),
        "missing": missing,
        "smoke": study.smoke,
        "sections": [_section(study, found, density) for density in densities],
        "curves": _curves(study, found, done, place),
        "reliability": _reliability(found),
        "raters": raters_section(found),
        "command": shlex.join(command),
        "file": study.text,
        "versions": sorted({_versions(job["versions"]) for job in found.jobs}),
        "unit": unit_name(study),
        "units": units_name(study),
        "level_score": LEVEL_SCORE,
        "counted": study.spec.counted,
        "amount": amount,
        "signed": signed,
    }
    write_page("study.html", place.out / "report.html", values)


def unit_name(study: Study) -> str:
    """Return what a subject is in this study."""
    return "fold" if study.spec.folds.by == "block" else "person"


def units_name(study: Study) -> str:
    """Return what several subjects are."""
    return "folds" if study.spec.folds.by == "block" else "people"


def _cards(study: Study, found: Findings, missing: int) -> list[dict[str, str]]:
    units = {row.unit for row in found.results}
    minutes = sum(float(job["seconds_training"]) + float(job["seconds_judging"]) for job in found.jobs) / 60
    many = len(found.jobs) + missing
    cards = [
        ("Variants", str(len(found.variants)), f"compared with {study.baseline}"),
        ("Trainings", f"{len(found.jobs)}" + (f" of {many}" if missing else ""), f"{minutes:.0f} minutes in all"),
        ("Folds", str(len({row.fold for row in found.results})), f"by {study.spec.folds.by}"),
        ("Seeds", str(len(study.spec.seeds)), ", ".join(map(str, study.spec.seeds))),
        ("Subjects", str(len(units)), f"statistics are over {units_name(study)}"),
    ]
    return [{"label": label, "value": value, "what": what} for label, value, what in cards]


def _section(study: Study, found: Findings, density: str) -> dict[str, Any]:
    columns, every = leaf_columns(study, found, density), all_columns(study, found, density)
    section = {
        "density": density,
        "columns": columns,
        "rows": mean_table(found, density, columns),
        "comparisons": _named(differences(found, density, columns), columns),
        "tests": _tests(found, density),
        "every": every if len(every) > len(columns) else [],
        "every_rows": mean_table(found, density, every),
        "every_comparisons": _named(differences(found, density, every), every),
        "figures": _figures(study, found, density, columns),
        "structures": _structures(study, found, density),
        "sizes": _sizes(study, found, density),
        "parts": [part for name in study.spec.subgroups for part in _part(study, found, density, name)],
    }
    return section | (outlier_tables(study, found, density) if study.spec.kind == "outliers" else {"grids": []})


def _named(
    rows: Sequence[VariantComparison], columns: Sequence[ScoreColumn]
) -> list[tuple[str, list[VariantComparison]]]:
    """Return the comparisons of each number together, with its name."""
    table = [(c.name, [r for r in rows if (r.key.metric, r.key.level) == (c.metric, c.level)]) for c in columns]
    return [(name, own) for name, own in table if own]


def _tests(found: Findings, density: str) -> int:
    """Return over how many comparisons Holm's correction goes, at the most."""
    keys = [row.key for row in found.comparisons if row.key.density == density and not row.key.subgroup]
    families = Counter((key.metric, key.score, key.rule) for key in keys)
    return max(families.values(), default=0)


def _part(study: Study, found: Findings, density: str, name: str) -> list[dict[str, Any]]:
    """Return the tables of a part of the people; none where no person of it was tested."""
    columns = leaf_columns(study, found, density, name)
    if not columns:
        return []
    compared = differences(found, density, columns, name)
    pairs = {(row.key.metric, row.key.level, row.variant): row.paired for row in compared}
    rows = []
    for variant, cells in mean_table(found, density, columns, name):
        gaps = [pairs.get((column.metric, column.level, variant)) for column in columns]
        rows.append((variant, list(zip(cells, gaps, strict=True))))
    tables = [found.by_unit[Key(density, "", "", c.level, c.metric, name)] for c in columns]
    units = {unit for table in tables for values in table.values() for unit in values}
    return [{"name": name, "columns": columns, "rows": rows, "units": len(units)}]


def _figures(study: Study, found: Findings, density: str, columns: Sequence[ScoreColumn]) -> list[dict[str, str]]:
    if not columns:
        return []
    tables = {c.name: found.by_unit.get(Key(density, "", "", c.level, c.metric), {}) for c in columns}
    dots = charts.subject_dots(tables, found.variants, unit_name(study))
    figures = [_figure(dots, "Every subject", f"Every {unit_name(study)}. An arrow down: less is better.")]
    compared = _named(differences(found, density, columns), columns)
    if compared:
        gaps = {
            name: {r.variant: (r.paired.difference, r.paired.low, r.paired.high) for r in rows}
            for name, rows in compared
        }
        bars = charts.gains(gaps, found.variants, study.baseline)
        figures.append(_figure(bars, "Differences", f"What changes over {study.baseline}."))
    first = columns[0].metric
    levels = sorted({key.level for key in found.keys(first, density=density)})
    if len(levels) > 1:
        tables_of = {level: found.by_unit[Key(density, "", "", level, first)] for level in levels}
        title = f"{NAMES.get(first, first)} at each level"
        caption = f"{title}: mean over {units_name(study)}; the thin line spans them."
        figures.append(_figure(charts.level_bars(tables_of, found.variants), title, caption))
    return figures


def _figure(figure: Figure, alt: str, caption: str = "") -> dict[str, str]:
    return {"uri": to_uri(figure), "alt": alt, "caption": caption}


def _structures(study: Study, found: Findings, density: str) -> list[dict[str, Any]]:
    """Return, per variant, on how many leaves it is better, as good, worse than the baseline by its mean Dice."""
    means = node_means(found, density, "dice")
    base = means.get(study.baseline, {})
    table = []
    for variant in found.variants:
        gaps = [value - base[node] for node, value in means.get(variant, {}).items() if node in base]
        if variant == study.baseline or len(gaps) < 2:
            continue
        wins = sum(gap > study.spec.tie for gap in gaps)
        losses = sum(gap < -study.spec.tie for gap in gaps)
        table.append({"variant": variant, "wins": wins, "ties": len(gaps) - wins - losses, "losses": losses})
    return table


def node_means(found: Findings, density: str, metric: str) -> dict[str, dict[str, float]]:
    """Return by variant and leaf the mean of a metric over all cases, seeds and folds."""
    level = max((row.level for row in found.results), default=0)
    values: dict[str, dict[str, list[float]]] = {}
    for row in found.results:
        wanted = row.metric == metric and row.level == level and row.density == density and not row.score
        if wanted and row.node and math.isfinite(row.value):
            values.setdefault(row.variant, {}).setdefault(row.node, []).append(row.value)
    return {v: {node: float(np.mean(all_)) for node, all_ in nodes.items()} for v, nodes in values.items()}


def _sizes(study: Study, found: Findings, density: str) -> dict[str, Any] | None:
    """Return gain by size: a row per variant with its gains on each group, and the pictures."""
    own = [gain for gain in found.sizes if gain.density == density]
    if not own:
        return None
    groups = list(dict.fromkeys(gain.group for gain in own))
    pairs = {(gain.variant, gain.group): gain for gain in own}
    variants = list(dict.fromkeys(gain.variant for gain in own))
    bars = {
        f"{group.name}, {len(group.nodes)} structures": {
            gain.variant: (gain.paired.difference, gain.paired.low, gain.paired.high)
            for gain in own
            if gain.group == group
        }
        for group in groups
    }
    dice, sizes = node_means(found, density, "dice"), node_means(found, density, SIZE).get(study.baseline, {})
    base = dice.get(study.baseline, {})
    points = {
        v: [(sizes[n], d - base[n]) for n, d in dice[v].items() if n in base and sizes.get(n, 0) > 0] for v in variants
    }
    figures = [_figure(charts.gains(bars, found.variants, study.baseline, one_scale=True), "Gain by size")]
    if len(base) >= _MANY:
        figures.append(_figure(charts.size_gain(points, found.variants, "Dice"), "Gain against size"))
    rows = [(variant, [pairs.get((variant, group)) for group in groups]) for variant in variants]
    return {"groups": groups, "rows": rows, "figures": figures}


def _curves(study: Study, found: Findings, done: Sequence[Job], place: StudyFolder) -> dict[str, str] | None:
    """Draw scores of the validation cases; the loss where none validates, or only the last step was validated."""
    tables = [(job.variant.name, read_curves(place.folder(job) / CURVES_FILE)) for job in done]
    metric = study.variants[0].recipe.validation.metric
    scored = charts.runs_of(tables, metric)
    if any(len(steps) > 1 for runs in scored.values() for steps, _ in runs):
        caption = "A line per training. Scores of the validation cases, on the model's own grid."
        figure = charts.learning_curves(scored, metric, found.variants, "Learning curves on the validation cases")
        return _figure(figure, "Learning curves", caption)
    losses = {
        variant: [charts.settled(steps, values) for steps, values in runs]
        for variant, runs in charts.runs_of(tables, "loss").items()
    }
    if not losses:
        return None
    caption = (
        "A line per training: its loss as a fraction of what it began with, smoothed. Different losses cannot "
        "be compared: the shape shows whether a training had converged."
    )
    figure = charts.learning_curves(losses, "loss / first loss", found.variants, "Training loss", log=True)
    return _figure(figure, "Learning curves", caption)


def _reliability(found: Findings) -> dict[str, str] | None:
    """Draw the reliability of the winning leaf of each variant, all cases together."""
    sums: dict[str, list[np.ndarray[Any, Any]]] = {}
    for job in found.jobs:
        levels = (job.get("reliability") or {}).get("levels") or {}
        if levels and "." not in job["fold"]:
            curve = levels[max(levels, key=int)]
            count = np.array(curve["voxels"], np.float64)
            parts = [np.nan_to_num(np.array(curve[n], np.float64)) * count for n in ("confidence", "accuracy")]
            own = sums.setdefault(job["variant"], [np.zeros_like(count) for _ in range(3)])
            for total, part in zip(own, (count, *parts), strict=True):
                total += part
    if not sums:
        return None
    curves = {}
    for variant, (count, confidence, accuracy) in sums.items():
        used = count >= 30
        curves[variant] = (list(confidence[used] / count[used]), list(accuracy[used] / count[used]))
    return _figure(charts.reliability(curves, "Winning leaf, all cases", found.variants), "Reliability")


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
