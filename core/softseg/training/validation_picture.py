"""The picture of a validation: the network's labels above those of the reference, in planes through one case."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from softseg.data.plan import MANY_BANDS
from softseg.evaluation.colors import node_colors
from softseg.evaluation.slices import Labels, Planes, blend, box_around, grey, telling_point, upright, upright_spacing
from softseg.files import write_beside

if TYPE_CHECKING:
    import numpy.typing as npt

    from softseg.data import PreparedCase
    from softseg.image import Geometry
    from softseg.soft.labels import SoftLabels
    from softseg.tree import LabelTree

_WIDTH_INCHES, _DPI = 4.8, 160
_PAPER, _INK = "#14181f", "#ffffff"


def draw_validation(
    probabilities: npt.NDArray[np.floating],
    reference: SoftLabels,
    case: PreparedCase,
    tree: LabelTree,
    path: Path,
    step: int,
) -> None:
    """Draw the most probable leaves, and the reference below them, to ``path`` (PNG, 768 pixels wide).

    Parameters
    ----------
    probabilities: ``[C, k, j, i]``, probabilities of the leaves.
    reference: the labels that count, on the same grid; what is unlabelled is left grey.
    case: the case, for its scan (first channel) and grid.
    tree: of both; gives the colours.
    path: the file; it appears only when complete.
    step: how much the network had learnt.
    """
    own = upright(_shown(probabilities.argmax(axis=0), tree), case.geometry)
    given = upright(_shown(reference.largest(), tree), case.geometry)
    shown = case.image[0] if len(case.image) < MANY_BANDS else case.image.mean(axis=0)
    scan = upright(np.asarray(shown, np.float32), case.geometry)
    colors = node_colors(tree)
    palette = [colors[node.id] for node in (*tree.leaves, *tree.inner_nodes)]
    planes = _planes(given, own, case.geometry)
    under = grey(scan, scan.shape, planes.box)
    figure, every_axes = _grid(planes)
    rows = ((f"network, step {step}", own), (f"reference, {case.id}", given))
    for line, (title, labels) in zip(every_axes, rows, strict=True):
        for axes, axis in zip(line, planes.axes, strict=True):
            planes.draw(axes, blend(planes.of(under, axis), planes.of(labels, axis), palette), axis)
            planes.letters(axes, axis)
        line[0].set_title(title, loc="left", fontsize=8, color=_INK, pad=3)
    with write_beside(path) as temporary:
        figure.savefig(temporary, format="png", facecolor=_PAPER)


def _shown(classes: npt.NDArray[Any], tree: LabelTree) -> Labels:
    """Return class indices with -1 for background; unlabelled is -1 already."""
    background = tree.background
    if background is not None:
        classes = np.where(classes == tree.leaf_index(background.id), -1, classes)
    return np.asarray(classes, np.int16)


def _planes(given: Labels, own: Labels, geometry: Geometry) -> Planes:
    mask = given >= 0
    mask = mask if mask.any() else own >= 0
    spacing = upright_spacing(geometry)
    return Planes(spacing, box_around(mask, spacing, 25.0), telling_point(mask))


def _grid(planes: Planes) -> tuple[Figure, npt.NDArray[Any]]:
    sizes = [planes.extent(axis) for axis in planes.axes]
    widths = [width for width, _ in sizes]
    picture = _WIDTH_INCHES * max(height for _, height in sizes) / max(sum(widths), 1e-6)
    tight = ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.02)
    figure = Figure(figsize=(_WIDTH_INCHES, 2 * (min(picture, _WIDTH_INCHES) + 0.25)), dpi=_DPI, layout=tight)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(2, len(widths), width_ratios=widths, squeeze=False)
