"""The report of a study: one HTML page that says what came out, how sure that is, and how it was made."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import softseg
from softseg.evaluation.charts import to_uri
from softseg.evaluation.page import write_page
from softseg.studies import charts
from softseg.studies.jobs import Job
from softseg.studies.metrics import MAIN, NAMES, SMALLER_IS_BETTER
from softseg.studies.raters_report import raters_section
from softseg.studies.running import CURVES_FILE, Place
from softseg.studies.study import Study
from softseg.studies.summary import Comparison, Findings, Key, read_curves
from softseg.studies.thresholds import LEVEL_SCORE


def write_report(
    study: Study, found: Findings, done: Sequence[Job], missing: int, place: Place, command: Sequence[str]
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
        "curves": _curves(study, done, place),
        "reliability": _reliability(found),
        "gain": _gains(study, found),
        "raters": raters_section(found),
        "command": shlex.join(command),
        "file": study.text,
        "versions": sorted({_versions(job["versions"]) for job in found.jobs}),
        "unit": unit_name(study),
        "units": units_name(study),
        "names": NAMES,
        "level_score": LEVEL_SCORE,
    }
    write_page("study.html", place.out / "report.html", values)


def main_metrics(study: Study) -> tuple[str, ...]:
    """Return the metrics that the report shows first."""
    return tuple(study.spec.metrics or MAIN[study.spec.kind])


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
    metrics = [metric for metric in main_metrics(study) if found.keys(metric, density=density)]
    levels = sorted({key.level for metric in metrics for key in found.keys(metric, density=density)})
    section = {
        "density": density,
        "levels": levels,
        "metrics": [(metric, NAMES.get(metric, metric)) for metric in metrics],
        "rows": [_means(found, variant, density, metrics, levels) for variant in found.variants],
        "comparisons": _comparisons(found, density, metrics, levels),
        "figures": _figures(study, found, density, metrics, levels),
        "structures": _structures(study, found, density, levels),
    }
    return section | (_outliers(study, found, density, levels) if study.spec.kind == "outliers" else {"grids": []})


def _means(
    found: Findings, variant: str, density: str, metrics: Sequence[str], levels: Sequence[int]
) -> dict[str, Any]:
    cells = []
    for metric in metrics:
        for level in levels:
            key = Key(density, "", "", level, metric)
            value = found.mean(key, variant)
            cells.append({"value": value, "best": _is_best(found, key, value)})
    return {"variant": variant, "cells": cells}


def _is_best(found: Findings, key: Key, value: float) -> bool:
    values = [found.mean(key, variant) for variant in found.variants]
    known = [other for other in values if math.isfinite(other)]
    if not known or not math.isfinite(value):
        return False
    return value == (min(known) if key.metric in SMALLER_IS_BETTER else max(known))


def _comparisons(found: Findings, density: str, metrics: Sequence[str], levels: Sequence[int]) -> list[Comparison]:
    """Return the comparisons of the main metrics at the leaves and the top level."""
    wanted = {levels[0], levels[-1]} if levels else set()
    return [
        row
        for metric in metrics
        for row in found.comparisons
        if row.key.metric == metric and row.key.density == density and not row.key.score and row.key.level in wanted
    ]


def _figures(
    study: Study, found: Findings, density: str, metrics: Sequence[str], levels: Sequence[int]
) -> list[dict[str, str]]:
    if not metrics or not levels:
        return []
    name = NAMES.get(metrics[0], metrics[0])
    bars = {level: found.by_unit.get(Key(density, "", "", level, metrics[0]), {}) for level in levels}
    deepest = f"{name} at level {levels[-1]}, the leaves"
    dots = charts.paired_dots(bars[levels[-1]], found.variants, deepest, unit_name(study))
    return [
        _figure(dots, deepest),
        _figure(charts.level_bars(bars, found.variants, f"{name} at each level", name), f"{name} at each level"),
    ]


def _figure(figure: Figure, alt: str) -> dict[str, str]:
    return {"uri": to_uri(figure), "alt": alt}


def _structures(study: Study, found: Findings, density: str, levels: Sequence[int]) -> list[dict[str, Any]]:
    """Return, per variant, on how many leaves it is better, as good, worse than the baseline by its mean Dice."""
    means = node_means(found, density, levels[-1] if levels else 0, "dice")
    base = means.get(study.baseline, {})
    table = []
    for variant in found.variants:
        gaps = [value - base[node] for node, value in means.get(variant, {}).items() if node in base]
        if variant == study.baseline or not gaps:
            continue
        wins = sum(gap > study.spec.tie for gap in gaps)
        losses = sum(gap < -study.spec.tie for gap in gaps)
        table.append({"variant": variant, "wins": wins, "ties": len(gaps) - wins - losses, "losses": losses})
    return table


def node_means(found: Findings, density: str, level: int, metric: str) -> dict[str, dict[str, float]]:
    """Return by variant and node the mean of a metric over all cases, seeds and folds."""
    values: dict[str, dict[str, list[float]]] = {}
    for row in found.results:
        wanted = row.metric == metric and row.level == level and row.density == density and not row.score
        if wanted and row.node and math.isfinite(row.value):
            values.setdefault(row.variant, {}).setdefault(row.node, []).append(row.value)
    return {v: {node: float(np.mean(all_)) for node, all_ in nodes.items()} for v, nodes in values.items()}


def _outliers(study: Study, found: Findings, density: str, levels: Sequence[int]) -> dict[str, Any]:
    """Return tables of detection: variants x scores, for the first rule."""
    scores = list(dict.fromkeys(row.score for row in found.results if row.score and row.density == density))
    rule = study.spec.rules[0].name
    deepest, top = (levels[-1], levels[0]) if levels else (0, 0)

    def table(metric: str, level: int, with_rule: bool) -> list[list[float]]:
        keys = [Key(density, score, rule if with_rule else "", level, metric) for score in scores]
        return [[found.mean(key, variant) for key in keys] for variant in found.variants]

    grids = []
    for title, metric, level, with_rule, lowest in (
        ("AUROC of held-out classes, leaves", "auroc", deepest, False, 0.5),
        ("F1 of classes and outliers together, leaves", "f1", deepest, True, 0.0),
        ("F1 of classes and outliers together, top level", "f1", top, True, 0.0),
    ):
        picture = charts.score_grid(table(metric, level, with_rule), found.variants, scores, title, lowest)
        grids.append(_figure(picture, title))
    return {
        "grids": grids,
        "scores": scores,
        "rule": rule,
        "detail": _detail(study, found, density, scores, deepest),
        "costs": _costs(study, found, density, scores, deepest),
    }


def _detail(study: Study, found: Findings, density: str, scores: Sequence[str], level: int) -> list[dict[str, Any]]:
    rule = study.spec.rules[0].name
    rows = []
    for variant in found.variants:
        for score in scores:
            plain = {m: found.mean(Key(density, score, "", level, m), variant) for m in ("auroc", "aupr", "fpr95")}
            ruled = {
                m: found.mean(Key(density, score, rule, level, m), variant)
                for m in ("accuracy", "balanced_accuracy", "f1", "found", "kin")
            }
            rows.append({"variant": variant, "score": score, **plain, **ruled})
    return rows


def _costs(study: Study, found: Findings, density: str, scores: Sequence[str], level: int) -> list[dict[str, Any]]:
    """Return what each rule costs on trained classes: mean over subjects and the worst subject."""
    rows = []
    for variant in found.variants:
        for score in scores:
            cells = []
            for rule in study.spec.rules:
                key = Key(density, score, rule.name, level, "accuracy_loss")
                values = list(found.by_unit.get(key, {}).get(variant, {}).values())
                worst = max(values, default=math.nan)
                cells.append({"mean": float(np.mean(values)) if values else math.nan, "worst": worst})
            rows.append({"variant": variant, "score": score, "cells": cells})
    return rows


def _curves(study: Study, done: Sequence[Job], place: Place) -> dict[str, str] | None:
    metric = study.variants[0].recipe.validation.metric
    curves: dict[str, list[tuple[list[int], list[float]]]] = {}
    for job in done:
        rows = [row for row in read_curves(place.folder(job) / CURVES_FILE) if row.get(metric)]
        if rows:
            steps, scores = [int(row["step"]) for row in rows], [float(row[metric]) for row in rows]
            curves.setdefault(job.variant.name, []).append((steps, scores))
    return _figure(charts.learning_curves(curves, metric), "Learning curves") if curves else None


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
    return _figure(charts.reliability(curves, "Winning leaf, all cases"), "Reliability")


def _gains(study: Study, found: Findings) -> dict[str, str] | None:
    if study.spec.kind != "compare" or len(found.variants) < 2:
        return None
    density = found.results[0].density
    level = max(row.level for row in found.results)
    sizes = node_means(found, density, level, "volume_reference_ml")
    dice = node_means(found, density, level, "dice")
    base, size = dice.get(study.baseline, {}), sizes.get(study.baseline, {})
    gains = {
        variant: [(size[n], v - base[n]) for n, v in dice.get(variant, {}).items() if n in base and size.get(n, 0) > 0]
        for variant in found.variants
        if variant != study.baseline
    }
    return (
        _figure(charts.size_gain(gains, study.baseline, "Dice"), "Gain against size") if any(gains.values()) else None
    )


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())
