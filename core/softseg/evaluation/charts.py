"""The report's diagrams, drawn with matplotlib (no window, no global state) as pictures that stand inside the page."""

from __future__ import annotations

import base64
import io
import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from softseg.evaluation.answers import Answers, level_names
from softseg.evaluation.calibration import Reliability
from softseg.evaluation.colors import as_hex

if TYPE_CHECKING:
    from softseg.evaluation.results import Report
    from softseg.tree import LabelTree

PAGE_WIDTH = 10.5
"""Width in inches of a report's text, so of a chart that stands alone; two side by side have half of it."""

INK, FAINT, ACCENT, SECOND = "#1d2330", "#d9dde3", "#1f6f8b", "#d1793b"
FEWEST = 30
"""A bin of a reliability curve with fewer voxels is not drawn: chance decides where it lies (our default)."""

MOST_LEVELS = 12
"""A diagram marks at most so many levels of a tree (our default)."""

SCORE_METRICS = {"dice": "Dice", "soft_dice": "soft Dice", "surface_dice": "surface Dice"}


def to_uri(figure: Figure, kind: str = "svg", dpi: int = 150) -> str:
    """Return a figure as a ``data:`` address that an HTML page can hold."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi, facecolor="white", metadata={"Date": None} if kind == "svg" else None)
    mime = "image/svg+xml" if kind == "svg" else f"image/{kind}"
    return f"data:{mime};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def some_of(levels: Sequence[int], most: int = MOST_LEVELS) -> list[int]:
    """Return levels that stand for all in a diagram: the first, the last, and evenly spaced ones between them."""
    if len(levels) <= most:
        return list(levels)
    return [levels[place] for place in np.linspace(0, len(levels) - 1, most).round().astype(int)]


def level_chart(report: Report) -> Figure:
    """Draw hard, soft and surface Dice over the levels: mean over nodes, then over cases; bars are one sd of cases."""
    summary = report.level_summary()
    figure = Figure(figsize=(5.2, 3.0), layout="constrained")
    axes = figure.subplots()
    levels = list(summary)
    for (metric, label), color, marker in zip(SCORE_METRICS.items(), (ACCENT, SECOND, "#7a7f8c"), "os^", strict=True):
        means = [summary[level][metric]["mean"] for level in levels]
        if not np.isfinite(means).any():
            continue
        sds = np.nan_to_num([summary[level][metric]["sd"] for level in levels])
        axes.errorbar(levels, means, yerr=sds, color=color, marker=marker, ms=5, lw=1.6, capsize=3, label=label)
    marked = some_of(levels)
    axes.set_xticks(marked, [f"{level}\n({report.judged(level)})" for level in marked])
    axes.set_ylim(0, 1.02)
    _dress(axes, "Score at each level of the tree", "level (nodes judged)", "mean over nodes (0 to 1)")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="lower left")
    return figure


def structure_chart(report: Report, level: int, colors: dict[str, tuple[int, int, int]]) -> Figure:
    """Draw the Dice of every node of a level, worst first: a dot per case, a box from 5 cases on.

    Parameters
    ----------
    report: the numbers.
    level: which cut.
    colors: of all nodes; a dot has the colour of its group (:func:`group_of`).
    """
    table = report.node_summary(level)
    values: dict[str, list[float]] = {}
    for row in report.nodes:
        if row["level"] == level and math.isfinite(row["dice"]):
            values.setdefault(row["node"], []).append(row["dice"])
    table = [row for row in table if row["node"] in values]
    columns = 1 if len(table) <= 40 else 2
    per_column = math.ceil(len(table) / columns)
    figure = Figure(figsize=(PAGE_WIDTH, 0.9 + 0.155 * max(per_column, 4)), layout="constrained")
    every_axes = np.atleast_1d(figure.subplots(1, columns))
    for number, axes in enumerate(every_axes):
        part = table[number * per_column : (number + 1) * per_column]
        _structures(axes, part, values, {row["node"]: as_hex(colors[group_of(report, row["node"])]) for row in part})
        axes.set_ylim(per_column - 0.4, -0.6)
    _groups_legend(figure, report, table, colors)
    return figure


def _structures(
    axes: Axes, part: Sequence[dict[str, Any]], values: dict[str, list[float]], colors: dict[str, str]
) -> None:
    for place, row in enumerate(part):
        own = values[row["node"]]
        color = colors[row["node"]]
        if len(own) >= 5:
            axes.boxplot(
                [own],
                positions=[place],
                orientation="horizontal",
                widths=0.6,
                showfliers=False,
                patch_artist=True,
                boxprops={"facecolor": color, "alpha": 0.35, "linewidth": 0.6},
                medianprops={"color": INK, "linewidth": 1.2},
                whiskerprops={"linewidth": 0.6},
                capprops={"linewidth": 0.6},
            )
        else:
            axes.hlines(place, 0, float(np.mean(own)), color=color, lw=1.2, alpha=0.5)
            axes.plot(float(np.mean(own)), place, marker="|", ms=6, mew=1.1, color=INK)
        axes.scatter(own, [place] * len(own), s=11 if len(own) < 5 else 5, color=color, edgecolor=INK, lw=0.3, zorder=3)
    axes.set_yticks(range(len(part)), [_short(row["name"], 42) for row in part], fontsize=7)
    axes.set_xlim(0, 1)
    _dress(axes, "", "Dice (0 to 1)", "")
    axes.grid(axis="y", color="#eef0f3", lw=0.5)


def size_chart(report: Report, level: int, colors: dict[str, tuple[int, int, int]]) -> Figure:
    """Draw Dice against the volume of each structure (means over cases); the lowest are named."""
    table = [
        row
        for row in report.node_summary(level)
        if math.isfinite(row["dice"]["mean"]) and row["volume_reference_ml"]["mean"] > 0
    ]
    figure = Figure(figsize=(5.2, 3.6), layout="constrained")
    axes = figure.subplots()
    if table:
        sizes = [row["volume_reference_ml"]["mean"] for row in table]
        scores = [row["dice"]["mean"] for row in table]
        faces = [as_hex(colors[group_of(report, row["node"])]) for row in table]
        axes.scatter(sizes, scores, s=26, c=faces, edgecolor=INK, lw=0.4, alpha=0.9)
        axes.set_xscale("log")
        _name_lowest(axes, [row["name"] for row in table], sizes, scores)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    _dress(axes, "Dice against the size of the structure", "volume in the reference (ml, logarithmic)", "Dice (0 to 1)")
    return figure


def _name_lowest(axes: Axes, names: Sequence[str], sizes: Sequence[float], scores: Sequence[float]) -> None:
    """Name the lowest dots, but none that would write over another."""
    written: list[tuple[float, float]] = []
    across = math.log10(max(sizes) / min(sizes)) or 1.0
    for name, size, score in list(zip(names, sizes, scores, strict=True))[:12]:
        if len(written) == 5:
            return
        if all(abs(score - y) > 0.045 or abs(math.log10(size / x)) > 0.45 * across for x, y in written):
            right = math.log10(size / min(sizes)) > 0.55 * across
            axes.annotate(
                _short(name, 28),
                (size, score),
                xytext=(-5 if right else 5, -2),
                textcoords="offset points",
                ha="right" if right else "left",
                fontsize=6.5,
                color=INK,
            )
            written.append((size, score))


def reliability_chart(curves: Sequence[tuple[str, Reliability]], what: str) -> Figure:
    """Draw reliability diagrams side by side: truth against confidence, with the fraction of voxels per bin below."""
    columns = min(6, len(curves))
    lines = math.ceil(len(curves) / columns)
    side = min(2.6, PAGE_WIDTH / columns)
    headings = ["\n".join([*textwrap.wrap(title, int(12 * side)), f"ECE {curve.error:.3f}"]) for title, curve in curves]
    above = 0.15 * max(heading.count("\n") for heading in headings)
    figure = Figure(figsize=(PAGE_WIDTH, (side + above + 0.6) * lines), layout="constrained")
    for place, (_, curve) in enumerate(curves):
        axes = figure.add_subplot(lines, columns, place + 1)
        confidence, truth = (np.where(curve.count >= FEWEST, part, np.nan) for part in curve.curve)
        edges = np.linspace(0, 1, len(confidence) + 1)
        fraction = curve.count / max(curve.count.sum(), 1)
        axes.bar(edges[:-1], fraction, width=np.diff(edges), align="edge", color=FAINT, edgecolor="white", lw=0.4)
        axes.plot([0, 1], [0, 1], color="#9aa1ad", lw=1, ls="--")
        axes.plot(confidence, truth, color=ACCENT, lw=1.5, marker="o", ms=3)
        axes.fill_between(confidence, confidence, truth, color=ACCENT, alpha=0.15, lw=0)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        _dress(axes, headings[place], "confidence" if place // columns == lines - 1 else "", "")
        axes.set_xticks([0, 0.5, 1])
        if place % columns == 0:
            axes.set_ylabel(what, fontsize=8)
    handles = [
        Line2D([], [], color=ACCENT, marker="o", ms=3, label="this prediction"),
        Line2D([], [], color="#9aa1ad", ls="--", label="perfectly calibrated"),
        Line2D([], [], color=FAINT, lw=6, label="fraction of voxels"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=7.5)
    return figure


def answer_chart(answers: Answers, tree: LabelTree) -> Figure:
    """Draw over the confidence how many voxels are answered at each level, and how often the answers are right."""
    figure = Figure(figsize=(PAGE_WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    fractions = np.nan_to_num(answers.fractions)
    names = level_names(tree)
    below = np.zeros(fractions.shape[1])
    for level in range(len(fractions), 0, -1):
        tone = 0.25 + 0.65 * level / len(fractions)
        color = tuple(1 - tone * (1 - channel) for channel in (0.12, 0.44, 0.55))
        label = f"{names[level - 1]}" if level < len(fractions) else "a leaf"
        axes.fill_between(answers.confidences, below, fractions[level - 1], color=color, lw=0, label=label)
        below = fractions[level - 1]
    axes.plot(answers.confidences, answers.accuracy, color=SECOND, lw=1.8, label="accuracy of the answers")
    at = answers.needed(0.95)
    if at is not None:
        axes.axvline(answers.confidences[at], color=INK, lw=0.9, ls=":")
        axes.annotate(
            "95 % right",
            (answers.confidences[at], 0.03),
            xytext=(4, 0),
            textcoords="offset points",
            fontsize=7,
            color=INK,
            bbox={"facecolor": "white", "alpha": 0.75, "lw": 0, "pad": 1.5},
        )
    axes.set(xlim=(0.5, 1), ylim=(0, 1.01))
    _dress(axes, "As deep as sure", "confidence", "fraction of the voxels, accuracy")
    figure.legend(loc="outside right upper", frameon=False, fontsize=7)
    return figure


def _groups_legend(figure: Figure, report: Report, table: Sequence[dict[str, Any]], colors: dict[str, Any]) -> None:
    names = {node.id: node.name for node in report.tree.nodes}
    found = {group_of(report, row["node"]) for row in table}
    groups = {id_: name for id_, name in names.items() if id_ in found}
    if 1 < len(groups) <= 12 and len(groups) < len(table):
        handles = [
            Line2D([], [], ls="", marker="o", color=as_hex(colors[id_]), label=name) for id_, name in groups.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=min(4, len(groups)), frameon=False, fontsize=7)


def group_level(tree: LabelTree) -> int:
    """Return the deepest level with at most 10 nodes beside the background; 1 where there is none."""
    return max((level for level, size in enumerate(tree.level_sizes) if level and size <= 11), default=1)


def group_of(report: Report, node: str) -> str:
    """Return the ancestor whose colour a node has in the diagrams: at the deepest level with at most 10 nodes."""
    path = report.tree.path(node)
    return path[min(len(path) - 1, group_level(report.tree))].id


def _dress(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, fontsize=9, color=INK, loc="left", fontweight="bold")
    axes.set_xlabel(x, fontsize=8, color=INK)
    axes.set_ylabel(y, fontsize=8, color=INK)
    axes.tick_params(labelsize=7, colors=INK, length=2)
    axes.grid(color="#eef0f3", lw=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b8bec8")


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
