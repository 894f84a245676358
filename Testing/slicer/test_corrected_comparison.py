"""Model, corrected result and reference: what is judged, and its numbers beside the engine's own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from SoftSegSlicerLib.Compare.Comparison import Comparison
from SoftSegSlicerLib.Compare.ComparisonNodes import ComparisonNodes
from SoftSegSlicerLib.Compare.ModelAnswer import MODEL
from worlds import linearTransform

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.image import Image, write_image
from softseg.requests import EvaluateRequest
from softseg.soft.corrections import corrected_voxel_count

LABEL_MAP = "vtkMRMLLabelMapVolumeNode"


@pytest.fixture
def truth(make, grid, tree):
    """Labels of another answer than the model's, ``(k, j, i)``."""
    return make(grid, seed=1).labels(tree.cut_at(tree.depth)).astype(np.uint16)


@pytest.fixture
def corrected(logic, parcellation, truth):
    """A result in which half of the truth's brain stem and left cortex are corrected."""
    result = logic.results.add(parcellation, name="result")
    for node, value in (("stem", 200), ("left", 7)):
        half = truth == value
        half[::2] = False
        logic.corrections.add(result, node, half)
    return result


def ran(comparison):
    """Do what the panel does, without processes and pictures."""
    list(comparison.write())
    for arguments in comparison.commands:
        request = EvaluateRequest.from_argv(arguments)
        evaluate(
            request.prediction, request.reference, comparison.tree, request.out, html=False, corrected=request.corrected
        )
    return comparison.tables()


def scores(report):
    return {(row["level"], row["node"]): (row["dice"], row["soft_dice"]) for row in report.nodes}


def assertAsEngine(tables, corrected, model):
    for level in tables.levels:
        for row in tables.nodes(level["level"]):
            place = (int(row["level"]), row["node"])
            assert (row["dice"], row["soft_dice"]) == pytest.approx(corrected[place], abs=1e-5, nan_ok=True)
            own = (row["dice_model"], row["soft_dice_model"])
            assert own == pytest.approx(model[place], abs=1e-5, nan_ok=True)
            change = corrected[place][0] - model[place][0]
            assert row["dice_change"] == pytest.approx(change, abs=1e-5, nan_ok=True)


def test_both_are_judged_as_the_engine_judges_them(logic, corrected, truth, tree, grid, addVolume, tmp_path):
    reference = addVolume(truth, grid, "truth", LABEL_MAP)
    comparison = Comparison(logic, corrected, reference, tmp_path / "out")
    assert comparison.judgesModel
    tables = ran(comparison)
    assert tables.judgesModel
    soft = logic.results.parcellationOf(corrected).save(tmp_path / "case.soft.npz")
    write_image(Image(truth, grid), tmp_path / "truth.nrrd")
    ones = [
        evaluate([soft], [tmp_path / "truth.nrrd"], tree, tmp_path / str(said), html=False, corrected=said)
        for said in (True, False)
    ]
    assertAsEngine(tables, *map(scores, ones))
    changes = {row["node"]: row["dice_change"] for row in tables.nodes(tables.deepest)}
    assert changes["stem"] > 0.05
    assert changes["left"] > 0.05
    for level, with_, without in zip(tables.levels, *(one.levels for one in ones), strict=True):
        assert level["dice"] == pytest.approx(with_["dice"], abs=1e-5)
        assert level["dice_model"] == pytest.approx(without["dice"], abs=1e-5)
        assert level["dice_change"] == pytest.approx(with_["dice"] - without["dice"], abs=2e-5)


def test_a_moved_result_is_judged_alike(scene, logic, corrected, truth, grid, addVolume, tmp_path):
    reference = addVolume(truth, grid, "truth", LABEL_MAP)
    here = ran(Comparison(logic, corrected, reference, tmp_path / "here"))
    transform = linearTransform(scene, np.array([[0, -1, 0, 12], [1, 0, 0, -7], [0, 0, 1, 3], [0, 0, 0, 1.0]]))
    for node in (corrected, reference):
        node.SetAndObserveTransformNodeID(transform.GetID())
    there = ran(Comparison(logic, corrected, reference, tmp_path / "there"))
    for level in here.levels:
        pairs = zip(here.nodes(level["level"]), there.nodes(level["level"]), strict=True)
        assert all(one["dice_model"] == pytest.approx(other["dice_model"], nan_ok=True) for one, other in pairs)


def test_nothing_changes_without_corrections(logic, parcellation, truth, grid, addVolume, tmp_path):
    result = logic.results.add(parcellation, name="result")
    logic.corrections.add(result, "stem", truth == 200)
    logic.corrections.undo(result)
    comparison = Comparison(logic, result, addVolume(truth, grid, "truth", LABEL_MAP), tmp_path)
    assert comparison.commands == [comparison.arguments]
    tables = ran(comparison)
    assert not tables.judgesModel
    assert "dice_model" not in tables.nodes(1)[0]
    with pytest.raises(InputError, match="has no corrections"):
        Comparison(logic, result, MODEL, tmp_path)


