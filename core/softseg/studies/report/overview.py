"""The overview of a study's report, for the page and for Markdown: means with intervals, and differences."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from softseg.studies.findings.statistics import bootstrap_interval
from softseg.studies.findings.summary import Findings, Key, VariantComparison
from softseg.studies.plan.metrics import MAIN, NAMES, NOT_COMPARED, OBJECT_METRICS, SMALLER_IS_BETTER
from softseg.studies.plan.study import Study


@dataclass(frozen=True)
class ScoreColumn:
    """One number of a table: a metric at a level; 0 for numbers of no level.

    ``place`` names the level.
    """

    metric: str
    level: int
    place: str

    @property
    def title(self) -> str:
        """For display; an arrow means that less is better."""
        return NAMES.get(self.metric, self.metric) + (" ↓" if self.metric in SMALLER_IS_BETTER else "")

    @property
    def name(self) -> str:
        """Metric and place."""
        return f"{self.title}, {self.place}" if self.place else self.title


@dataclass(frozen=True)
class MeanCell:
    """A mean over subjects with its 95 % bootstrap interval (nan with a single subject); the best of its column."""

    value: float
    low: float
    high: float
    best: bool

    @property
    def known(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def main_metrics(study: Study) -> tuple[str, ...]:
    """Return the metrics that the report shows first."""
    if study.spec.metrics:
        return tuple(study.spec.metrics)
    return MAIN[study.spec.kind] + (OBJECT_METRICS if study.spec.counted is not None else ())


def all_columns(study: Study, found: Findings, density: str, subgroup: str = "") -> list[ScoreColumn]:
    """Return the main metrics that there are, each at all its levels."""
    columns = []
    for metric in main_metrics(study):
        levels = sorted({key.level for key in found.keys(metric, density=density, subgroup=subgroup)})
        columns += [ScoreColumn(metric, level, _place(level, levels)) for level in levels]
    return columns


def leaf_columns(study: Study, found: Findings, density: str, subgroup: str = "") -> list[ScoreColumn]:
    """Return the main metrics that there are, each at the leaves."""
    deepest = {column.metric: column for column in all_columns(study, found, density, subgroup)}
    return list(deepest.values())


def _place(level: int, levels: Sequence[int]) -> str:
    if level == 0 or levels[-1] == 1:
        return ""
    return "leaves" if level == levels[-1] else f"level {level}"


def mean_table(
    found: Findings, density: str, columns: Sequence[ScoreColumn], subgroup: str = ""
) -> list[tuple[str, list[MeanCell]]]:
    """Return each variant with its means."""
    rows: dict[str, list[MeanCell]] = {variant: [] for variant in found.variants}
    for column in columns:
        table = found.by_unit.get(Key(density, "", "", column.level, column.metric, subgroup), {})
        means = {variant: _mean(table.get(variant, {}).values()) for variant in found.variants}
        best = _best(column.metric, [cell[0] for cell in means.values()])
        for variant, (value, low, high) in means.items():
            rows[variant].append(MeanCell(value, low, high, value == best))
    return list(rows.items())


def _mean(values: Iterable[float]) -> tuple[float, float, float]:
    known = np.array([value for value in values if math.isfinite(value)])
    return (float(known.mean()), *bootstrap_interval(known)) if known.size else (math.nan,) * 3


def _best(metric: str, values: Sequence[float]) -> float:
    """Return the best of several; nan where none is better than another."""
    known = [value for value in values if math.isfinite(value)]
    if metric in NOT_COMPARED or len(known) < 2 or min(known) == max(known):
        return math.nan
    return min(known) if metric in SMALLER_IS_BETTER else max(known)


def differences(
    found: Findings, density: str, columns: Sequence[ScoreColumn], subgroup: str = ""
) -> list[VariantComparison]:
    """Return the comparisons with the baseline, number by number."""
    wanted = {Key(density, "", "", column.level, column.metric, subgroup): column for column in columns}
    return [row for key in wanted for row in found.comparisons if row.key == key]


def amount(value: float) -> str:
    """Return a number for a table: three digits that count or three decimals, four if it is small; a dash for none."""
    if not math.isfinite(value):
        return "–"
    if abs(value) >= 10:
        return f"{value:.1f}" if abs(value) < 1000 else f"{value:.0f}"
    if 0.00005 <= abs(value) < 0.00095:
        return f"{value:.4f}"
    return f"{value:.3f}"


def signed(value: float) -> str:
    """Return a difference for a table, with its sign."""
    return ("+" if value > 0 else "") + amount(value)
