"""The report of one prediction, where there is no reference: what was found, where, how much, and how sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softseg.data.cubes import ChannelImage, Cube, read_channel
from softseg.data.preprocess import same_voxels
from softseg.errors import InputError
from softseg.evaluation.charts import group_level, to_uri
from softseg.evaluation.colors import Color, as_hex, node_colors
from softseg.evaluation.icicle import IcicleBox, icicle
from softseg.evaluation.page import number, volume_text, write_page
from softseg.evaluation.pictures import (
    Stage,
    entropy_figure,
    heat_figure,
    labels_figure,
    legend_figure,
    volumes_of,
)
from softseg.evaluation.probabilities import ParcellationProbabilities
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.scans import upright_scan
from softseg.evaluation.slices import upright, upright_spacing
from softseg.events import Events
from softseg.image import Image

if TYPE_CHECKING:
    from softseg.soft.parcellation import NodeVolume, SoftParcellation
    from softseg.tree import Cut, LabelTree

UNSURE = 0.5
"""A voxel whose best leaf has less than this probability counts as unsure (our default)."""


@dataclass(frozen=True)
class About:
    """What a page says of the run that made a result.

    Attributes
    ----------
    scans: names of the images.
    models: of each model ``name``, ``licence``, ``use``, ``limitations`` and ``permissive`` (empty where the licence
        forbids something).
    warnings: what was warned about.
    kept: ids of the nodes that the page is about, None for all.
    """

    scans: tuple[str, ...] = ()
    models: tuple[dict[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    kept: frozenset[str] | None = None


def render_prediction_report(
    parcellation: SoftParcellation,
    image: ChannelImage | str | PathLike[str] | None,
    out: str | PathLike[str],
    *,
    nodes: Sequence[str] = (),
    title: str = "",
    events: Events | None = None,
    about: About | None = None,
    volumes: Sequence[NodeVolume] | None = None,
) -> Path:
    """Write one HTML page about a prediction: labels at every level, heat maps, uncertainty, volumes.

    Parameters
    ----------
    parcellation: what was predicted.
    image: the scan (or its file) that the pictures are drawn on, on the same grid; None draws on a dark ground.
    out: the page, a name that ends in ``.html``; it needs no network and no other file.
    nodes: ids or names of the nodes whose heat maps are shown; by default the three largest of a coarse level.
    title: headline; made from the tree's name by default.
    events: receives progress; checked for cancellation.
    about: what is known of the run; nothing by default.
    volumes: of all nodes, with their intervals where there are some; counted by default.

    Raises
    ------
    InputError: a node is not in the tree, the scan is damaged or lies on another grid, or the page cannot be written.
    """
    events = Events() if events is None else events
    tree = parcellation.tree
    rows, colors = TreeRows.of(tree), node_colors(tree)
    about = About() if about is None else about
    volumes = parcellation.volumes() if volumes is None else volumes
    volumes = [volume for volume in volumes if about.kept is None or volume.id in about.kept]
    shown = [tree.find(node).id for node in nodes] or _largest(parcellation, volumes)
    scan = image if isinstance(image, (Image, Cube)) or image is None else read_channel(image)
    if scan is not None and not same_voxels(scan.geometry, parcellation.geometry):
        raise InputError(
            "the scan lies on another grid than the parcellation",
            file=None if isinstance(image, (Image, Cube)) or image is None else image,
            hint="give the image that was predicted",
        )
    levels = [level for level in range(1, tree.depth + 1) if _shows(tree, level, about.kept)]
    probabilities = ParcellationProbabilities(parcellation, tree, Path(parcellation.model or "parcellation"))
    events.check()
    found = volumes_of(probabilities, rows, levels, shown)
    geometry = parcellation.geometry
    for level, array in found.labels.items():
        array[np.isin(array, _left_out(tree.cut_at(level), about.kept))] = -1
    labels = {level: upright(array, geometry) for level, array in found.labels.items()}
    events.check()
    stage = Stage.of(
        None if scan is None else upright_scan(scan),
        [labels[tree.depth]],
        upright_spacing(geometry),
        {level: [colors[node.id] for node in tree.cut_at(level).nodes] for level in levels},
    )
    maps = [(f"Probability of {tree.node(node).name}", upright(found.nodes[node], geometry), None) for node in shown]
    doubt = upright(parcellation.entropy(tree.depth, normalize=True), geometry)
    events.check()
    lines = [(f"Level {level}: {_names(parcellation, level)}", level, labels[level], None) for level in levels]
    values: dict[str, Any] = {
        "title": title or f"Soft segmentation with {tree.name or 'a label tree'}",
        "parcellation": parcellation,
        "tree": tree,
        "today": datetime.now(timezone.utc).date().isoformat(),
        "grid": " × ".join(map(str, geometry.size)),
        "spacing": " × ".join(f"{mm:.3g}" for mm in geometry.spacing),
        "cards": _cards(parcellation, volumes),
        "unsure": UNSURE,
        "labels": to_uri(labels_figure(stage, lines), "png", 110),
        "legend": _legend(parcellation, colors),
        "heat": to_uri(heat_figure(stage.under, stage.planes.spacing, maps), "png", 120),
        "heat_names": ", ".join(tree.node(node).name for node in shown),
        "doubt": to_uri(entropy_figure(stage, doubt), "png", 120),
        "icicle": icicle(tree, _cells(parcellation, volumes)),
        "ramp": ", ".join(_volume_color(step / 10) for step in range(11)),
        "range": _range(parcellation, volumes),
        "volumes": _table(parcellation, volumes, colors),
        "intervals": any(math.isfinite(volume.soft_ml_low) for volume in volumes),
        "about": about,
    }
    events.check()
    return write_page("prediction.html", Path(out), values)


def _left_out(cut: Cut, kept: frozenset[str] | None) -> list[int]:
    """Return the positions in a cut of the nodes that are not shown."""
    return [place for place, node in enumerate(cut.nodes) if kept is not None and node.id not in kept]


def _shows(tree: LabelTree, level: int, kept: frozenset[str] | None) -> bool:
    """Whether all that is kept can be seen at a level."""
    leaves = {leaf.id for leaf in tree.leaves}
    return kept is None or leaves & kept == {
        leaf.id
        for node in tree.cut_at(level).nodes
        if node.id in kept
        for leaf in tree.leaves[tree.leaf_slice(node.id)]
    }


def _foreground(parcellation: SoftParcellation, volumes: Sequence[NodeVolume]) -> list[NodeVolume]:
    tree = parcellation.tree
    left_out = {tree.root.id} | ({tree.background.id} if tree.background is not None else set())
    return [volume for volume in volumes if volume.id not in left_out]


def _largest(parcellation: SoftParcellation, volumes: Sequence[NodeVolume]) -> list[str]:
    level = {node.id for node in parcellation.tree.cut_at(group_level(parcellation.tree)).nodes}
    foreground = _foreground(parcellation, volumes)
    here = [volume for volume in foreground if volume.id in level] or foreground
    return [volume.id for volume in sorted(here, key=lambda volume: -volume.soft_ml)[:3]]


def _names(parcellation: SoftParcellation, level: int) -> str:
    cut = [node for node in parcellation.tree.cut_at(level).nodes if node != parcellation.tree.background]
    if len(cut) > 4:
        return f"{len(cut)} nodes"
    return ", ".join(node.name for node in cut)


def _cards(parcellation: SoftParcellation, volumes: Sequence[NodeVolume]) -> list[dict[str, str]]:
    tree = parcellation.tree
    leaves = {leaf.id for leaf in tree.leaves}
    own = [volume for volume in _foreground(parcellation, volumes) if volume.id in leaves]
    soft, hard = sum(volume.soft_ml for volume in own), sum(volume.hard_ml for volume in own)
    found = sum(volume.hard_ml > 0 for volume in own)
    return [
        {
            "label": "Soft volume",
            "value": f"{soft:.1f}",
            "unit": "ml",
            "what": "sum of all probabilities but background",
        },
        {"label": "Hard volume", "value": f"{hard:.1f}", "unit": "ml", "what": "voxels whose label is not background"},
        {"label": "Structures", "value": str(found), "unit": f"of {len(own)}", "what": "leaves that win a voxel"},
        {"label": "Unsure", "value": f"{100 * _unsure(parcellation):.1f}", "unit": "%", "what": _UNSURE_WHAT},
    ]


_UNSURE_WHAT = f"of the labelled voxels: the best leaf has less than {UNSURE:g}"


def _unsure(parcellation: SoftParcellation) -> float:
    """Return the fraction of foreground voxels whose most probable leaf has a small probability."""
    counts = parcellation.counts.reshape(-1).astype(np.int64)
    starts = np.cumsum(counts) - counts
    stored = counts > 0
    if not stored.any():
        return 0.0
    best = np.maximum.reduceat(parcellation.shares, starts[stored])
    if parcellation.background is None:
        labelled = np.ones(best.size, bool)
    else:
        background = np.where(parcellation.leaves == parcellation.background, parcellation.shares, 0)
        labelled = np.maximum.reduceat(background, starts[stored]) < best
    return float((best[labelled] < 255 * UNSURE).mean()) if labelled.any() else 0.0


def _legend(parcellation: SoftParcellation, colors: dict[str, Color]) -> dict[str, Any]:
    tree = parcellation.tree
    level = group_level(tree)
    nodes = [node for node in tree.cut_at(level).nodes if node != tree.background][:24]
    figure = legend_figure([node.name for node in nodes], [colors[node.id] for node in nodes])
    return {"uri": to_uri(figure), "level": level}


def _range(parcellation: SoftParcellation, volumes: Sequence[NodeVolume]) -> tuple[float, float]:
    positive = [volume.soft_ml for volume in _foreground(parcellation, volumes) if volume.soft_ml > 0] or [1.0]
    low, high = 10 ** math.floor(math.log10(min(positive))), 10 ** math.ceil(math.log10(max(positive)))
    return max(low, 1e-3), max(high, 1e-2)


def _cells(parcellation: SoftParcellation, volumes: Sequence[NodeVolume]) -> dict[str, IcicleBox]:
    low, high = _range(parcellation, volumes)
    cells = {}
    for volume in _foreground(parcellation, volumes):
        place = math.log10(max(volume.soft_ml, low) / low) / math.log10(high / low)
        hint = f"{volume.name}: soft {volume.soft_ml:.4g} ml, hard {volume.hard_ml:.4g} ml"
        cells[volume.id] = IcicleBox(_volume_color(place), volume_text(volume.soft_ml), hint)
    return cells


def _volume_color(place: float) -> str:
    import matplotlib as mpl

    red, green, blue, _ = mpl.colormaps["YlGnBu"](0.05 + 0.9 * min(max(place, 0.0), 1.0))
    return as_hex((round(255 * red), round(255 * green), round(255 * blue)))


def _table(
    parcellation: SoftParcellation, volumes: Sequence[NodeVolume], colors: dict[str, Color]
) -> list[dict[str, Any]]:
    soft = {volume.id: volume.soft_ml for volume in volumes}
    table = []
    for volume in _foreground(parcellation, volumes):
        node = parcellation.tree.node(volume.id)
        above = soft.get(node.parent or "", 0.0) if node.parent != parcellation.tree.root.id else 0.0
        between = f"{number(volume.soft_ml_low, 2)} to {number(volume.soft_ml_high, 2)}"
        table.append(
            {
                "name": volume.name,
                "depth": volume.depth,
                "color": as_hex(colors[volume.id]),
                "soft": number(volume.soft_ml, 2),
                "hard": number(volume.hard_ml, 2),
                "between": between if math.isfinite(volume.soft_ml_low) else "",
                "part": 100 * volume.soft_ml / above if above > 0 else math.nan,
            }
        )
    return table