def test_the_corrected_result_differs_from_the_model_where_it_was_corrected(
    logic, corrected, parcellation, tree, grid, tmp_path
):
    comparison = Comparison(logic, corrected, MODEL, tmp_path / "out")
    tables = ran(comparison)
    assert len(comparison.commands) == 1
    parcellation.save(tmp_path / "model.soft.npz")
    soft = logic.results.parcellationOf(corrected).save(tmp_path / "case.soft.npz")
    found = scores(evaluate([soft], [tmp_path / "model.soft.npz"], tree, tmp_path / "engine", html=False))
    rows = tables.nodes(tables.deepest)
    assert min(row["dice"] for row in rows) < 0.99
    for row in rows:
        assert (row["dice"], row["soft_dice"]) == pytest.approx(found[tree.depth, row["node"]], abs=1e-5)
    cut = tree.cut_at(tree.depth)
    own, now = parcellation.labels(cut) == 200, logic.results.parcellationOf(corrected).labels(cut) == 200
    stem = next(row for row in rows if row["node"] == "stem")
    assert stem["dice"] == pytest.approx(2 * (own & now).sum() / (own.sum() + now.sum()), abs=1e-5)
    assert logic.results.parcellationOf(corrected).geometry == grid


def test_labels_without_shares_are_judged_before_and_after(logic, parcellation, truth, tree, grid, addVolume, tmp_path):
    labels = parcellation.labels(tree.cut_at(tree.depth)).astype(np.uint16)
    result = logic.results.adopt(addVolume(labels, grid, "made elsewhere", LABEL_MAP), tree)
    logic.corrections.add(result, "stem", truth == 200)
    logic.collapse(result, 1)
    tables = ran(Comparison(logic, result, addVolume(truth, grid, "truth", LABEL_MAP), tmp_path / "out"))
    stem = next(row for row in tables.nodes(tables.deepest) if row["node"] == "stem")
    own, right = labels == 200, truth == 200
    assert stem["dice_model"] == pytest.approx(2 * (own & right).sum() / (own.sum() + right.sum()), abs=1e-5)
    assert stem["dice"] > stem["dice_model"]
    byModel = ran(Comparison(logic, result, MODEL, tmp_path / "model"))
    stem = next(row for row in byModel.nodes(byModel.deepest) if row["node"] == "stem")
    now = own | right
    assert stem["dice"] == pytest.approx(2 * own.sum() / (own.sum() + now.sum()), abs=1e-5)


def test_a_structure_that_was_corrected_away_stays_in_the_table(logic, corrected, truth, grid, addVolume, tmp_path):
    logic.corrections.add(corrected, "stem", np.ones(grid.shape, bool), isNode=False)
    rest = np.where(truth == 200, 0, truth).astype(np.uint16)
    tables = ran(Comparison(logic, corrected, addVolume(rest, grid, "truth", LABEL_MAP), tmp_path))
    stem = next(row for row in tables.nodes(tables.deepest) if row["node"] == "stem")
    assert stem["dice_model"] == 0
    assert math.isnan(stem["dice"])
    assert math.isnan(stem["dice_change"])
    assert tables.nodes(tables.deepest)[-1] is stem


def test_table_and_bars_show_the_model_too(scene, logic, corrected, truth, grid, addVolume, tmp_path):
    tables = ran(Comparison(logic, corrected, addVolume(truth, grid, "truth", LABEL_MAP), tmp_path))
    nodes = ComparisonNodes(scene)
    table, first = nodes.write(tables, "result").GetTable(), tables.nodes(1)[0]
    assert table.GetColumnByName("Dice, model").GetValue(0) == first["dice_model"]
    assert table.GetColumnByName("Dice, difference").GetValue(0) == first["dice_change"]
    chart = nodes.bars(tables.nodes(tables.deepest), "result")
    names = [chart.GetNthPlotSeriesNode(number).GetYColumnName() for number in range(2)]
    assert names == ["Dice, corrected", "Dice, model"]


def test_voxels_are_counted_once(logic, corrected, truth, grid):
    before = corrected_voxel_count(logic.corrections.of(corrected))
    right = ((truth == 200) | (truth == 7)) & (np.arange(grid.shape[0])[:, None, None] % 2 == 1)
    assert before == right.sum()
    logic.corrections.add(corrected, "cortex", right)
    assert corrected_voxel_count(logic.corrections.of(corrected)) == before
    assert corrected_voxel_count([]) == 0


def test_scripts_get_all_three(logic, corrected, truth, grid, addVolume, tmp_path):
    tables = logic.compare(corrected, addVolume(truth, grid, "truth", LABEL_MAP), tmp_path / "out")
    assert tables.levels[-1]["dice"] > tables.levels[-1]["dice_model"]
    assert tables.report == str(tmp_path / "out" / "report.html")
    assert not (tmp_path / "out" / "without-corrections" / "report.html").exists()


def test_another_tree_judges_labels_without_shares_alone(logic, parcellation, truth, tree, grid, addVolume, tmp_path):
    labels = parcellation.labels(tree.cut_at(tree.depth)).astype(np.uint16)
    result = logic.results.adopt(addVolume(labels, grid, "made elsewhere", LABEL_MAP), tree)
    logic.corrections.add(result, "stem", truth == 200)
    other = tree.rename("stem", "the stem")
    reference = addVolume(truth, grid, "truth", LABEL_MAP)
    assert not Comparison(logic, result, reference, tmp_path, other).judgesModel
    with pytest.raises(InputError, match="only on its own label tree"):
        Comparison(logic, result, MODEL, tmp_path, other)
