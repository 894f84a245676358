"""Two pictures: one scan at several levels of the tree, and soft labels beside what a network learned from them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from softseg.evaluation.colors import node_colors
from softseg.evaluation.slices import Planes, blend, box_around, grey, telling_point, upright, upright_spacing
from softseg.files import write_beside
from softseg.image import Image
from softseg.soft.parcellation import SoftParcellation

HEAT = "inferno"
_GROUND, _INK = "#0b0e14", "#e8eaee"


def write_overview(stored: SoftParcellation, scan: Image, levels: Sequence[int], node: str, path: Path) -> Path:
    """Draw an axial slice of the scan, its labels at ``levels`` (root 0) and the probability of ``node``."""
    tree, colors = stored.tree, node_colors(stored.tree)
    probability = upright(stored.probability(node), stored.geometry)
    volume = upright(scan.array, scan.geometry)
    planes = _planes(volume, scan)
    under = planes.of(grey(volume, volume.shape, planes.box), 0)
    panels: list[tuple[str, npt.NDArray[Any]]] = [("scan", np.repeat(under[..., None], 3, axis=2))]
    for level in levels:
        cut = tree.cut_at(level)
        labels = upright(stored.labels(cut), stored.geometry)
        shown = [node for node in cut.nodes if node != tree.background]
        places = np.full(max(cut.values) + 1, -1, np.int16)
        places[[tree.value_of(node.id) for node in shown]] = np.arange(len(shown))
        picture = blend(under, places[planes.of(labels, 0)], [colors[node.id] for node in shown])
        panels.append((f"level {level}: {len(shown)} structures", picture))
    panels.append((f"probability of {tree.node(node).name}", _heat(planes.of(probability, 0))))
    return _write(panels, planes, path)


def write_comparison(scan: Image, truth: Image, learned: Image, name: str, path: Path) -> Path:
    """Draw a scan, the probability of ``name`` that a network should find in it, and the probability that it found."""
    volume = upright(scan.array, scan.geometry)
    planes = _planes(volume, scan)
    under = planes.of(grey(volume, volume.shape, planes.box), 0)
    probabilities = [planes.of(upright(image.array, image.geometry), 0) for image in (truth, learned)]
    panels = [
        ("scan, not used in training", np.repeat(under[..., None], 3, axis=2)),
        (f"{name}: soft label", _heat(probabilities[0])),
        (f"{name}: learned", _heat(probabilities[1])),
        ("difference", _heat(np.abs(probabilities[0] - probabilities[1]))),
    ]
    return _write(panels, planes, path)


def _planes(volume: npt.NDArray[Any], scan: Image) -> Planes:
    spacing = upright_spacing(scan.geometry)
    return Planes(spacing, box_around(volume > 0, spacing, 4.0), telling_point(volume > 0))


def _heat(probability: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.asarray(mpl.colormaps[HEAT](np.clip(probability, 0, 1))[..., :3])


def _write(panels: list[tuple[str, npt.NDArray[Any]]], planes: Planes, path: Path) -> Path:
    """Draw the panels in a row, with one bar for probabilities 0 to 1."""
    width, height = planes.extent(0)
    size = (2.6 * len(panels) + 0.7, 2.6 * height / width + 0.35)
    figure = Figure(figsize=size, layout="constrained", facecolor=_GROUND)
    every_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, picture) in zip(every_axes, panels, strict=True):
        planes.draw(axes, picture, 0)
        axes.set_title(title, color=_INK, size=9)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), HEAT)
    bar = figure.colorbar(scale, ax=list(every_axes), shrink=0.85, aspect=30, pad=0.01)
    bar.ax.tick_params(colors=_INK, labelsize=7)
    with write_beside(path) as temporary:
        figure.savefig(temporary, dpi=150, facecolor=_GROUND)
    return path
