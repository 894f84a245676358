"""The picture of a training: loss, Dice per level (of scribbles accuracy and macro F1) if evaluated, learning rate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from softseg.training.curves import Curve

STYLES = {"soft_dice": "--", "accuracy": ":"}
"""Lines of scores by their kind, where they are not solid."""


def draw_curve(curve: Curve, path: Path, title: str) -> None:
    """Draw ``curve`` to ``path`` (PNG); no display is needed."""
    scored = bool(curve.scores)
    figure = Figure(figsize=(10, 7.5 if scored else 4.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(3 if scored else 2, 1, sharex=True, height_ratios=[4, *([4] if scored else []), 1.3])
    upper, lower = panels[0], panels[-1]
    figure.suptitle(title, fontsize=12, fontweight="bold")
    steps = range(1, len(curve.losses) + 1)
    upper.plot(steps, curve.losses, color="#9ecae1", linewidth=0.6, label="each step")
    upper.plot(steps, curve.smooth(), color="#08519c", linewidth=1.6, label="running mean")
    upper.set_ylabel("loss")
    if curve.losses and min(curve.losses) > 0 and max(curve.losses) > 20 * min(curve.losses):
        upper.set_yscale("log")
    upper.legend(frameon=False, fontsize=8)
    if scored:
        _draw_scores(panels[1], curve)
    lower.plot(steps, curve.rates, color="#636363", linewidth=1.2)
    lower.set_ylabel("learning rate")
    lower.set_xlabel("step")
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="png")


def _distinct_scores(curve: Curve) -> list[str]:
    """Return the scores' names without levels that equal the leaves (the deepest one of most trees).

    Where labelled voxels alone are evaluated, Dice of a case's few voxels is left to metrics.csv.
    """
    names = sorted({name for scores in curve.scores.values() for name in scores})
    if any(name.startswith("f1/") for name in names):
        names = [name for name in names if name.startswith(("f1/", "accuracy/"))]
    return [name for name in names if not _repeats_the_leaves(name, curve)]


def _repeats_the_leaves(name: str, curve: Curve) -> bool:
    leaves = f"{name.partition('/')[0]}/leaves"
    return name != leaves and all(scores.get(name) == scores.get(leaves) for scores in curve.scores.values())


def _draw_scores(axes: Any, curve: Curve) -> None:
    import matplotlib

    names = _distinct_scores(curve)
    places = list(dict.fromkeys(name.partition("/")[2] for name in names))
    colors = matplotlib.colormaps["viridis"]
    for name in names:
        kind, _, place = name.partition("/")
        shade = colors(places.index(place) / max(1, len(places) - 1) * 0.9)
        points = [(step, scores[name]) for step, scores in sorted(curve.scores.items()) if name in scores]
        axes.plot(
            [step for step, _ in points],
            [score for _, score in points],
            color=shade,
            linestyle=STYLES.get(kind, "-"),
            linewidth=1.2,
            marker="o",
            markersize=2.5,
            label=f"{kind.replace('_', ' ').replace('f1', 'macro F1')}, {place}",
        )
    scribbles = any(name.startswith("f1/") for name in names)
    axes.set_ylabel("scores of labelled voxels" if scribbles else "Dice on validation cases")
    axes.set_ylim(0, 1)
    axes.legend(frameon=False, fontsize=7, ncols=2, loc="lower right")
