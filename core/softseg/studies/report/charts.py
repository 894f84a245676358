"""The diagrams of a study's report."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from softseg.evaluation.charts import FAINT, INK, PAGE_WIDTH
from softseg.evaluation.colors import ink_on

COLORS = (
    "#0078f0", "#a56900", "#5a0f87", "#69d2b4", "#ff5a69", "#2d3c00", "#ff96ff", "#787896", "#c3c32d", "#690f3c",
)  # fmt: skip
"""Colours of the variants, in order: ten that also people with a colour vision deficiency can tell apart (ours)."""

MARKERS = "osD^vP*X"
"""Markers of the variants, in order: they differ where colours repeat."""

Table = Mapping[str, Mapping[str, float]]
"""Values by variant and subject."""


def color_of(variants: Sequence[str]) -> dict[str, str]:
    """Return a colour for each variant."""
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(variants)}


def marker_of(variants: Sequence[str]) -> dict[str, str]:
    """Return a marker for each variant; no two of 20 share both colour and marker."""
    return {name: MARKERS[(place + place // len(COLORS)) % len(MARKERS)] for place, name in enumerate(variants)}


def subject_dots(tables: Mapping[str, Table], variants: Sequence[str], unit: str) -> Figure:
    """Draw, in a panel per number, a dot per variant and subject; a bar marks each mean.

    Subjects stand in one order within a row. Nothing joins the rows: variants have no order.
    """
    figure, panels = _panels(len(tables), variants)
    colors = color_of(variants)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        names = sorted({name for values in table.values() for name in values})
        heights = dict(zip(names, np.linspace(-0.22, 0.22, len(names)) if len(names) > 1 else [0.0], strict=True))
        for place, variant in enumerate(variants):
            found = {name: value for name, value in table.get(variant, {}).items() if math.isfinite(value)}
            own = list(found.values())
            if own:
                rows = [place + heights[name] for name in found]
                axes.scatter(own, rows, color=colors[variant], s=20, zorder=3, edgecolor="white", lw=0.5)
                axes.vlines(np.mean(own), place - 0.3, place + 0.3, color=INK, lw=2.0, zorder=4)
        dress(axes, title, "", "", grid="x")
    figure.supxlabel(
        f"a dot is one {unit}, from top to bottom in the same order; a bar is the mean", fontsize=8, color="#5b6470"
    )
    return figure


def level_bars(values: Mapping[int, Table], variants: Sequence[str]) -> Figure:
    """Draw, in a panel per level, a bar per variant: mean over subjects, with the subjects' range as a thin line."""
    figure, panels = _panels(len(values), variants)
    colors = color_of(variants)
    for axes, (level, table) in zip(panels, values.items(), strict=True):
        for place, variant in enumerate(variants):
            own = _finite(table.get(variant, {}).values())
            if own:
                axes.barh(place, np.mean(own), 0.72, color=colors[variant])
                axes.hlines(place, min(own), max(own), color=INK, lw=1.0)
                axes.text(
                    0,
                    place,
                    f" {np.mean(own):.3f}",
                    fontsize=7.5,
                    va="center",
                    ha="left",
                    color=ink_on(colors[variant]),
                )
        dress(axes, f"Level {level}" + (", leaves" if level == max(values) else ""), "", "", grid="x")
    return figure


Interval = tuple[float, float, float]
"""Mean and the two ends of its interval."""


