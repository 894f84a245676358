"""A picture of a result: the labels on the scan in three planes."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softseg.data.cubes import read_channel
from softseg.evaluation.colors import node_colors
from softseg.evaluation.pictures import Stage, labels_figure
from softseg.evaluation.scans import upright_scan
from softseg.evaluation.slices import upright, upright_spacing

if TYPE_CHECKING:
    from softseg.soft.parcellation import SoftParcellation
    from softseg.tree import Cut

DPI = 110


def write_preview(
    parcellation: SoftParcellation, scan: Path, path: Path, *, cut: Cut, kept: Collection[str] | None = None
) -> Path:
    """Draw the labels at a cut on the scan, in three planes through the middle of what was found.

    Parameters
    ----------
    parcellation: what was predicted.
    scan: the image that it lies on.
    path: a name that ends in ``.png``.
    cut: of its tree.
    kept: ids of the nodes that are drawn; all but the background by default.
    """
    background = parcellation.tree.background
    shown = [
        (node, value)
        for node, value in zip(cut.nodes, cut.values, strict=True)
        if (background is None or node.id != background.id) and (kept is None or node.id in kept)
    ]
    position = np.full(1 + max([*cut.values, 0]), -1, np.int16)
    for place, (_, value) in enumerate(shown):
        position[value] = place
    geometry = parcellation.geometry
    labels = upright(position[parcellation.labels(cut)], geometry)
    colors = node_colors(parcellation.tree)
    stage = Stage.of(
        upright_scan(read_channel(scan)),
        [labels],
        upright_spacing(geometry),
        {0: [colors[node.id] for node, _ in shown]},
    )
    names = ", ".join(node.name for node, _ in shown[:4])
    more = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    labels_figure(stage, [(f"{names}{more}", 0, labels, None)]).savefig(path, format="png", dpi=DPI, facecolor="white")
    return path
