"""What an evaluation found: its numbers over cases, levels and nodes, and the files that hold them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.evaluation.aggregate import LEVEL_METRICS, NODE_METRICS, Row, by_level, over_cases, summary_level
from softseg.evaluation.answers import Answers
from softseg.evaluation.calibration import BINS, FLOOR, Reliability
from softseg.evaluation.disagreement import RATER_METRICS, Disputes, raters_of
from softseg.evaluation.labelled import LabelledScores
from softseg.evaluation.objects import Connectivity
from softseg.evaluation.pairs import Pair, Pairs
from softseg.evaluation.sources import Reference
from softseg.spreadsheets import rounded, write_rows

if TYPE_CHECKING:
    from softseg.tree import LabelTree

LevelSummary: TypeAlias = dict[int, dict[str, dict[str, float | int]]]
"""By level and metric: mean, deviation and range over the cases."""

SCHEMA = "softseg-evaluation"
SCHEMA_VERSION = 1


@dataclass(eq=False)
class Report:
    """The numbers of an evaluation.

    Attributes
    ----------
    tree: the tree that was evaluated by.
    pairs: the cases.
    nodes: one row per case, level and node (``metrics.csv``).
    levels: one row per case and level (``levels.csv``).
    distances: one row per case: tree distance of the errors.
    objects: one row per object (``objects.csv``) where these were asked for.
    connectivity: of the objects; None where they were not asked for.
    corrected: whether corrections that the predictions hold are evaluated too.
    winner: per level the reliability of the winning node, over all cases with a soft prediction.
    reliability: per level and node id the reliability of the node's probability.
    confusion: ``[C, C]`` voxels by true and predicted leaf, all cases.
    confusion_ml: the same in ml.
    answers: how deep the predictions can answer and how often they are right, over all cases; None without
        probabilities.
    labelled: where labelled voxels alone are evaluated: confusion tables of every level, over all cases; else None.
    unpaired: names of predictions and references that have no partner.
    disagreement: predictions where several raters disagree, over all cases that have several.
    models: names of the models that made the predictions, where known.
    tolerance_mm: of the surface Dice; None where surfaces were left out.
    folder: where the files are.
    """

    tree: LabelTree
    pairs: list[Pair]
    tolerance_mm: float | None
    folder: Path
    confusion: npt.NDArray[np.int64]
    confusion_ml: npt.NDArray[np.float64]
    nodes: list[Row] = field(default_factory=list)
    levels: list[Row] = field(default_factory=list)
    distances: list[Row] = field(default_factory=list)
    objects: list[Row] = field(default_factory=list)
    connectivity: Connectivity | None = None
    corrected: bool = True
    winner: dict[int, Reliability] = field(default_factory=dict)
    reliability: dict[tuple[int, str], Reliability] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    labelled: LabelledScores | None = None
    answers: Answers | None = None
    unpaired: Pairs = field(default_factory=lambda: Pairs(()))
    disagreement: Disputes = field(default_factory=Disputes)
    _summaries: dict[tuple[str, int], LevelSummary] = field(default_factory=dict, repr=False)
    _sorted: tuple[int, dict[int, list[Row]]] = field(default=(0, {}), repr=False)

    @property
    def soft(self) -> bool:
        """Whether any prediction held probabilities other than 0 and 1; without them there is no calibration."""
        return bool(self.winner)

    @property
    def raters(self) -> bool:
        """Whether any reference is of several raters."""
        return any(raters_of(pair.reference) > 1 for pair in self.pairs)

    @property
    def groups(self) -> list[str]:
        """Names of the groups of cases, sorted; empty where no case has one."""
        return sorted({pair.group for pair in self.pairs if pair.group})

    @property
    def summary_level(self) -> int:
        """The deepest level at which the references name nearly all that they name; it sums a comparison up."""
        return summary_level(self.nodes)

    def level_summary(self, group: str = "") -> LevelSummary:
        """Return, per level, each metric's mean, deviation and range over the cases, all or those of a group."""
        key = group, len(self.levels)  # rows are only ever added
        if key not in self._summaries:
            self._summaries[key] = self._level_summary(group)
        return self._summaries[key]

    def _level_summary(self, group: str) -> LevelSummary:
        cases = {pair.case for pair in self.pairs if not group or pair.group == group}
        rows = by_level(row for row in self.levels if row["case"] in cases)
        metrics = (*LEVEL_METRICS, *RATER_METRICS) if self.raters else LEVEL_METRICS
        return {number: over_cases(rows[number], metrics) for number in sorted(rows)}

    def node_summary(self, level: int | None = None) -> list[Row]:
        """Return, per node of a level (the deepest by default), each metric over the cases; the lowest Dice first.

        Nodes that are absent from reference and prediction in every case are left out.
        """
        number = max(row["level"] for row in self.levels) if level is None else level
        rows: dict[str, list[Row]] = {}
        for row in self._nodes_at(number):
            if row["status"] != "absent":
                rows.setdefault(row["node"], []).append(row)
        table = [
            {
                "node": node,
                "name": found[0]["name"],
                "cases": len(found),
                **{status: sum(row["status"] == status for row in found) for status in ("missed", "invented")},
                **over_cases(found, (*NODE_METRICS, "volume_reference_ml", "volume_ml", "soft_volume_ml")),
            }
            for node, found in rows.items()
        ]
        return sorted(table, key=lambda row: _low_first(row["dice"]["mean"]))

    def summary(self) -> dict[str, Any]:
        """Return what ``summary.json`` holds."""
        from softseg import __version__

        return {
            "schema": SCHEMA,
            "version": SCHEMA_VERSION,
            "software": f"softseg {__version__}",
            "tree": self.tree.name,
            "leaves": len(self.tree.leaves),
            "models": self.models,
            "cases": [
                {"case": pair.case, "prediction": str(pair.prediction), "reference": plain_reference(pair.reference)}
                | ({"group": pair.group} if self.groups else {})
                for pair in self.pairs
            ],
            "unpaired": {
                "predictions": list(self.unpaired.predictions),
                "references": list(self.unpaired.references),
            },
            "label_at_a_cut": "argmax of summed probabilities",
            "surface_tolerance_mm": self.tolerance_mm,
            "told_level": self.summary_level,
            "levels": [
                {"level": number, "nodes": self.judged(number), "metrics": metrics}
                for number, metrics in self.level_summary().items()
            ],
            "groups": {
                group: {str(number): metrics for number, metrics in self.level_summary(group).items()}
                for group in self.groups
            },
            "nodes": {str(number): self.node_summary(number) for number in self.level_summary()},
            "labelled_voxels": None if self.labelled is None else self.labelled.summary(),
            "answers": None if self.answers is None else self.answers.summary(),
            "tree_distance": over_cases(
                self.distances, ("errors_edges", "all_edges", "errors_normalized", "all_normalized")
            )
            if self.distances
            else None,
            "disagreement": self.disagreement.summary() if self.disagreement else None,
            "calibration": {
                "bins": BINS,
                "smallest_share": FLOOR,
                "levels": {str(level): _curve(curve[0]) for level, curve in self.winner.items()},
            }
            if self.soft
            else None,
        }

    def judged(self, level: int) -> int:
        """Return how many nodes of a level were found in any reference or prediction."""
        return len({row["node"] for row in self._nodes_at(level) if row["status"] != "absent"})

    def _nodes_at(self, level: int) -> list[Row]:
        if self._sorted[0] != len(self.nodes):  # rows are only ever added
            self._sorted = len(self.nodes), by_level(self.nodes)
        return self._sorted[1].get(level, [])


