"""The report of an evaluation: one HTML page with tables, diagrams and pictures, readable on screen and in print."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import softseg
from softseg.evaluation import charts
from softseg.evaluation.aggregate import by_level
from softseg.evaluation.answers import TARGETS
from softseg.evaluation.case_figures import case_figures
from softseg.evaluation.colors import as_hex, node_colors, score_color
from softseg.evaluation.icicle import IcicleBox, icicle
from softseg.evaluation.measure import hop_distances
from softseg.evaluation.page import number, volume_text, write_page
from softseg.evaluation.rows import TreeRows
from softseg.events import Events

if TYPE_CHECKING:
    from softseg.evaluation.pairs import Pair
    from softseg.evaluation.results import Report


def write_report(report: Report, path: Path, events: Events) -> Path:
    """Write ``report.html``.

    Raises
    ------
    InputError: the file cannot be written, or a scan given for the pictures is damaged or on another grid.
    """
    colors = node_colors(report.tree)
    level = report.summary_level
    chosen = _chosen(report, level)
    events.stage("report", len(chosen) + 1)
    values: dict[str, Any] = {
        "report": report,
        "tree": report.tree,
        "today": datetime.now(timezone.utc).date().isoformat(),
        "version": softseg.__version__,
        "cards": _cards(report, level),
        "levels": _level_table(report),
        "summary_level": level,
        "level_chart": charts.to_uri(charts.level_chart(report)),
        "structure_chart": charts.to_uri(charts.structure_chart(report, level, colors)),
        "size_chart": charts.to_uri(charts.size_chart(report, level, colors)),
        "reliability_chart": _reliability(report),
        "node_reliability_chart": _node_reliability(report, level),
        "answer_chart": None
        if report.answers is None
        else charts.to_uri(charts.answer_chart(report.answers, report.tree)),
        "answers": _answers(report),
        "icicle": icicle(report.tree, _cells(report)),
        "ramp": ", ".join(score_color(step / 10) for step in range(11)),
        "structures": _structures(report, level, colors),
        "confusions": _confusions(report),
        "distance": _distance(report),
        "pictures": [],
    }
    for done, (title, pair) in enumerate(chosen, 1):
        values["pictures"].append({"title": title, "figures": case_figures(report, pair, colors, events)})
        events.progress(done, len(chosen) + 1)
    write_page("report.html", path, values)
    events.progress(len(chosen) + 1, len(chosen) + 1)
    return path


def _chosen(report: Report, told: int) -> list[tuple[str, Pair]]:
    """Return up to three cases with a title: best, median and worst by Dice at the level that sums up."""
    dice = {row["case"]: row["dice"] for row in report.levels if row["level"] == told}
    order = sorted(report.pairs, key=lambda pair: -dice.get(pair.case, 0.0))
    if len(order) >= 3:
        places = {"Best case": 0, "Median case": len(order) // 2, "Lowest case": len(order) - 1}
    else:
        places = {"Case" if len(order) == 1 else f"Case {n + 1}": n for n in range(len(order))}
    return [
        (f"{what}: {order[n].case} (Dice {number(dice.get(order[n].case))})", order[n]) for what, n in places.items()
    ]


def _cards(report: Report, told: int) -> list[dict[str, str]]:
    level = report.level_summary()[told]
    where = "leaves" if told == report.tree.depth else f"level {told}"
    cards = [
        _card("Dice", level["dice"], 3, "", f"hard labels, mean over {where}"),
        _card("Soft Dice", level["soft_dice"], 3, "", f"of the probabilities, mean over {where}"),
        _card("Surface Dice", level["surface_dice"], 3, "", f"within {report.tolerance_mm} mm of the surface"),
        _card("HD95", level["hd95_mm"], 1, "mm", "95th percentile of the surface distance"),
    ]
    if report.labelled is None:
        what = "mean absolute error, hard labels"
        cards.append(_card("Volume error", level["absolute_volume_error_percent"], 1, "%", what))
    else:
        scores, what = report.labelled.scores(), f"of the labelled voxels of all cases, {where}"
        for label, name in (("Accuracy", "accuracy"), ("Macro F1", "f1")):
            value = number(scores.get(f"{name}/level {told}"))
            cards.append({"label": label, "value": value, "unit": "", "what": what})
    distances = [row["errors_edges"] for row in report.distances if math.isfinite(row["errors_edges"])]
    if distances:
        value = f"{np.mean(distances):.2f}"
        what = f"between wrong and right leaf; at most {hop_distances(TreeRows.of(report.tree)).max():g}"
        cards.append({"label": "Tree distance", "value": value, "unit": "edges", "what": what})
    if report.soft:
        cards.append(_card("Calibration", level["winner_calibration_error"], 3, "ECE", "confidence against accuracy"))
    return [card for card in cards if card["value"] != "–"]


def _card(label: str, metric: dict[str, Any], digits: int, unit: str, what: str) -> dict[str, str]:
    return {"label": label, "value": number(metric["mean"], digits), "unit": unit, "what": what}


def _level_table(report: Report) -> list[dict[str, Any]]:
    table = []
    rows_of = by_level(report.levels)
    for level, metrics in report.level_summary().items():
        nodes = sorted(report.node_summary(level), key=lambda row: -row["volume_reference_ml"]["mean"])
        names = ", ".join(row["name"] for row in nodes[:3]) + (" …" if len(nodes) > 3 else "")
        rows = rows_of[level]
        table.append(
            {
                "level": level,
                "names": names,
                "nodes": report.judged(level),
                "missed": sum(row["missed"] for row in rows),
                "leaves": level == report.tree.depth,
                **metrics,
            }
        )
    return table


def _cells(report: Report) -> dict[str, IcicleBox]:
    """Return each node's mean Dice, evaluated in the cut at the node's own depth."""
    tree = report.tree
    cells: dict[str, IcicleBox] = {}
    for level in report.level_summary():
        for row in report.node_summary(level):
            if tree.depth_of(row["node"]) == level:
                dice = row["dice"]["mean"]
                size = row["volume_reference_ml"]["mean"]
                scores = f"Dice {number(dice)}, soft Dice {number(row['soft_dice']['mean'])}"
                hint = f"{row['name']}: {scores}, {volume_text(size)} ml"
                cells[row["node"]] = IcicleBox(score_color(dice), number(dice, 2), hint)
    return cells


def _structures(report: Report, level: int, colors: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            **row,
            "color": as_hex(colors[row["node"]]),
            "path": " › ".join(node.name for node in report.tree.path(row["node"])[1:-1]),
        }
        for row in report.node_summary(level)
    ]


def _confusions(report: Report, most: int = 12) -> list[dict[str, Any]]:
    """Return the most frequent wrong leaves, by volume."""
    wrong = report.confusion_ml * (1 - np.eye(len(report.confusion_ml)))
    distance = hop_distances(TreeRows.of(report.tree))
    total = wrong.sum()
    found = []
    for place in np.argsort(-wrong, axis=None)[:most]:
        truth, label = np.unravel_index(place, wrong.shape)
        if wrong[truth, label] > 0:
            found.append(
                {
                    "truth": report.tree.leaves[truth].name,
                    "label": report.tree.leaves[label].name,
                    "ml": float(wrong[truth, label]) / max(len(report.distances), 1),
                    "percent": 100 * float(wrong[truth, label] / total),
                    "edges": float(distance[truth, label]),
                }
            )
    return found


def _distance(report: Report) -> dict[str, Any] | None:
    return report.summary()["tree_distance"] if report.distances else None


def _reliability(report: Report) -> str | None:
    if not report.soft:
        return None
    curves = [(f"level {level}", report.winner[level][0]) for level in charts.some_of(list(report.winner))]
    return charts.to_uri(charts.reliability_chart(curves, "accuracy"))


def _answers(report: Report) -> list[dict[str, Any]]:
    """Return, for each target accuracy, the confidence it needs and the fraction answered at each level or deeper."""
    if report.answers is None:
        return []
    rows = []
    for target in TARGETS:
        at = report.answers.needed(target)
        fractions = [] if at is None else [float(fraction) for fraction in report.answers.fractions[:, at]]
        confidence = math.nan if at is None else float(report.answers.confidences[at])
        rows.append(
            {"target": 100 * target, "confidence": confidence, "fractions": [100 * fraction for fraction in fractions]}
        )
    return rows


def _node_reliability(report: Report, level: int) -> str | None:
    """Draw the three best and the three worst calibrated nodes that have enough voxels."""
    table = [
        (report.tree.node(node).name, curve)
        for (at, node), curve in report.reliability.items()
        if at == level and curve.count.sum() >= 100
    ]
    if not table:
        return None
    table.sort(key=lambda item: float(item[1].error))
    chosen = table if len(table) <= 6 else [*table[:3], *table[-3:]]
    return charts.to_uri(charts.reliability_chart(chosen, "probability in the reference"))
