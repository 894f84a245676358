"""Pictures of a case: labels at several levels, where they are wrong and how far in the tree, heat maps of nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from softseg.evaluation.colors import Color, as_hex
from softseg.evaluation.slices import (
    Box,
    Labels,
    Planes,
    blend,
    box_around,
    fullest_point,
    grey,
    is_picture,
    telling_point,
)
from softseg.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from softseg.evaluation.probabilities import NodeProbabilities
    from softseg.evaluation.rows import TreeRows

HEAT, BORDER = "inferno", "#35e0ff"
_INK = "#1d2330"


@dataclass(eq=False)
class Volumes:
    """Hard labels and soft maps of one side of a case.

    Attributes
    ----------
    labels: per level int16 ``(k, j, i)``: position in the cut, -1 for background and unlabelled.
    nodes: per node id float32 ``(k, j, i)``: summed probability.
    labelled: ``(k, j, i)``: whether there is any label at all, background included.
    """

    labelled: BoolArray
    labels: dict[int, Labels] = field(default_factory=dict)
    nodes: dict[str, FloatArray] = field(default_factory=dict)


def volumes_of(
    probabilities: NodeProbabilities, rows: TreeRows, levels: Sequence[int], nodes: Sequence[str] = ()
) -> Volumes:
    """Return the label maps at some levels and the soft maps of some nodes.

    Parameters
    ----------
    probabilities: what is drawn.
    rows: of its tree.
    levels: 1 to the tree's depth.
    nodes: ids.
    """
    shape = probabilities.geometry.shape
    result = Volumes(
        np.zeros(shape, np.bool_),
        {level: np.full(shape, -1, np.int16) for level in levels},
        {node: np.zeros(shape, np.float32) for node in nodes},
    )
    row_of = {node.id: row for row, node in enumerate(rows.tree.nodes)}
    for k in range(shape[0]):
        index, probability = probabilities.slice(k)
        result.labelled[k].flat[:] = probability.any(axis=0)
        voxels = np.flatnonzero(((probability > 0) & (rows.row_of_class[index] != rows.background)).any(axis=0))
        if voxels.size == 0:
            continue
        block = rows.from_classes(index[:, voxels], probability[:, voxels])
        for level in levels:
            cut = rows.levels[level - 1]
            label = block[cut].argmax(axis=0).astype(np.int16)
            label[(cut[label] == rows.background) | (block[cut].max(axis=0) <= 0)] = -1
            result.labels[level][k].flat[voxels] = label
        for node in nodes:
            result.nodes[node][k].flat[voxels] = block[row_of[node]]
    return result


@dataclass(frozen=True, eq=False)
class Stage:
    """What all pictures of a case share: the scan, the planes, the colours of each level's nodes.

    Attributes
    ----------
    under: grey values 0..1 ``(k, j, i)``, or colours 0..1 ``[k, j, i, 3]``, upright.
    planes: which planes are drawn.
    colors: per level the colours of the cut's nodes.
    """

    under: FloatArray
    planes: Planes
    colors: Mapping[int, Sequence[Color]]

    @staticmethod
    def of(
        scan: npt.NDArray[Any] | None,
        labels: Sequence[Labels],
        spacing: tuple[float, float, float],
        colors: Mapping[int, Sequence[Color]],
    ) -> Stage:
        """Choose planes through about the middle of everything that is labelled (all volumes upright)."""
        mask = np.logical_or.reduce([volume >= 0 for volume in labels])
        planes = Planes(spacing, box_around(mask, spacing, 8.0), telling_point(mask), not is_picture(scan))
        return Stage(grey(scan, mask.shape, planes.box), planes, colors)


def labels_figure(stage: Stage, rows: Sequence[tuple[str, int, Labels, Labels | None]]) -> Figure:
    """Draw one row of planes per entry.

    Parameters
    ----------
    stage: scan, planes, colours.
    rows: title, level, label map that is filled, and label map whose borders are drawn over it (or None).
    """
    figure, every_axes = _grid(stage.planes, len(rows))
    for line, (title, level, filled, outlined) in zip(every_axes, rows, strict=True):
        for axes, axis in zip(line, stage.planes.axes, strict=True):
            under = stage.planes.of(stage.under, axis)
            picture = blend(under, stage.planes.of(filled, axis), stage.colors[level])
            stage.planes.draw(axes, picture, axis)
            if outlined is not None:
                border = stage.planes.of(outlined, axis)
                for label in np.unique(border[border >= 0]):
                    stage.planes.outline(axes, border == label, axis, BORDER, 0.8)
            stage.planes.letters(axes, axis)
        _title(line, title)
    return figure


def errors_figure(stage: Stage, distance: FloatArray) -> Figure:
    """Draw where the leaf is wrong, coloured by the number of edges to the right one (nan where it is right)."""
    figure, every_axes = _grid(stage.planes, 1)
    most = max(float(np.nanmax(distance)) if np.isfinite(distance).any() else 1.0, 1.0)
    drawn = None
    for axes, axis in zip(every_axes[0], stage.planes.axes, strict=True):
        stage.planes.draw(axes, stage.planes.of(stage.under, axis) * 0.8, axis, cmap="gray", vmin=0, vmax=1)
        drawn = stage.planes.draw(axes, stage.planes.of(distance, axis), axis, cmap="plasma", vmin=0, vmax=most)
        stage.planes.letters(axes, axis)
    _title(every_axes[0], "Wrong leaves and how far off they are in the tree")
    _color_bar(drawn, every_axes[0], "distance in the tree (edges)", whole=True)
    return figure


def heat_figure(
    under: FloatArray,
    spacing: tuple[float, float, float],
    maps: Sequence[tuple[str, FloatArray, FloatArray | None]],
) -> Figure:
    """Draw soft maps, zoomed in on each, with the border of the reference.

    Parameters
    ----------
    under: grey values or colours of the scan, upright.
    spacing: its spacing.
    maps: title, probability 0..1, and the reference's probability (or None), all upright.
    """
    planes = [
        replace(_zoom(probability, reference, spacing), sides=not is_picture(under))
        for _, probability, reference in maps
    ]
    columns = max(len(own.axes) for own in planes)
    width, height = (9.6, 3.4) if columns > 1 else (5.0, 4.6)
    figure, every_axes = _rows(len(maps), width, height, [1.0] * columns)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, 1), HEAT)
    for line, own, (title, probability, reference) in zip(every_axes, planes, maps, strict=True):
        for axes in line:
            axes.set_axis_off()
        for axes, axis in zip(line, own.axes, strict=False):
            axes.set_axis_on()
            own.draw(axes, own.of(under, axis), axis, cmap="gray", vmin=0, vmax=1)
            value = own.of(probability, axis)
            over = mpl.colormaps[HEAT](value)
            over[..., 3] = np.clip(value * 3, 0, 0.85)
            own.draw(axes, over, axis)
            if reference is not None:
                own.outline(axes, own.of(reference, axis) >= 0.5, axis, BORDER, 1.1)
            own.letters(axes, axis)
        _title(line, title)
        _color_bar(scale, line, "probability of the node (0 to 1)")
    return figure


def legend_figure(names: Sequence[str], colors: Sequence[Color]) -> Figure:
    """Draw the colours of a level's nodes with their names."""
    columns = min(4, len(names))
    lines = -(-len(names) // columns)
    figure = Figure(figsize=(9.6, 0.1 + 0.24 * lines))
    handles = [
        mpl.lines.Line2D([], [], ls="", marker="s", ms=8, color=as_hex(color), mec=_INK, mew=0.4, label=name)
        for name, color in zip(names, colors, strict=True)
    ]
    figure.legend(handles=handles, loc="center left", ncols=columns, frameon=False, fontsize=8)
    return figure


def _zoom(probability: FloatArray, reference: FloatArray | None, spacing: tuple[float, float, float]) -> Planes:
    mask = probability >= 0.25 if reference is None else (reference >= 0.5) | (probability >= 0.5)
    mask = mask if mask.any() else probability > 0
    look = mask if reference is None or not (reference >= 0.5).any() else reference >= 0.5
    tight = box_around(mask, spacing, 14.0)
    side = max((part.stop - part.start) * mm for part, mm in zip(tight, spacing, strict=True))
    return Planes(spacing, _window(tight, side, spacing, mask.shape), fullest_point(look))


def _window(box: Box, side_mm: float, spacing: tuple[float, float, float], shape: tuple[int, ...]) -> Box:
    """Return a cube of ``side_mm`` around a box, moved into the volume and cut off where that is smaller."""
    parts = []
    for part, mm, size in zip(box, spacing, shape, strict=True):
        wanted = min(max(round(side_mm / mm), part.stop - part.start), size)
        start = min(max((part.start + part.stop - wanted) // 2, 0), size - wanted)
        parts.append(slice(start, start + wanted))
    return parts[0], parts[1], parts[2]


def _grid(planes: Planes, lines: int) -> tuple[Figure, list[Any]]:
    """Return a figure with a row of axes per line, as wide as the planes are in mm."""
    widths = [planes.extent(axis)[0] for axis in planes.axes]
    tallest = max(planes.extent(axis)[1] for axis in planes.axes)
    width = 9.6 if len(widths) > 1 else 5.0
    height = min(width * tallest / max(sum(widths), 1e-6), 4.2)
    return _rows(lines, width, height + 0.4, widths)


def _rows(lines: int, width: float, height: float, ratios: Sequence[float]) -> tuple[Figure, list[Any]]:
    """Return a figure of ``lines`` rows, each a part with a title of its own, and their axes."""
    figure = Figure(figsize=(width, lines * height), layout="constrained")
    parts = figure.subfigures(lines, 1, squeeze=False)[:, 0]
    return figure, [part.subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0] for part in parts]


def _title(line: Sequence[Axes], title: str) -> None:
    line[0].figure.suptitle(title, x=0.005, ha="left", fontsize=9, fontweight="bold", color=_INK)


def _color_bar(drawn: Any, line: Sequence[Axes], label: str, whole: bool = False) -> None:
    bar = line[0].figure.colorbar(drawn, ax=list(line), fraction=0.025, pad=0.015)
    bar.set_label(label, fontsize=8, color=_INK)
    bar.ax.tick_params(labelsize=7, colors=_INK)
    bar.outline.set_visible(False)
    if whole:
        bar.locator = MaxNLocator(integer=True)
        bar.update_ticks()


def entropy_figure(stage: Stage, doubt: FloatArray) -> Figure:
    """Draw the normalised entropy of the leaves (0 sure, 1 complete uncertainty), upright."""
    figure, every_axes = _grid(stage.planes, 1)
    drawn = None
    for axes, axis in zip(every_axes[0], stage.planes.axes, strict=True):
        drawn = stage.planes.draw(axes, stage.planes.of(doubt, axis), axis, cmap="magma", vmin=0, vmax=0.5)
        stage.planes.letters(axes, axis)
    _title(every_axes[0], "Doubt between leaves")
    _color_bar(drawn, every_axes[0], "entropy / ln(leaves), 0 to 0.5")
    return figure