def write_tables(report: Report, folder: Path) -> None:
    """Write ``metrics.csv``, ``levels.csv``, ``summary.json`` and what else was asked for into ``folder``."""
    tables = [("metrics.csv", report.nodes), ("levels.csv", report.levels)]
    if report.labelled is not None:
        tables.append(("labelled.csv", report.labelled.table()))
    if report.answers is not None:
        tables.append(("answers.csv", report.answers.table()))
    if report.connectivity is not None:
        tables.append(("objects.csv", report.objects))
    for name, rows in tables:
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            columns = list(rows[0]) if rows else ["case"]
            write_rows(file, columns, ({key: rounded(value) for key, value in row.items()} for row in rows))
    (folder / "summary.json").write_text(_summary_text(_finite(report.summary())), encoding="utf-8")


def _summary_text(summary: Mapping[str, Any]) -> str:
    """Return JSON with a line for each row of a table, which takes a tenth of the time of a line for each value."""

    def one_line(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    def lines(parts: list[str], opened: str, closed: str, indent: str) -> str:
        inner = ",".join(f"\n{indent}  {part}" for part in parts)
        return f"{opened}{inner}\n{indent}{closed}"

    parts = []
    for key, value in summary.items():
        if isinstance(value, list) and any(isinstance(row, (dict, list)) for row in value):
            text = lines([one_line(row) for row in value], "[", "]", "  ")
        elif isinstance(value, dict) and any(isinstance(item, (dict, list)) for item in value.values()):
            text = lines([f"{one_line(name)}: {one_line(item)}" for name, item in value.items()], "{", "}", "  ")
        else:
            text = one_line(value)
        parts.append(f"{one_line(key)}: {text}")
    return lines(parts, "{", "}", "") + "\n"


def _curve(curve: Reliability) -> dict[str, Any]:
    confidence, truth = curve.curve
    return {
        "expected_calibration_error": float(curve.error),
        "voxels": curve.count.tolist(),
        "confidence": confidence.tolist(),
        "accuracy": truth.tolist(),
    }


def _low_first(value: float) -> float:
    return value if math.isfinite(value) else math.inf


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def plain_reference(reference: Reference) -> Any:
    """Return a reference as JSON has it: a path, a list of paths, or paths by node id."""
    if isinstance(reference, Mapping):
        return {node: str(path) for node, path in reference.items()}
    return str(reference) if isinstance(reference, (str, PathLike)) else [str(path) for path in reference]
