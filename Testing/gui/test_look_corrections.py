"""Correcting in the Look panel: clicks in slice views, the menu, the list; to Segment Editor and back."""

import numpy as np
import pytest
import qt
import slicer
from gui_actions import click, clickRow, settle
from gui_results import parcellation, rasOf, shownLabels

from softseg.tree import node_colors


@pytest.fixture
def look(moduleWidget):
    panel = moduleWidget.showPanel("Look")
    moduleWidget.parent.show()
    settle()
    return panel


@pytest.fixture
def result(look):
    node = look.context.logic.results.add(parcellation(), name="case")
    look.context.segmentation = node
    settle()
    return node


@pytest.fixture
def press():
    """Press, drag and release the left button over points of the world in the Red view."""
    widget = slicer.app.layoutManager().sliceWidget("Red")
    interactor, sliceNode = widget.sliceView().interactor(), widget.mrmlSliceNode()

    def act(*points):
        sliceNode.JumpSliceByCentering(*points[0])
        toXy = np.linalg.inv(
            np.reshape([sliceNode.GetXYToRAS().GetElement(r, c) for r in range(4) for c in range(4)], (4, 4))
        )
        for number, point in enumerate(points):
            x, y = (toXy @ [*point, 1])[:2]
            interactor.SetEventInformation(round(x), round(y), 0, 0)
            interactor.InvokeEvent("LeftButtonPressEvent" if number == 0 else "MouseMoveEvent")
        interactor.InvokeEvent("LeftButtonReleaseEvent")
        settle()

    return act


def at(voxel):
    """Return where a voxel ``(k, j, i)`` is, RAS in mm."""
    return rasOf(*voxel[::-1])


def voxelOf(look, result, nodeId):
    tree = look.context.logic.results.treeOf(result)
    labels = look.context.logic.results.parcellationOf(result).labels(tree.depth)
    return tuple(np.argwhere(labels == tree.value_of(nodeId))[10].tolist())


def choose(look, text):
    action = next(each for each in look.correct.menu.menu.actions() if each.text.split("\t")[0] == text)
    action.trigger()
    look.correct.menu.menu.hide()
    settle()


def rows(look):
    table = look.correct.ui.correctionTable
    return [table.topLevelItem(number).text(0) for number in range(table.topLevelItemCount)]


def test_a_click_marks_the_region_and_one_more_says_what_it_is(look, result, press):
    click(look.correct.ui.clickButton)
    voxel = voxelOf(look, result, "caudate")
    press(at(voxel))
    texts = [text.split("\t")[0] for text in look.correct.menu.texts()]
    assert texts[0] == "caudate"
    assert "putamen" in texts
    assert "not caudate" in texts
    assert "caudate" in look.correct.ui.correctLabel.text
    choose(look, "putamen")
    assert look.context.logic.points.shownAt(result, voxel) == "putamen"
    assert rows(look) == ["putamen"]
    click(look.correct.ui.undoButton)
    assert look.context.logic.points.shownAt(result, voxel) == "caudate"
    assert rows(look) == []
    click(look.correct.ui.redoButton)
    assert rows(look) == ["putamen"]


def test_the_brush_paints_a_ball_along_the_way(look, result, press):
    click(look.correct.ui.clickButton)
    look.correct.ui.reachSelector.currentIndex = 1
    look.correct.ui.radiusSpinBox.value = 2.0
    k, j, i = voxelOf(look, result, "cortex")
    press(at((k, j, i)), at((k, j, i + 4)))
    choose(look, "putamen")
    logic = look.context.logic
    assert all(logic.points.shownAt(result, (k, j, i + step)) == "putamen" for step in range(5))
    assert 5 < logic.corrections.of(result)[0].voxel_count < 500


def test_any_structure_can_be_typed_and_escape_drops_what_is_marked(look, result, press):
    click(look.correct.ui.clickButton)
    voxel = voxelOf(look, result, "cortex")
    press(at(voxel))
    choose(look, "Another structure…")
    look.correct.ui.answerEdit.text = "white matter"
    look.correct.ui.answerEdit.returnPressed.emit()
    settle()
    assert rows(look) == ["white matter"]
    press(at(voxel))
    interactor = slicer.app.layoutManager().sliceWidget("Red").sliceView().interactor()
    interactor.SetKeySym("Escape")
    interactor.InvokeEvent("KeyPressEvent")
    settle()
    look.correct.answer("cortex")
    assert rows(look) == ["white matter"]
    labels = slicer.mrmlScene.GetNodesByClass("vtkMRMLLabelMapVolumeNode")
    assert labels.GetNumberOfItems() == 0


