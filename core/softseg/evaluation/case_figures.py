"""The pictures of one case of an evaluation."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from softseg.data.cubes import read_channel
from softseg.evaluation.charts import group_level, to_uri
from softseg.evaluation.colors import Color
from softseg.evaluation.measure import hop_distances
from softseg.evaluation.pictures import (
    Stage,
    Volumes,
    errors_figure,
    heat_figure,
    labels_figure,
    legend_figure,
    volumes_of,
)
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.scans import upright_scan
from softseg.evaluation.slices import Labels, upright, upright_spacing
from softseg.evaluation.sources import read_prediction, read_reference
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.evaluation.pairs import Pair
    from softseg.evaluation.results import Report
    from softseg.events import Events
    from softseg.image import Geometry


def case_figures(report: Report, pair: Pair, colors: dict[str, Color], events: Events) -> list[dict[str, str]]:
    """Return the pictures of a case: ``uri``, ``alt`` and ``caption`` each.

    Raises
    ------
    InputError: a file is missing or damaged.
    """
    rows = TreeRows.of(report.tree)
    prediction = read_prediction(pair.prediction, report.tree, lambda _: None, corrected=report.corrected)
    reference = read_reference(
        pair.reference,
        report.tree,
        lambda _: None,
        pair.mask,
        unlabelled=pair.unlabelled,
        labelled_only=report.labelled is not None,
        grid=prediction.probabilities.geometry,
    )
    geometry = prediction.probabilities.geometry
    deepest = report.tree.depth if prediction.deepest is None else prediction.deepest
    coarse = min(group_level(report.tree), deepest)
    nodes = _heat_nodes(report, pair.case, deepest) if prediction.probabilities.soft else []
    levels = sorted({coarse, deepest})
    ours = _upright(volumes_of(prediction.probabilities, rows, levels, nodes), geometry)
    events.check()
    theirs = _upright(volumes_of(reference.probabilities, rows, levels, nodes), geometry)
    events.check()
    scan = None if pair.image is None else upright_scan(read_channel(pair.image))
    cuts = {level: [node.id for node in report.tree.cut_at(level).nodes] for level in levels}
    stage = Stage.of(
        scan,
        [ours.labels[deepest], theirs.labels[deepest]],
        upright_spacing(geometry),
        {level: [colors[node] for node in cut] for level, cut in cuts.items()},
    )
    figures = [_labels(stage, ours, theirs, coarse, deepest), _legend(report, colors, coarse)]
    if deepest == report.tree.depth:
        distance = _wrong(ours, theirs, rows, deepest)
        figures.append(
            {
                "uri": to_uri(errors_figure(stage, distance), "png", 120),
                "alt": f"Errors of case {pair.case}",
                "caption": "A mix-up of neighbours in the tree (left and right of one structure, say) is dark, one of "
                "tissues is bright.",
            }
        )
    if nodes:
        figures.append(_heat(report, stage, ours, theirs, nodes))
    return figures


def _labels(stage: Stage, ours: Volumes, theirs: Volumes, coarse: int, deepest: int) -> dict[str, str]:
    lines: list[tuple[str, int, Labels, Labels | None]] = [
        (f"Prediction at level {coarse}, reference outlined", coarse, ours.labels[coarse], theirs.labels[coarse])
    ]
    if deepest != coarse:
        lines.append((f"Prediction at level {deepest}", deepest, ours.labels[deepest], None))
    lines.append((f"Reference at level {deepest}", deepest, theirs.labels[deepest], None))
    figure = labels_figure(stage, lines)
    return {"uri": to_uri(figure, "png", 120), "alt": "Labels of prediction and reference", "caption": ""}


def _legend(report: Report, colors: dict[str, Color], level: int) -> dict[str, str]:
    nodes = [node for node in report.tree.cut_at(level).nodes if node != report.tree.background]
    shown = nodes[:24]
    figure = legend_figure([node.name for node in shown], [colors[node.id] for node in shown])
    return {
        "uri": to_uri(figure),
        "alt": "Colours",
        "caption": f"Colours of level {level}"
        + ("." if level == report.tree.depth else "; deeper nodes have their own."),
    }


def _heat(report: Report, stage: Stage, ours: Volumes, theirs: Volumes, nodes: list[str]) -> dict[str, str]:
    maps = [(f"Probability of {report.tree.node(node).name}", ours.nodes[node], theirs.nodes[node]) for node in nodes]
    figure = heat_figure(stage.under, stage.planes.spacing, maps)
    return {
        "uri": to_uri(figure, "png", 120),
        "alt": "Heat maps of " + ", ".join(report.tree.node(node).name for node in nodes),
        "caption": "Heat maps of the structure with the lowest Dice and of one in the middle; the line is the border "
        "of the reference (probability 0.5). Below a probability of about 0.3 the scan shows through.",
    }


def _heat_nodes(report: Report, case: str, level: int) -> list[str]:
    """Return the node with the lowest Dice that is in the reference, and the one in the middle."""
    rows = [
        row
        for row in report.nodes
        if row["case"] == case
        and row["level"] == level
        and row["volume_reference_ml"] > 0
        and math.isfinite(row["dice"])
    ]
    rows.sort(key=lambda row: row["dice"])
    return list(dict.fromkeys(rows[place]["node"] for place in ([0, len(rows) // 2] if rows else [])))


def _wrong(ours: Volumes, theirs: Volumes, rows: TreeRows, leaves: int) -> FloatArray:
    """Return the tree distance (edges) where the leaf is wrong, nan elsewhere and where one side is unlabelled."""
    table = hop_distances(rows).astype(np.float32)
    background = np.flatnonzero(rows.leaves == rows.background)
    known = ours.labelled & theirs.labelled
    label, truth = ours.labels[leaves], theirs.labels[leaves]
    if background.size:
        label, truth = (np.where(side < 0, background[0], side) for side in (label, truth))
    else:
        known &= (label >= 0) & (truth >= 0)
    wrong = known & (label != truth)
    distance = np.full(label.shape, np.nan, np.float32)
    distance[wrong] = table[truth[wrong], label[wrong]]
    return distance


def _upright(volumes: Volumes, geometry: Geometry) -> Volumes:
    return Volumes(
        upright(volumes.labelled, geometry).astype(np.bool_),
        {level: upright(labels, geometry) for level, labels in volumes.labels.items()},
        {node: upright(probability, geometry) for node, probability in volumes.nodes.items()},
    )