def gains(
    tables: Mapping[str, Mapping[str, Interval]], variants: Sequence[str], baseline: str, *, one_scale: bool = False
) -> Figure:
    """Draw, in a panel per number, each variant's difference to the baseline as a bar with its interval.

    ``one_scale``: the panels show the same number, on one scale.
    """
    others = [variant for variant in variants if variant != baseline]
    figure, panels = _panels(len(tables), others)
    colors = color_of(variants)
    for axes, (title, table) in zip(panels, tables.items(), strict=True):
        for place, variant in enumerate(others):
            value, low, high = table.get(variant, (math.nan,) * 3)
            if math.isfinite(value):
                axes.barh(place, value, 0.62, color=colors[variant], alpha=0.8)
                axes.hlines(place, low, high, color=INK, lw=1.4)
        axes.axvline(0, color=INK, lw=0.8)
        dress(axes, title, "", "", grid="x")
    if one_scale:
        ends = np.array([axes.get_xlim() for axes in panels])
        for axes in panels:
            axes.set_xlim(ends[:, 0].min(), ends[:, 1].max())
    figure.supxlabel(f"difference to {baseline}, with 95 % interval", fontsize=8, color="#5b6470")
    return figure


def _panels(count: int, variants: Sequence[str]) -> tuple[Figure, list[Axes]]:
    """Return a figure of panels side by side, variants from top to bottom, their names at the left."""
    columns = min(count, 2 if count == 4 else 3)
    rows = -(-count // columns)
    layout = ConstrainedLayoutEngine(hspace=0.08)
    figure = Figure(figsize=(PAGE_WIDTH, rows * (0.27 * len(variants) + 0.85)), layout=layout)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in grid[count:]:
        axes.set_visible(False)
    for axes in grid[:count]:
        axes.locator_params(axis="x", nbins=5)
    grid[0].set_yticks(range(len(variants)), variants, fontsize=8)
    grid[0].set_ylim(len(variants) - 0.4, -0.6)
    return figure, list(grid[:count])


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def score_grid(
    values: Sequence[Sequence[float]], variants: Sequence[str], scores: Sequence[str], title: str, lowest: float
) -> Figure:
    """Draw a table of numbers as coloured cells, ``values[variant][score]``; ``lowest`` and below is palest."""
    figure = Figure(figsize=(PAGE_WIDTH, 0.9 + 0.4 * len(variants)), layout="constrained")
    axes = figure.subplots()
    array = np.array(values, np.float64)
    axes.imshow(array, cmap="YlGnBu", vmin=lowest, vmax=1.0, aspect="auto")
    for row, column in np.ndindex(*array.shape):
        if math.isfinite(array[row, column]):
            dark = array[row, column] > lowest + 0.6 * (1 - lowest)
            text = f"{array[row, column]:.3f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=9, color="white" if dark else INK)
    axes.set_xticks(range(len(scores)), [wrapped(name) for name in scores], fontsize=8)
    axes.set_yticks(range(len(variants)), variants, fontsize=8)
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    return figure


Curve = tuple[list[int], list[float]]
"""Steps and values."""


def runs_of(tables: Iterable[tuple[str, Sequence[Mapping[str, str]]]], column: str) -> dict[str, list[Curve]]:
    """Return by variant a column of each training's metrics.csv over the steps that have it."""
    runs: dict[str, list[Curve]] = {}
    for variant, rows in tables:
        own = [row for row in rows if row.get(column)]
        if own:
            runs.setdefault(variant, []).append(([int(r["step"]) for r in own], [float(r[column]) for r in own]))
    return runs


def settled(steps: Sequence[int], losses: Sequence[float]) -> Curve:
    """Return a loss as a fraction of its first value, smoothed over a fiftieth of the steps, at up to 120 of them."""
    width = max(1, len(losses) // 50)
    sums = np.cumsum([0.0, *losses])
    ends = np.arange(1, len(losses) + 1)
    begins = np.maximum(ends - width, 0)
    means = (sums[ends] - sums[begins]) / (ends - begins)
    fractions = means / (losses[0] if losses[0] > 0 else 1.0)
    shown = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), 120)).round().astype(int))
    return [steps[place] for place in shown], [float(fractions[place]) for place in shown]


