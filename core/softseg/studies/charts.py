"""The diagrams of a study's report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from softseg.evaluation.charts import FAINT, INK

COLORS = ("#1f6f8b", "#d1793b", "#5b8c3e", "#8a5fa8", "#b8455a", "#7a7f8c", "#c9a227", "#3e7cb1")
"""Colours of the variants, in order, over again if there are more."""

Table = Mapping[str, Mapping[str, float]]
"""Values by variant and subject."""


def color_of(variants: Sequence[str]) -> dict[str, str]:
    """Return a colour for each variant."""
    return {name: COLORS[place % len(COLORS)] for place, name in enumerate(variants)}


def paired_dots(table: Table, variants: Sequence[str], title: str, unit: str) -> Figure:
    """Draw a dot per variant and subject, dots of one subject joined by a line; a bar marks each mean."""
    figure = Figure(figsize=(max(3.4, 1.15 * len(variants) + 1.2), 3.3), layout="constrained")
    axes = figure.subplots()
    colors = color_of(variants)
    units = sorted({name for values in table.values() for name in values})
    for name in units:
        values = [table.get(variant, {}).get(name, math.nan) for variant in variants]
        axes.plot(range(len(variants)), values, color="#c4cad3", lw=0.9, zorder=1)
    for place, variant in enumerate(variants):
        values = [value for value in table.get(variant, {}).values() if math.isfinite(value)]
        if values:
            axes.scatter(
                [place] * len(values), values, color=colors[variant], s=22, zorder=3, edgecolor="white", lw=0.5
            )
            axes.hlines(np.mean(values), place - 0.24, place + 0.24, color=INK, lw=2.0, zorder=4)
    axes.set_xticks(range(len(variants)), [wrapped(name) for name in variants], fontsize=8)
    axes.set_xlim(-0.5, len(variants) - 0.5)
    dress(axes, title, "", "")
    axes.set_xlabel(f"a line joins one {unit}", fontsize=8)
    return figure


def level_bars(values: Mapping[int, Table], variants: Sequence[str], title: str, label: str) -> Figure:
    """Draw, for each level, a bar per variant: mean over subjects, with the range of the subjects as a thin line."""
    figure = Figure(figsize=(max(4.2, 1.1 + 0.34 * len(variants) * len(values)), 3.1), layout="constrained")
    axes = figure.subplots()
    colors, width = color_of(variants), 0.8 / max(len(variants), 1)
    lowest = 1.0
    for place, variant in enumerate(variants):
        for number, table in enumerate(values.values()):
            own = [value for value in table.get(variant, {}).values() if math.isfinite(value)]
            if not own:
                continue
            x = number + (place - (len(variants) - 1) / 2) * width
            axes.bar(x, np.mean(own), width * 0.92, color=colors[variant], label=variant if number == 0 else None)
            axes.vlines(x, min(own), max(own), color=INK, lw=0.9)
            lowest = min(lowest, *own)
    axes.set_xticks(range(len(values)), [f"level {level}" for level in values])
    axes.set_ylim(max(0.0, math.floor(lowest * 10 - 1) / 10) if lowest > 0.3 else min(0.0, lowest), None)
    dress(axes, title, "", label)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)), frameon=False, fontsize=8)
    return figure


def score_grid(
    values: Sequence[Sequence[float]], variants: Sequence[str], scores: Sequence[str], title: str, lowest: float
) -> Figure:
    """Draw a table of numbers as coloured cells, ``values[variant][score]``; ``lowest`` and below is palest."""
    figure = Figure(figsize=(1.6 + 1.15 * len(scores), 0.9 + 0.5 * len(variants)), layout="constrained")
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


def learning_curves(curves: Mapping[str, Sequence[tuple[Sequence[int], Sequence[float]]]], metric: str) -> Figure:
    """Draw the validation score of every training over its steps, in the colour of its variant."""
    figure = Figure(figsize=(5.6, 3.1), layout="constrained")
    axes = figure.subplots()
    colors = color_of(list(curves))
    for variant, runs in curves.items():
        for number, (steps, scores) in enumerate(runs):
            name = variant if number == 0 else None
            axes.plot(
                steps, scores, color=colors[variant], lw=0.8, alpha=max(0.15, min(0.8, 6 / len(runs))), label=name
            )
    dress(axes, "Learning curves on the validation cases", "step", metric)
    legend = axes.legend(frameon=False, fontsize=8, loc="lower right")
    for line in legend.get_lines():
        line.set_alpha(1.0)
        line.set_linewidth(1.8)
    return figure


def size_gain(gains: Mapping[str, Sequence[tuple[float, float]]], baseline: str, metric: str) -> Figure:
    """Draw, per structure, what each variant gains over the baseline against the structure's size in ml."""
    figure = Figure(figsize=(5.6, 3.3), layout="constrained")
    axes = figure.subplots()
    colors = color_of([baseline, *gains])
    for variant, points in gains.items():
        if points:
            sizes, gain = zip(*points, strict=True)
            axes.scatter(sizes, gain, s=14, alpha=0.75, color=colors[variant], label=variant, edgecolor="none")
    axes.axhline(0, color=INK, lw=0.8)
    axes.set_xscale("log")
    dress(axes, f"Gain in {metric} over {baseline}", "size in the reference (ml)", "gain")
    axes.legend(frameon=False, fontsize=8)
    return figure


def reliability(curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], title: str) -> Figure:
    """Draw accuracy against confidence of each variant."""
    figure = Figure(figsize=(3.9, 3.5), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ls="--", color="#9aa1ab", lw=1)
    for (variant, (confidence, accuracy)), color in zip(curves.items(), color_of(list(curves)).values(), strict=True):
        axes.plot(confidence, accuracy, marker="o", ms=3, lw=1.3, color=color, label=variant)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    dress(axes, title, "confidence", "accuracy")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return figure


def dress(axes: Axes, title: str, x: str, y: str) -> None:
    """Give axes the report's looks."""
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.set_xlabel(x, fontsize=8.5)
    axes.set_ylabel(y, fontsize=8.5)
    axes.tick_params(labelsize=8, color=FAINT)
    axes.grid(axis="y", color=FAINT, lw=0.6)
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
