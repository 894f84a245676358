"""The part of a study's report about raters who disagree: what each variant keeps of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from softseg.evaluation.charts import PAGE_WIDTH, to_uri
from softseg.studies.findings.summary import Findings, Key
from softseg.studies.plan.metrics import SMALLER_IS_BETTER
from softseg.studies.report.charts import color_of, dress, marker_of

COLUMNS = (
    ("rater_calibration_error", "Calibration error", "all voxels", None),
    ("rater_mae", "Error of probabilities", "all voxels", None),
    ("disputed_calibration_error", "Calibration error", "disputed", None),
    ("disputed_mae", "Error of probabilities", "disputed", None),
    ("disputed_entropy", "Entropy", "disputed, nats", "disputed_entropy_raters"),
    ("rater_brier", "Brier score", "each rater", "rater_brier_least"),
    ("rater_log_loss", "Log loss", "each rater", "rater_log_loss_least"),
    ("dice", "Dice", "majority", None),
)
"""Metric, its name, where it is taken, and the same metric for the raters themselves."""

FEW = 30
"""Bins with fewer voxels are not drawn."""

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def raters_section(found: Findings) -> dict[str, Any] | None:
    """Return table and pictures of the disagreement; None where no case has several raters."""
    keys = found.keys("rater_brier")
    if not keys:
        return None
    level, density = max(key.level for key in keys), keys[0].density
    limits = [_limit(found, Key(density, "", "", level, least)) if least else None for *_, least in COLUMNS]
    rows: list[dict[str, Any]] = []
    for variant in found.variants:
        values = [found.mean(Key(density, "", "", level, metric), variant) for metric, *_ in COLUMNS]
        rows.append({"variant": variant, "cells": [{"value": value, "best": False} for value in values]})
    for column, (metric, *_) in enumerate(COLUMNS):
        _mark_best([row["cells"][column] for row in rows], metric, limits[column])
    return {
        "columns": [{"name": name, "where": where} for _, name, where, _ in COLUMNS],
        "rows": rows,
        "limits": limits,
        "figures": _figures(found, level),
    }


def _limit(found: Findings, key: Key) -> float:
    """Return a number of the raters, which is the same for all variants: the mean over those that were evaluated."""
    values = [found.mean(key, variant) for variant in found.variants]
    known = [value for value in values if math.isfinite(value)]
    return float(np.mean(known)) if known else math.nan


def _mark_best(cells: Sequence[dict[str, Any]], metric: str, limit: float | None) -> None:
    """Mark the best cells of a column: the smallest or largest, or the nearest to the raters' own entropy."""
    if metric == "disputed_entropy" and limit is not None:
        merit = [-abs(cell["value"] - limit) for cell in cells]
    else:
        merit = [-cell["value"] if metric in SMALLER_IS_BETTER else cell["value"] for cell in cells]
    known = [value for value in merit if math.isfinite(value)]
    for cell, value in zip(cells, merit, strict=True):
        cell["best"] = bool(known) and value == max(known)


def _figures(found: Findings, level: int) -> list[dict[str, str]]:
    curves, votes = _curves(found, level), _by_fraction(found, level)
    if not curves:
        return []
    pictures = (
        ("Disputed voxels", "predicted probability", "fraction of raters", curves),
        ("By fraction of raters", "fraction of raters", "mean predicted probability", votes),
    )
    captions = (
        "Above the dashed line the model gives less than the raters.",
        "Voxels of each fraction of raters; 0 and 1 only where model or raters give the structure anything.",
    )
    return [
        {"uri": to_uri(_against(values, title, x, y)), "alt": f"{title}: {y} against {x}", "caption": caption}
        for (title, x, y, values), caption in zip(pictures, captions, strict=True)
    ]


def _levels(found: Findings, level: int) -> list[tuple[str, dict[str, Any]]]:
    """Return, by variant, each training's numbers for disputed voxels at a level, from job.json."""
    parts = []
    for job in found.jobs:
        levels = ((job.get("reliability") or {}).get("disagreement") or {}).get("levels") or {}
        if str(level) in levels and "." not in job["fold"]:
            parts.append((str(job["variant"]), levels[str(level)]))
    return parts


def _curves(found: Findings, level: int) -> Curves:
    """Return the reliability of each variant in disputed voxels, all trainings and cases together."""
    sums: dict[str, npt.NDArray[np.float64]] = {}
    for variant, part in _levels(found, level):
        count = np.array(part["voxels"], np.float64)
        means = [np.nan_to_num(np.array(part[name], np.float64)) for name in ("confidence", "share_of_raters")]
        table = np.stack([count, *(mean * count for mean in means)])
        sums[variant] = sums.get(variant, np.zeros_like(table)) + table
    return {variant: _divided(sums[variant], FEW) for variant in found.variants if variant in sums}


def _by_fraction(found: Findings, level: int) -> Curves:
    """Return what each variant predicts on average by the fraction of raters."""
    sums: dict[str, dict[float, npt.NDArray[np.float64]]] = {}
    for variant, part in _levels(found, level):
        for row in part["by_share"]:
            own = sums.setdefault(variant, {}).setdefault(row["share"], np.zeros(3))
            own += np.array([1, row["share"], row["predicted"]]) * row["voxels"]
    return {
        variant: _divided(np.stack([sums[variant][fraction] for fraction in sorted(sums[variant])], axis=1), 1)
        for variant in found.variants
        if variant in sums
    }


def _divided(table: npt.NDArray[np.float64], least: int) -> tuple[list[float], list[float]]:
    """Return means from rows of counts and two sums, where there are at least so many voxels."""
    used = table[0] >= least
    return list(table[1][used] / table[0][used]), list(table[2][used] / table[0][used])


def _against(curves: Curves, title: str, x: str, y: str) -> Figure:
    figure = Figure(figsize=(PAGE_WIDTH / 2, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ls="--", color="#9aa1ab", lw=1)
    colors, markers = color_of(list(curves)), marker_of(list(curves))
    for variant, (across, up) in curves.items():
        axes.plot(across, up, marker=markers[variant], ms=3.5, lw=1.2, color=colors[variant], label=variant)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    dress(axes, title, x, y)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure
