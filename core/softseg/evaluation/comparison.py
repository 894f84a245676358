"""``softseg evaluate``: predictions against references, as tables, numbers and one HTML report."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes import read_channel
from softseg.errors import InputError
from softseg.evaluation.aggregate import (
    LEVEL_METRICS,
    NODE_METRICS,
    Row,
    level_rows,
    node_rows,
    over_cases,
    summed,
    tree_distance_row,
)
from softseg.evaluation.answers import Answers
from softseg.evaluation.calibration import BINS, FLOOR, Reliability
from softseg.evaluation.disagreement import RATER_METRICS, Disputes, raters_of
from softseg.evaluation.labelled import LabelledScores
from softseg.evaluation.measure import CaseMeasures, measure
from softseg.evaluation.objects import Connectivity, object_rows
from softseg.evaluation.pairs import Pair, pair_up
from softseg.evaluation.places import place_columns
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.sources import Reference, read_prediction, read_reference, require_same_grid
from softseg.evaluation.surface import TOLERANCE_MM
from softseg.events import Events
from softseg.files import require_writable_folder, write_beside

if TYPE_CHECKING:
    from softseg.tree import LabelTree

SCHEMA = "softseg-evaluation"
SCHEMA_VERSION = 1
SCAN_HINT = "give the image that the prediction was made from, or none"


@dataclass(eq=False)
class Report:
    """The numbers of an evaluation.

    Attributes
    ----------
    tree: the tree that was judged by.
    pairs: the cases.
    nodes: one row per case, level and node (``metrics.csv``).
    levels: one row per case and level (``levels.csv``).
    distances: one row per case: tree distance of the errors.
    objects: one row per object (``objects.csv``) where these were asked for.
    connectivity: of the objects; None where they were not asked for.
    winner: per level the reliability of the winning node, over all cases with a soft prediction.
    reliability: per level and node id the reliability of the node's share.
    confusion: ``[C, C]`` voxels by true and predicted leaf, all cases.
    confusion_ml: the same in ml.
    answers: how deep the predictions can answer and how often they are right, over all cases; None without soft shares.
    labelled: where labelled voxels alone are judged: confusion tables of every level, over all cases; else None.
    disagreement: what the predictions say where several raters disagree, over all cases that have several.
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
    winner: dict[int, Reliability] = field(default_factory=dict)
    reliability: dict[tuple[int, str], Reliability] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)
    labelled: LabelledScores | None = None
    answers: Answers | None = None
    disagreement: Disputes = field(default_factory=Disputes)

    @property
    def soft(self) -> bool:
        """Whether any prediction held shares other than 0 and 1; without them there is no calibration."""
        return bool(self.winner)

    @property
    def raters(self) -> bool:
        """Whether any reference is of several raters."""
        return any(raters_of(pair.reference) > 1 for pair in self.pairs)

    def level_summary(self) -> dict[int, dict[str, dict[str, float | int]]]:
        """Return, per level, each metric's mean, deviation and range over the cases."""
        numbers = sorted({row["level"] for row in self.levels})
        metrics = (*LEVEL_METRICS, *RATER_METRICS) if self.raters else LEVEL_METRICS
        return {n: over_cases([row for row in self.levels if row["level"] == n], metrics) for n in numbers}

    def node_summary(self, level: int | None = None) -> list[Row]:
        """Return, per node of a level (the deepest by default), each metric over the cases; the lowest Dice first.

        Nodes that are absent from reference and prediction in every case are left out.
        """
        number = max(row["level"] for row in self.levels) if level is None else level
        rows: dict[str, list[Row]] = {}
        for row in self.nodes:
            if row["level"] == number and row["status"] != "absent":
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
                {"case": pair.case, "prediction": str(pair.prediction), "reference": _plain(pair.reference)}
                for pair in self.pairs
            ],
            "label_at_a_cut": "argmax of summed shares",
            "surface_tolerance_mm": self.tolerance_mm,
            "levels": [
                {"level": number, "nodes": self.judged(number), "metrics": metrics}
                for number, metrics in self.level_summary().items()
            ],
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
        return len({row["node"] for row in self.nodes if row["level"] == level and row["status"] != "absent"})


