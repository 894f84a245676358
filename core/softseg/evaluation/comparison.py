"""``softseg evaluate``: predictions against references, as tables, numbers and one HTML report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np

from softseg.data.cubes import read_channel
from softseg.errors import InputError
from softseg.evaluation.aggregate import level_rows, node_rows, summary_level, summed, tree_distance_row
from softseg.evaluation.disagreement import raters_of
from softseg.evaluation.labelled import LabelledScores
from softseg.evaluation.measure import CaseMeasures, measure
from softseg.evaluation.objects import Connectivity, object_rows
from softseg.evaluation.own_values import OwnValues
from softseg.evaluation.pairs import Pair, Pairs, pair_up
from softseg.evaluation.pairs_table import read_pairs
from softseg.evaluation.places import place_columns
from softseg.evaluation.results import Report, plain_reference, write_tables
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.sources import Reference, read_prediction, read_reference, require_same_grid
from softseg.evaluation.surface import TOLERANCE_MM
from softseg.events import Events
from softseg.extras import missing
from softseg.files import require_writable_folder, write_together
from softseg.system import installed

if TYPE_CHECKING:
    from softseg.tree import LabelTree

SCAN_HINT = "give the image that the prediction was made from, or none"


def evaluate(
    predictions: Sequence[str | PathLike[str]],
    references: Sequence[Reference],
    tree: LabelTree,
    out: str | PathLike[str],
    events: Events | None = None,
    *,
    pairs: Sequence[Pair] | str | PathLike[str] | None = None,
    images: Sequence[str | PathLike[str]] = (),
    prediction_tree: LabelTree | None = None,
    reference_tree: LabelTree | None = None,
    tolerance_mm: float | None = TOLERANCE_MM,
    html: bool = True,
    labelled_only: bool = False,
    objects: Connectivity | None = None,
    corrected: bool = True,
) -> Report:
    """Compare predictions with references; write ``metrics.csv``, ``levels.csv``, ``summary.json``, ``report.html``.

    With soft predictions ``answers.csv`` tells how deep the labels are at each confidence, and how often they are
    right. The label at a cut is everywhere the node with the largest *summed* probability. What each number means is
    written down in ``docs/evaluation.md``.

    Parameters
    ----------
    predictions: soft parcellations, label maps, or folders (of one predicted case, or of many).
    references: label maps, soft parcellations, lists of raters' label maps, soft maps by node, folders, or a DATA.json.
    tree: what the values mean; also the levels that are evaluated.
        Both are paired by name (:func:`softseg.evaluation.pairs.pair_up`).
    out: folder for the results; files of these names in it are replaced.
    events: receives progress; checked for cancellation.
    pairs: what belongs together, instead of predictions and references: a table
        (:func:`softseg.evaluation.pairs_table.read_pairs`), or :class:`softseg.evaluation.pairs.Pair` values.
    images: scans that the pictures are drawn on, if any.
    prediction_tree, reference_tree: what the label maps' values mean where they are not the tree's: the tree or colour
        table of another tool. Labels are found in the tree by name or code (:mod:`softseg.tree.matching`).
    tolerance_mm: of the surface Dice; None leaves surface Dice and HD95 out.
    html: whether to write the report.
    labelled_only: evaluate the voxels that the references label and nothing else (background is then what was not
        painted); surfaces are left out, accuracy and macro F1 over the voxels of all cases come in.
    objects: count connected parts, too, in the volume or in each slice by itself, and write ``objects.csv``
        (:mod:`softseg.evaluation.objects`).
    corrected: evaluate predictions with the corrections that their files hold; else the model's own output.

    Raises
    ------
    InputError: files are missing or damaged, do not pair up, lie on different grids, or hold labels not in the tree;
        ``out`` cannot be written.
    """
    events = Events() if events is None else events
    folder = require_writable_folder(out)
    if html:
        _require_report()
    paired = _paired(predictions, references, tree, events, pairs, images)
    rows = TreeRows.of(tree)
    count = len(tree.leaves)
    tolerance_mm = None if labelled_only else tolerance_mm
    report = Report(
        tree, list(paired.cases), tolerance_mm, folder, np.zeros((count, count), np.int64), np.zeros((count, count))
    )
    report.labelled = LabelledScores(tree) if labelled_only else None
    report.connectivity, report.unpaired, report.corrected = objects, paired, corrected
    own = _Own(_own_values(prediction_tree, tree, events), _own_values(reference_tree, tree, events))
    events.stage("evaluate", len(report.pairs))
    for number, pair in enumerate(report.pairs, 1):
        _add_case(report, pair, rows, events, own)
        events.progress(number, len(report.pairs))
    if report.labelled is not None:
        _require_labels(report.labelled, report.pairs)
    with write_together(folder / "summary.json") as place:
        write_tables(report, place)
        if html:
            from softseg.evaluation.report import write_report

            write_report(report, place / "report.html", events)
    more = [*(["labelled.csv"] if labelled_only else []), *(["answers.csv"] if report.answers else [])]
    more += ["objects.csv"] if objects else []
    more += ["report.html"] if html else []
    for name in ("metrics.csv", "levels.csv", "summary.json", *more):
        events.result(name, folder / name)
    return report


def _require_report() -> None:
    """Raise :class:`InputError`, before hours of comparing, where a package that draws the report is missing."""
    for package in ("matplotlib", "jinja2", "markupsafe"):
        if not installed(package):
            error = missing(package)
            raise InputError(error.message, hint=f"{error.hint}, or leave the report out (--without-report)")


def _paired(
    predictions: Sequence[str | PathLike[str]],
    references: Sequence[Reference],
    tree: LabelTree,
    events: Events,
    pairs: Sequence[Pair] | str | PathLike[str] | None,
    images: Sequence[str | PathLike[str]],
) -> Pairs:
    """Return the pairs: as given, else by name."""
    if pairs is None:
        return pair_up(predictions, references, tree, events, images)
    if predictions or references or images:
        raise InputError("--pairs names everything to compare; do not give predictions, references or images as well")
    return read_pairs(pairs) if isinstance(pairs, (str, PathLike)) else Pairs(tuple(pairs))


@dataclass(frozen=True)
class _Own:
    """What values mean on either side, where they are not the tree's."""

    prediction: OwnValues | None
    reference: OwnValues | None


