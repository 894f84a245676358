"""Gain by size: whether a variant helps small structures more than large ones."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np

from softseg.studies.findings.statistics import Paired, compare_paired, holm
from softseg.studies.plan.metrics import SIZE, SMALLER_IS_BETTER
from softseg.studies.work.tables import Result

Table = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class SizeGroup:
    """Structures of about one size.

    Attributes
    ----------
    name: for tables.
    low_ml, high_ml: the smallest and the largest of them, by mean volume in the reference over all cases.
    nodes: their ids.
    """

    name: str
    low_ml: float
    high_ml: float
    nodes: tuple[str, ...]


@dataclass(frozen=True)
class SizeGain:
    """One variant against the baseline on the structures of one size; ``paired`` is over subjects.

    A subject's number is the mean over its structures; ``p_holm`` is corrected over variants and groups.
    """

    density: str
    group: SizeGroup
    variant: str
    baseline: str
    paired: Paired
    p_holm: float

    def row(self) -> dict[str, Any]:
        """Return a row of sizes.csv."""
        numbers = asdict(self.paired)
        numbers["baseline_mean"] = numbers.pop("baseline")
        group = {"group": self.group.name, "low_ml": self.group.low_ml, "high_ml": self.group.high_ml}
        names = {"variant": self.variant, "compared_with": self.baseline, "structures": len(self.group.nodes)}
        return {"density": self.density, **group, **names, **numbers, "p_holm": self.p_holm}


def size_groups(sizes: Mapping[str, float], bounds: Sequence[float] | Literal["thirds"]) -> list[SizeGroup]:
    """Return the groups of structures, the smallest first; groups without any are left out.

    Parameters
    ----------
    sizes: ml by node.
    bounds: ml between groups (a structure of just that size belongs to the smaller ones), or ``thirds``: three groups
        of as many structures each, or one more; none where there are fewer than three structures.
    """
    nodes = sorted((node for node in sizes if sizes[node] > 0), key=lambda node: (sizes[node], node))
    if bounds == "thirds":
        if len(nodes) < 3:
            return []
        names = ["smallest third", "middle third", "largest third"]
        parts = [list(part) for part in np.array_split(np.array(nodes, dtype=object), 3)]
    else:
        edges = [float(edge) for edge in bounds]
        between = [f"{low:g} to {high:g} ml" for low, high in pairwise(edges)]
        names = [f"up to {edges[0]:g} ml", *between, f"above {edges[-1]:g} ml"]
        place = {node: int(np.searchsorted(edges, sizes[node])) for node in nodes}
        parts = [[node for node in nodes if place[node] == number] for number in range(len(names))]
    return [
        SizeGroup(name, sizes[part[0]], sizes[part[-1]], tuple(part))
        for name, part in zip(names, parts, strict=True)
        if part
    ]


def structure_sizes(rows: Sequence[Result], level: int) -> dict[str, float]:
    """Return the mean volume in the reference of each node of a level, over cases (each counted once)."""
    sizes: dict[str, dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row.metric == SIZE and row.level == level and row.node and math.isfinite(row.value):
            sizes[row.node].setdefault(row.case, row.value)
    return {node: float(np.mean(list(cases.values()))) for node, cases in sizes.items()}


def size_gains(
    rows: Sequence[Result],
    density: str,
    level: int,
    variants: Sequence[str],
    baseline: str,
    bounds: Sequence[float] | Literal["thirds"],
    *,
    metric: str = "dice",
    tie: float = 0.0,
) -> list[SizeGain]:
    """Compare every variant with the baseline on structures of each size.

    Parameters
    ----------
    rows: the long table.
    density, level: of the rows that count.
    variants, baseline: names.
    bounds: as in :func:`size_groups`.
    metric, tie: what is compared, and up to which difference a subject counts as a tie.
    """
    own = [row for row in rows if row.density == density]
    groups = size_groups(structure_sizes(own, level), bounds)
    values = _by_node(own, level, metric)
    found = []
    for variant in variants:
        for group in groups if variant != baseline else []:
            pairs = _pairs(values.get(variant, {}), values.get(baseline, {}), group.nodes)
            if pairs:
                one, other = zip(*pairs, strict=True)
                paired = compare_paired(one, other, tie=tie, larger_is_better=metric not in SMALLER_IS_BETTER)
                found.append(SizeGain(density, group, variant, baseline, paired, math.nan))
    adjusted = holm([gain.paired.p for gain in found])
    return [replace(gain, p_holm=p) for gain, p in zip(found, adjusted, strict=True)]


def _by_node(rows: Sequence[Result], level: int, metric: str) -> Table:
    """Return by variant, subject and node the mean over all that belongs to the subject."""
    values: dict[str, dict[str, dict[str, list[float]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if row.metric == metric and row.level == level and row.node and not row.score and math.isfinite(row.value):
            values[row.variant][row.unit][row.node].append(row.value)
    return {
        variant: {unit: {node: float(np.mean(v)) for node, v in nodes.items()} for unit, nodes in units.items()}
        for variant, units in values.items()
    }


def _pairs(
    variant: Mapping[str, Mapping[str, float]], baseline: Mapping[str, Mapping[str, float]], nodes: Sequence[str]
) -> list[tuple[float, float]]:
    """Return for each subject both means over those of the nodes that both were evaluated on."""
    pairs = []
    for unit in sorted(set(variant) & set(baseline)):
        both = [node for node in nodes if node in variant[unit] and node in baseline[unit]]
        if both:
            means = [float(np.mean([table[unit][node] for node in both])) for table in (variant, baseline)]
            pairs.append((means[0], means[1]))
    return pairs