def learning_curves(
    curves: Mapping[str, Sequence[Curve]], metric: str, variants: Sequence[str], title: str, *, log: bool = False
) -> Figure:
    """Draw a score or loss of every training over its steps, in the colour of its variant."""
    figure = Figure(figsize=(PAGE_WIDTH, 3.6), layout="constrained")
    axes = figure.subplots()
    colors, markers = color_of(variants), marker_of(variants)
    for variant, runs in curves.items():
        for number, (steps, scores) in enumerate(runs):
            name = variant if number == 0 else None
            strength = max(0.2, min(0.8, 6 / len(runs)))
            axes.plot(
                steps,
                scores,
                color=colors[variant],
                lw=0.9,
                marker=markers[variant],
                markevery=max(1, len(steps) // 12),
                ms=3.0,
                alpha=strength,
                label=name,
            )
    if log:
        axes.set_yscale("log")
    dress(axes, title, "step", metric)
    _legend_beside(figure, axes)
    return figure


def size_gain(points: Mapping[str, Sequence[tuple[float, float]]], variants: Sequence[str], metric: str) -> Figure:
    """Draw, in a panel per variant, a dot per structure: what it gains against its size in ml."""
    columns = min(len(points), 4)
    rows = -(-len(points) // columns)
    figure = Figure(figsize=(PAGE_WIDTH, 2.5 * rows + 0.3), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    colors = color_of(variants)
    for axes, (variant, own) in zip(grid, points.items(), strict=False):
        sizes, gain = zip(*own, strict=True) if own else ((), ())
        axes.scatter(sizes, gain, s=13, alpha=0.75, color=colors[variant], edgecolor="none")
        axes.axhline(0, color=INK, lw=0.8)
        axes.set_xscale("log")
        dress(axes, wrapped(variant, 26), "", "")
    for axes in grid[len(points) :]:
        axes.set_visible(False)
    figure.supxlabel("size in the reference (ml)", fontsize=8.5)
    figure.supylabel(f"gain in {metric}", fontsize=8.5)
    return figure


def reliability(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str, variants: Sequence[str]
) -> Figure:
    """Draw accuracy against confidence of each variant, and beside it how far it is off at each confidence."""
    figure = Figure(figsize=(PAGE_WIDTH, 3.7), layout="constrained")
    axes, gaps = figure.subplots(1, 2, width_ratios=[1, 1.35])
    axes.plot([0, 1], [0, 1], ls="--", color="#9aa1ab", lw=1)
    gaps.axhline(0, ls="--", color="#9aa1ab", lw=1)
    colors, markers = color_of(variants), marker_of(variants)
    for variant, (confidence, accuracy) in curves.items():
        gap = np.subtract(accuracy, confidence)
        for panel, values, name in ((axes, accuracy, variant), (gaps, gap, None)):
            panel.plot(confidence, values, marker=markers[variant], ms=3.5, lw=1.3, color=colors[variant], label=name)
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    gaps.set_xlim(0, 1)
    dress(axes, title, "confidence", "accuracy")
    dress(gaps, "Accuracy minus confidence", "confidence", "")
    _legend_beside(figure, axes)
    return figure


def _legend_beside(figure: Figure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    legend = figure.legend(handles, names, loc="outside right upper", frameon=False, fontsize=8)
    for line in legend.get_lines():
        line.set_alpha(1.0)
        line.set_linewidth(1.8)


def dress(axes: Axes, title: str, x: str, y: str, grid: Literal["x", "y"] = "y") -> None:
    """Give axes the report's looks."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=8.5)
    axes.set_ylabel(y, fontsize=8.5)
    axes.tick_params(labelsize=8, color=FAINT)
    axes.grid(axis=grid, color=FAINT, lw=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def wrapped(name: str, width: int = 14) -> str:
    """Break a name at its hyphens so that it fits below an axis."""
    lines = [""]
    for part in name.replace("-", "-\n").split("\n"):
        if lines[-1] and len(lines[-1] + part) > width:
            lines.append(part)
        else:
            lines[-1] += part
    return "\n".join(lines)
