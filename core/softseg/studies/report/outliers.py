"""The part of a study's report about outliers: which score finds held-out classes, and what using it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from softseg.evaluation.charts import to_uri
from softseg.studies.findings.summary import Findings, Key
from softseg.studies.plan.study import Study
from softseg.studies.report import charts


def outlier_tables(study: Study, found: Findings, density: str) -> dict[str, Any]:
    """Return what the template shows: tables of detection, variants x scores, for the first rule."""
    levels = sorted({key.level for key in found.keys("inside_f1", density=density)})
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
        grids.append({"uri": to_uri(picture), "alt": title})
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