def evaluate(
    predictions: Sequence[str | PathLike[str]],
    references: Sequence[Reference],
    tree: LabelTree,
    out: str | PathLike[str],
    events: Events | None = None,
    *,
    images: Sequence[str | PathLike[str]] = (),
    tolerance_mm: float | None = TOLERANCE_MM,
    html: bool = True,
    labelled_only: bool = False,
    objects: Connectivity | None = None,
) -> Report:
    """Compare predictions with references; write ``metrics.csv``, ``levels.csv``, ``summary.json``, ``report.html``.

    With soft predictions ``answers.csv`` says how deep they can answer at each confidence, and how often that is right.
    The label at a cut is everywhere the node with the largest *summed* share. What each number means is written down
    in ``docs/evaluation.md``.

    Parameters
    ----------
    predictions: soft parcellations, label maps, or folders (of one predicted case, or of many).
    references: label maps, soft parcellations, lists of raters' label maps, soft maps by node, folders, or a DATA.json.
    tree: what the values mean; also the levels that are judged.
    out: folder for the results; files of these names in it are replaced.
    events: told of progress; asked whether to stop.
    images: scans that the pictures are drawn on, if any.
    tolerance_mm: of the surface Dice; None leaves surface Dice and HD95 out.
    html: whether to write the report.
    labelled_only: judge the voxels that the references label and nothing else (background is then what was not
        painted); surfaces are left out, accuracy and macro F1 over the voxels of all cases come in.
    objects: count connected parts, too, in the volume or in each slice by itself, and write ``objects.csv``
        (:mod:`softseg.evaluation.objects`).

    Raises
    ------
    InputError: files are missing or damaged, do not pair up, lie on different grids, or hold labels not in the tree;
        ``out`` cannot be written.
    """
    events = Events() if events is None else events
    folder = require_writable_folder(out)
    pairs = pair_up(predictions, references, tree, events, images)
    rows = TreeRows.of(tree)
    count = len(tree.leaves)
    tolerance_mm = None if labelled_only else tolerance_mm
    report = Report(tree, pairs, tolerance_mm, folder, np.zeros((count, count), np.int64), np.zeros((count, count)))
    report.labelled = LabelledScores(tree) if labelled_only else None
    report.connectivity = objects
    events.stage("evaluate", len(pairs))
    for number, pair in enumerate(pairs, 1):
        _add_case(report, pair, rows, events)
        events.progress(number, len(pairs))
    if report.labelled is not None:
        _require_labels(report.labelled, pairs)
    _write_tables(report)
    if html:
        from softseg.evaluation.report import write_report

        write_report(report, folder / "report.html", events)
    more = [*(["labelled.csv"] if labelled_only else []), *(["answers.csv"] if report.answers else [])]
    more += ["objects.csv"] if objects else []
    more += ["report.html"] if html else []
    for name in ("metrics.csv", "levels.csv", "summary.json", *more):
        events.result(name, folder / name)
    return report


def _add_case(report: Report, pair: Pair, rows: TreeRows, events: Events) -> None:
    prediction = read_prediction(pair.prediction, report.tree, events.warning)
    reference = read_reference(
        pair.reference,
        report.tree,
        events.warning,
        pair.mask,
        unlabelled=pair.unlabelled,
        labelled_only=report.labelled is not None,
        grid=prediction.shares.geometry,
    )
    require_same_grid(prediction.shares.geometry, prediction.file, reference)
    if pair.image is not None:
        require_same_grid(read_channel(pair.image).geometry, pair.image, prediction, SCAN_HINT)
    found = measure(
        prediction.shares,
        reference.shares,
        rows,
        events,
        deepest=prediction.deepest,
        tolerance_mm=report.tolerance_mm,
        raters=raters_of(pair.reference),
    )
    for number, dispute in enumerate(found.disputes, 1):
        report.disagreement.add(number, dispute, found.levels[number - 1].rows != rows.background)
    if report.labelled is not None:
        for table, measured in zip(report.labelled.tables, found.levels, strict=False):  # as deep as the prediction
            report.labelled.add_labels(table, measured.reference, measured.predicted)
    voxel_ml = prediction.shares.geometry.voxel_volume_ml
    places = place_columns(found, prediction.shares.geometry)
    drawn = node_rows(pair.case, found, voxel_ml, raters=report.raters)
    nodes = [row | place for row, place in zip(drawn, places, strict=True)]
    levels = level_rows(pair.case, found, nodes)
    if report.connectivity is not None:
        report.objects += object_rows(pair.case, found, prediction.shares.geometry, report.connectivity)
    report.nodes += nodes
    report.levels += levels
    if prediction.deepest is None:
        report.distances.append(tree_distance_row(pair.case, found.confusion, rows))
        report.confusion += found.confusion
        report.confusion_ml += found.confusion * voxel_ml
    if found.soft:
        _add_reliability(report, found)
    if found.answers is not None:
        report.answers = found.answers if report.answers is None else report.answers + found.answers
    if prediction.model and prediction.model not in report.models:
        report.models.append(prediction.model)
    last = levels[-1]
    events.metrics({"case": pair.case, "dice": last["dice"], "soft_dice": last["soft_dice"], "level": last["level"]})


def _add_reliability(report: Report, found: CaseMeasures) -> None:
    nodes = report.tree.nodes
    for number, level in enumerate(found.levels, 1):
        before = report.winner.get(number)
        report.winner[number] = level.winner if before is None else summed([before, level.winner])
        for position, row in enumerate(level.rows):
            if row != found.rows.background:
                key, curve = (number, nodes[row].id), level.nodes[position]
                report.reliability[key] = report.reliability[key] + curve if key in report.reliability else curve


def _require_labels(labelled: LabelledScores, pairs: Sequence[Pair]) -> None:
    if not any(table.any() for table in labelled.tables):
        raise InputError("no voxel is labelled in any reference", file=_plain(pairs[0].reference))


def _write_tables(report: Report) -> None:
    tables = [("metrics.csv", report.nodes), ("levels.csv", report.levels)]
    if report.labelled is not None:
        tables.append(("labelled.csv", report.labelled.table()))
    if report.answers is not None:
        tables.append(("answers.csv", report.answers.table()))
    if report.connectivity is not None:
        tables.append(("objects.csv", report.objects))
    for name, rows in tables:
        with write_beside(report.folder / name) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else ["case"])
            writer.writeheader()
            writer.writerows({key: _cell(value) for key, value in row.items()} for row in rows)
    with write_beside(report.folder / "summary.json") as temporary:
        text = json.dumps(_finite(report.summary()), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", encoding="utf-8")


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


def _cell(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.6g}" if math.isfinite(value) else ""
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _plain(reference: Reference) -> Any:
    if isinstance(reference, Mapping):
        return {node: str(path) for node, path in reference.items()}
    return str(reference) if isinstance(reference, (str, PathLike)) else [str(path) for path in reference]
