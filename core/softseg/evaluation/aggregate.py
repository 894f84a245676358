"""From sums to tables: one row per case, level and node; one per case and level; means and deviations over cases."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.evaluation.calibration import Reliability
from softseg.evaluation.disagreement import NOTHING, RATER_METRICS
from softseg.evaluation.measure import CaseMeasures, LevelMeasures, hop_distances
from softseg.evaluation.rows import TreeRows

Row: TypeAlias = "dict[str, Any]"

NODE_METRICS = (
    "dice",
    "soft_dice",
    "surface_dice",
    "hd95_mm",
    "mae",
    "volume_error_percent",
    "soft_volume_error_percent",
    "calibration_error",
)
"""Columns of a node's row that are averaged over the nodes of a level."""

LEVEL_METRICS = (
    *NODE_METRICS,
    "absolute_volume_error_percent",
    "absolute_soft_volume_error_percent",
    "accuracy",
    "winner_calibration_error",
)


TOLD = 0.9
"""Part of what a reference names that it must name at a level for the level to sum a comparison up (our default)."""


def node_rows(case: str, measures: CaseMeasures, voxel_ml: float, *, raters: bool = False) -> list[Row]:
    """Return one row per level and node of the level's cut, background left out.

    Volumes are in ml; errors are prediction minus reference, in ml and in percent of the reference (nan where it has
    none). ``status`` is ``found``, ``missed`` (no hard label in the prediction), ``invented`` (none in the reference)
    or ``absent`` (in neither). With ``raters`` there are also the columns :data:`RATER_METRICS`, nan where the case has
    one rater.
    """
    rows: list[Row] = []
    tree = measures.rows.tree
    nodes = tree.nodes
    for number, level in enumerate(measures.levels, 1):
        scores = {"dice": level.overlap.dice, "soft_dice": level.overlap.soft_dice, "mae": level.mae}
        errors = level.nodes.error
        agreed = measures.disputes[number - 1].columns(voxel_ml) if measures.disputes else [NOTHING] * len(level.rows)
        for position, row in enumerate(level.rows):
            if row == measures.rows.background:
                continue
            node = nodes[row]
            surface = measures.surfaces[number - 1][position] if measures.surfaces else (math.nan, math.nan)
            rows.append(
                {
                    "case": case,
                    "level": number,
                    "node": node.id,
                    "name": node.name,
                    "leaf": not tree.children(node.id),
                    "status": _status(level, position),
                    **{name: float(values[position]) for name, values in scores.items()},
                    "surface_dice": float(surface[1]),
                    "hd95_mm": float(surface[0]),
                    **_volumes(level, position, voxel_ml),
                    "calibration_error": float(errors[position]) if measures.soft else math.nan,
                    **(agreed[position] if raters else {}),
                }
            )
    return rows


def _status(level: LevelMeasures, position: int) -> str:
    predicted, reference = level.overlap.predicted[position] > 0, level.overlap.reference[position] > 0
    if predicted:
        return "found" if reference else "invented"
    return "missed" if reference else "absent"


def _volumes(level: LevelMeasures, position: int, voxel_ml: float) -> Row:
    overlap = level.overlap
    values: Row = {}
    for prefix, predicted, reference in (
        ("", overlap.predicted[position], overlap.reference[position]),
        ("soft_", overlap.soft_predicted[position], overlap.soft_reference[position]),
    ):
        values[f"{prefix}volume_ml"] = float(predicted * voxel_ml)
        values[f"{prefix}volume_reference_ml"] = float(reference * voxel_ml)
        values[f"{prefix}volume_error_ml"] = float((predicted - reference) * voxel_ml)
        error = 100.0 * (predicted - reference) / reference if reference > 0 else math.nan
        values[f"{prefix}volume_error_percent"] = float(error)
    return values


def by_level(rows: Iterable[Row]) -> dict[int, list[Row]]:
    """Return the rows of each level, in their order."""
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["level"], []).append(row)
    return found


