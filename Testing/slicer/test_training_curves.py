"""Curves of a training as tables and charts of the scene."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
for place in (ROOT / "SoftSegSlicer", ROOT / "Testing" / "host"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from slicerhost import scene as hostScene  # noqa: E402
from SoftSegSlicerLib.Training.LearningCurves import MOST_POINTS, LearningCurves, label  # noqa: E402


@pytest.fixture
def scene():
    host = hostScene.install()
    host.clear()
    yield host.scene
    host.clear()


SCORES = {"dice/level 1": 0.9, "dice/level 2": 0.7, "dice/level 10": 0.5, "dice/leaves": 0.5, "soft_dice/leaves": 0.4}


def columns(tableNode):
    table = tableNode.GetTable()
    return {
        table.GetColumnName(n): [table.GetColumn(n).GetValue(row) for row in range(table.GetNumberOfRows())]
        for n in range(table.GetNumberOfColumns())
    }


def series(chart):
    return [chart.GetNthPlotSeriesNode(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]


def test_tables_and_charts_hold_the_course(scene):
    curves = LearningCurves("/run", "my training")
    curves.add([(1, 3.0, 0.1), (2, 2.0, 0.1)], [(2, SCORES)])
    lossChart, scoreChart = curves.update(scene)
    (loss,) = series(lossChart)
    assert columns(loss.GetTableNode()) == {"step": [1, 2], "loss": [3.0, 2.0]}
    lines = series(scoreChart)
    assert [line.GetYColumnName() for line in lines] == [
        "dice/level 1",
        "dice/level 2",
        "dice/leaves",
        "soft_dice/leaves",
    ]
    assert [line.GetName() for line in lines][-1] == "soft Dice, leaves"
    assert columns(lines[0].GetTableNode())["dice/leaves"] == [0.5]
    assert tuple(scoreChart.GetYAxisRange()) == (0.0, 1.0)
    assert (lossChart.GetTitle(), lossChart.GetXAxisTitle()) == ("my training", "step")


def test_more_steps_go_into_the_same_nodes(scene):
    curves = LearningCurves("/run", "my training")
    curves.add([(1, 3.0, 0.1)], [])
    before = curves.update(scene)
    count = scene.GetNumberOfNodes()
    curves.add([(2, 2.5, 0.1)], [])
    assert curves.update(scene) == before
    assert scene.GetNumberOfNodes() == count
    (loss,) = series(before[0])
    assert columns(loss.GetTableNode())["loss"] == [3.0, 2.5]
    other = LearningCurves("/other", "other")
    assert other.update(scene)[0] is not before[0]


def test_after_the_scene_was_saved_and_loaded_the_curves_go_on_in_their_nodes(scene, tmp_path):
    curves = LearningCurves("/run", "my training")
    curves.add([(1, 3.0, 0.1)], [(1, SCORES)])
    curves.update(scene)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(False)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Import()
    count = scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode")
    assert count == 5
    again = LearningCurves("/run", "my training")
    again.add([(1, 3.0, 0.1), (2, 1.0, 0.1)], [(1, SCORES)])
    lossChart, _ = again.update(scene)
    assert scene.GetNumberOfNodesByClass("vtkMRMLPlotSeriesNode") == count
    assert columns(series(lossChart)[0].GetTableNode())["loss"] == [3.0, 1.0]


def test_long_courses_are_drawn_as_means_and_stay_small():
    curves = LearningCurves("/run", "long")
    total = 5 * MOST_POINTS
    curves.add([(step, float(step % 2), 0.1) for step in range(1, total + 1)], [])
    assert MOST_POINTS // 2 <= len(curves.losses) < 2 * MOST_POINTS
    assert curves.losses[-1][0] <= total
    assert curves.losses == sorted(curves.losses, key=lambda point: point[0])
    assert all(value == pytest.approx(0.5) for _, value in curves.losses[1:-1])
    assert (curves.lastStep, curves.lastLoss) == (total, 0.0)


def test_clearing_empties_the_tables(scene):
    curves = LearningCurves("/run", "again")
    curves.add([(1, 3.0, 0.1), (2, 2.0, 0.1)], [(2, SCORES)])
    curves.update(scene)
    curves.clear()
    curves.add([(1, 3.0, 0.1)], [])
    lossChart, scoreChart = curves.update(scene)
    assert columns(series(lossChart)[0].GetTableNode())["step"] == [1]
    assert scoreChart.GetNumberOfPlotSeriesNodes() == 0


def test_the_plot_view_shows_the_scores_as_soon_as_there_are_any(scene):
    curves = LearningCurves("/run", "shown")
    curves.add([(1, 3.0, 0.1)], [])
    lossChart = curves.show(scene)
    assert lossChart.GetYAxisTitle() == "loss"
    curves.add([], [(1, SCORES)])
    scoreChart = curves.show(scene)
    assert scoreChart.GetYAxisTitle().startswith("Dice")
    assert hostScene.install().applicationLogic.GetSelectionNode().GetActivePlotChartID() == scoreChart.GetID()


def test_names_for_people():
    assert label("dice/level 3") == "Dice, level 3"
    assert label("loss") == "loss"