def _own_values(own: LabelTree | None, tree: LabelTree, events: Events) -> OwnValues | None:
    if own is None:
        return None
    found = OwnValues(own, tree)
    if note := found.note():
        events.warning(f"{own.name}: {note}")
    return found


def _add_case(report: Report, pair: Pair, rows: TreeRows, events: Events, own: _Own) -> None:
    prediction = read_prediction(
        pair.prediction, report.tree, events.warning, own.prediction, corrected=report.corrected
    )
    reference = read_reference(
        pair.reference,
        report.tree,
        events.warning,
        pair.mask,
        unlabelled=pair.unlabelled,
        labelled_only=report.labelled is not None,
        grid=prediction.probabilities.geometry,
        own=own.reference,
    )
    require_same_grid(prediction.probabilities.geometry, prediction.file, reference, warn=events.warning)
    if pair.image is not None:
        require_same_grid(read_channel(pair.image).geometry, pair.image, prediction, SCAN_HINT)
    found = measure(
        prediction.probabilities,
        reference.probabilities,
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
    voxel_ml = prediction.probabilities.geometry.voxel_volume_ml
    places = place_columns(found, prediction.probabilities.geometry)
    drawn = node_rows(pair.case, found, voxel_ml, raters=report.raters)
    nodes = [row | place for row, place in zip(drawn, places, strict=True)]
    levels = level_rows(pair.case, found, nodes)
    if report.connectivity is not None:
        report.objects += object_rows(pair.case, found, prediction.probabilities.geometry, report.connectivity)
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
    summary = levels[summary_level(nodes) - 1]
    events.metrics(
        {"case": pair.case, "dice": summary["dice"], "soft_dice": summary["soft_dice"], "level": summary["level"]}
    )


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
        raise InputError("no voxel is labelled in any reference", file=plain_reference(pairs[0].reference))