def level_rows(case: str, measures: CaseMeasures, rows: Sequence[Row]) -> list[Row]:
    """Return one row per level: means over its nodes, accuracy, calibration of the winning node, missed structures."""
    found: list[Row] = []
    of_level = by_level(rows)
    for number, level in enumerate(measures.levels, 1):
        here = [row for row in of_level.get(number, ()) if row["status"] != "absent"]
        more = RATER_METRICS if rows and RATER_METRICS[0] in rows[0] else ()
        values: Row = {name: _mean(row[name] for row in here) for name in (*NODE_METRICS, *more)}
        for name in ("volume_error_percent", "soft_volume_error_percent"):
            values[f"absolute_{name}"] = _mean(abs(row[name]) for row in here)
        labelled = level.reference >= 0
        if measures.rows.background >= 0:
            background = int(np.flatnonzero(level.rows == measures.rows.background)[0])
            labelled &= (level.reference != background) | (level.predicted != background)
        values["accuracy"] = (
            float((level.reference == level.predicted)[labelled].mean()) if labelled.any() else math.nan
        )
        values["winner_calibration_error"] = float(level.winner.error[0]) if measures.soft else math.nan
        found.append(
            {
                "case": case,
                "level": number,
                "nodes": len(here),
                **{f"{status}": sum(row["status"] == status for row in here) for status in ("missed", "invented")},
                **values,
            }
        )
    return found


def summary_level(rows: Iterable[Row]) -> int:
    """Return the deepest level at which references name nearly all that they name anywhere, by rows of nodes.

    A reference of coarse labels leaves the levels below unlabelled except where a leaf lies high: means of what is left
    there are no summary. Nearly all: :data:`TOLD` of the soft volume.
    """
    named = {level: sum(row["soft_volume_reference_ml"] for row in here) for level, here in by_level(rows).items()}
    enough = TOLD * max(named.values())
    return max(level for level, volume in named.items() if volume >= enough)


def tree_distance_row(case: str, confusion: npt.NDArray[np.int64], rows: TreeRows) -> Row:
    """Return how far off, in the tree, the wrong leaves are.

    ``errors``: mean over voxels whose leaf is wrong; ``all``: over all voxels where reference or prediction is not
    background. In edges of the tree, and in units of the tree's own edge weights divided by its largest distance.
    """
    wrong = confusion * (1 - np.eye(len(confusion), dtype=np.int64))
    result: Row = {"case": case, "voxels": int(confusion.sum()), "wrong_voxels": int(wrong.sum())}
    for unit, distance in (("edges", hop_distances(rows)), ("normalized", rows.tree.distance_matrix(normalize=True))):
        total = float((wrong * distance).sum())
        result[f"errors_{unit}"] = float(total / wrong.sum()) if wrong.any() else math.nan
        result[f"all_{unit}"] = float(total / confusion.sum()) if confusion.any() else math.nan
    return result


def over_cases(rows: Iterable[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, dict[str, float | int]]:
    """Return mean, standard deviation (n - 1; nan for one case), lowest and highest of each metric, and how many."""
    table = list(rows)
    result: dict[str, dict[str, float | int]] = {}
    for name in metrics:
        result[name] = _range_of([row[name] for row in table if math.isfinite(row[name])])
    return result


def _range_of(values: Sequence[float]) -> dict[str, float | int]:
    if len(values) < 2:  # without arrays: one case with a deep tree has thousands of such values
        only = float(values[0]) if values else math.nan
        return {"mean": only, "sd": math.nan, "min": only, "max": only, "n": len(values)}
    array = np.array(values)
    lowest, highest = float(array.min()), float(array.max())
    return {"mean": float(array.mean()), "sd": float(array.std(ddof=1)), "min": lowest, "max": highest, "n": array.size}


def summed(curves: Sequence[Reliability]) -> Reliability:
    """Return the sums over several cases."""
    total = curves[0]
    for curve in curves[1:]:
        total = total + curve
    return total


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if math.isfinite(value)]
    return float(np.mean(finite)) if finite else math.nan
