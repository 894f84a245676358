"""Pictures of how cost grows, one per curve."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from measure import Curve

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter, NullFormatter

_COLOURS = ("#1b6ca8", "#d1495b", "#3a7d44", "#7d5ba6")
_PEERS = {"F.cross_entropy": "#8f8f8f", "MONAI DiceCELoss": "#e0a030"}
_MARKERS = "osD^vP"


def draw(curve: Curve, folder: Path) -> Path:
    """Write ``bench_SUITE_NAME.png`` into ``folder`` and return its path."""
    figure, axes = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    for position, (name, points) in enumerate(curve.series.items()):
        across, up = zip(*points, strict=True)
        style = {
            "color": _PEERS.get(name, _COLOURS[position % len(_COLOURS)]),
            "marker": _MARKERS[position % len(_MARKERS)],
        }
        axes.plot(across, up, label=name, linewidth=2 if position == 0 else 1.4, markersize=5, **style)
    if curve.linear:
        across, up = zip(*curve.series[curve.linear], strict=True)
        slope = up[-1] / across[-1]
        ends = (across[0], across[-1])
        axes.plot(
            ends, [slope * end for end in ends], color="black", linewidth=0.8, linestyle="--", label="exactly linear"
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({point[0] for points in curve.series.values() for point in points})
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlabel(curve.x_label)
    axes.set_ylabel(curve.y_label)
    axes.set_title(curve.title, fontsize=11, loc="left")
    axes.grid(visible=True, which="major", color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"bench_{curve.suite}_{curve.name}.png"
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