def test_the_views_have_their_mouse_back_when_the_module_is_left(look, result, moduleWidget, press):
    click(look.correct.ui.clickButton)
    moduleWidget.exit()
    assert not look.correct.clicks.started
    press(at(voxelOf(look, result, "cortex")))
    assert rows(look) == []


def test_a_correction_is_removed_from_the_list(look, result):
    logic = look.context.logic
    mask = np.zeros(logic.results.geometryOf(result).shape, bool)
    mask[4:8, 4:8, 4:8] = True
    before = shownLabels(result)
    logic.corrections.add(result, "putamen", mask, author="A. Reader")
    logic.corrections.add(result, "caudate", mask, isNode=False)
    settle()
    assert rows(look) == ["not caudate", "putamen"]
    table = look.correct.ui.correctionTable
    assert "A. Reader" in table.topLevelItem(1).toolTip(0)
    for _each in range(2):
        table.setCurrentItem(table.topLevelItem(0))
        click(look.correct.ui.removeButton)
    assert rows(look) == []
    assert shownLabels(result) == before
    assert node_colors(logic.results.treeOf(result))


class Painted(qt.QObject):
    """Remembers which part of a widget was drawn."""

    def __init__(self, widget):
        qt.QObject.__init__(self)
        self.region = qt.QRegion()
        widget.installEventFilter(self)

    def eventFilter(self, _watched, event):
        if event.type() == qt.QEvent.Paint:
            self.region = self.region.united(event.region())
        return False


def test_the_list_is_drawn_again_below_its_last_row_too(look, result):
    logic = look.context.logic
    mask = np.zeros(logic.results.geometryOf(result).shape, bool)
    mask[4:8, 4:8, 4:8] = True
    logic.corrections.add(result, "putamen", mask)
    logic.corrections.add(result, "caudate", mask, isNode=False)
    settle()
    table = look.correct.ui.correctionTable
    table.setCurrentItem(table.topLevelItem(0))
    look.ui.belowArea.ensureWidgetVisible(look.correct.ui.removeButton)
    settle()
    visible = table.viewport().visibleRegion()
    assert not visible.isEmpty()
    painted = Painted(table.viewport())
    click(look.correct.ui.removeButton)
    assert rows(look) == ["putamen"]
    assert visible.subtracted(painted.region).isEmpty()


def test_edit_hands_the_shown_segments_to_segment_editor(look, result, monkeypatch):
    opened = []
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    clickRow(look.tree, "putamen")
    click(look.correct.ui.editButton)
    assert opened == ["SegmentEditor"]
    parameters = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
    assert parameters.GetSegmentationNode() is result
    assert parameters.GetSelectedSegmentID() == "putamen"


def test_what_was_painted_elsewhere_is_corrected_and_said_on_return(look, result, moduleWidget):
    from SoftSegSlicerLib.Scene import Grids, Segments

    moduleWidget.exit()
    array = Grids.arrayOf(Segments.layerOf(result))
    array[array == look.context.logic.results.treeOf(result).value_of("caudate")] = look.context.logic.results.treeOf(
        result
    ).value_of("putamen")
    Segments.layerOf(result).GetPointData().GetScalars().Modified()
    Segments.layerOf(result).Modified()
    moduleWidget.enter()
    settle()
    assert rows(look) == ["putamen"]
    assert "voxels were corrected" in look.ui.messageLabel.text
    assert isinstance(look.correct.keys, qt.QObject)


def test_corrections_made_elsewhere_are_listed_when_the_panel_is_looked_at_again(look, result, moduleWidget):
    moduleWidget.exit()
    moduleWidget.parent.hide()
    voxel = np.ravel_multi_index(voxelOf(look, result, "caudate"), look.context.logic.results.geometryOf(result).shape)
    look.context.logic.corrections.add(result, "putamen", np.array([voxel]))
    settle()
    assert rows(look) == []
    moduleWidget.parent.show()
    moduleWidget.enter()
    settle()
    assert rows(look) == ["putamen"]
