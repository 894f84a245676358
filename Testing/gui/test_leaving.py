"""Leaving the module, and the licence that is asked for once."""

import json

import pytest
import slicer
from gui_results import parcellation
from gui_runs import click
from SoftSegSlicerLib.Panels.Segment.LicenceQuestion import SETTING, LicenceQuestion
from SoftSegSlicerLib.Scene import Layouts

from softseg.prediction.model_summary import ModelSummary

FOUR_UP, CONVENTIONAL = 3, 2


@pytest.fixture(autouse=True)
def layout(moduleWidget):  # noqa: ARG001 - the application must be there
    slicer.app.layoutManager().layout = FOUR_UP
    yield slicer.app.layoutManager()
    Layouts.restore()
    slicer.app.layoutManager().layout = FOUR_UP


def observers():
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
    return crosshair.HasObserver(event)


def test_nothing_follows_the_mouse_in_other_modules(moduleWidget, cleanScene):
    cleanScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    node = moduleWidget.logic.results.add(parcellation())
    moduleWidget.context.segmentation = node
    moduleWidget.showPanel("Look")
    assert observers()
    moduleWidget.exit()
    assert not observers()
    moduleWidget.refresh()  # as after an act of a context menu
    assert not observers()
    moduleWidget.enter()
    assert observers()


def test_the_views_are_put_back(moduleWidget, layout):
    panel = moduleWidget.panel("Segment")
    panel._result = moduleWidget.logic.results.add(parcellation()).GetID()
    panel.onVolumes()
    assert layout.layout not in (FOUR_UP, CONVENTIONAL)
    moduleWidget.exit()
    assert layout.layout == FOUR_UP


def test_views_that_people_arranged_otherwise_meanwhile_stay(moduleWidget, layout):
    Layouts.show(35)
    layout.setLayout(CONVENTIONAL)
    moduleWidget.exit()
    assert layout.layout == CONVENTIONAL
    Layouts.show(35)
    Layouts.show(36)
    moduleWidget.exit()
    assert layout.layout == CONVENTIONAL


# -- the licence ------------------------------------------------------------------------------------------------------


@pytest.fixture
def asking(moduleWidget, monkeypatch):
    """The question, outside of testing mode."""
    monkeypatch.setattr(slicer.app, "_testing", False)
    return LicenceQuestion(moduleWidget.context)


def test_weights_that_are_not_free_for_everything_are_asked_for_once(asking, moduleWidget):
    brain, asked = ModelSummary.load("brain-134"), moduleWidget.context.dialogs.asked
    assert asking.agreed("brain-134", brain)
    (text,) = asked
    assert brain.licence in text
    assert asking.agreed("brain-134", brain)
    assert len(asked) == 1
    assert LicenceQuestion(moduleWidget.context).agreed("brain-134", brain)
    assert len(asked) == 1
    assert json.loads(slicer.app.settings().value(SETTING)) == [["brain-134", brain.licence]]


def test_no_is_not_remembered(asking, moduleWidget):
    moduleWidget.context.dialogs.answer = False
    for count in (1, 2):
        assert not asking.agreed("brain-134", ModelSummary.load("brain-134"))
        assert len(moduleWidget.context.dialogs.asked) == count


def test_free_weights_and_tests_are_not_asked(asking, moduleWidget, monkeypatch):
    moduleWidget.context.dialogs.answer = False
    assert asking.agreed("cord-gm-soft", ModelSummary.load("cord-gm-soft"))
    monkeypatch.setattr(slicer.app, "_testing", True)
    assert asking.agreed("brain-134", ModelSummary.load("brain-134"))
    assert moduleWidget.context.dialogs.asked == []


def test_apply_says_that_nothing_was_segmented(moduleWidget, monkeypatch, cleanScene):
    monkeypatch.setattr(slicer.app, "_testing", False)
    moduleWidget.context.dialogs.answer = False
    panel = moduleWidget.panel("Segment")
    panel.models.choose("brain-134")
    panel._start([])
    assert "licence" in panel.messages.messages[0][1]
    assert not panel.running
    assert cleanScene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode") == 0


def test_damaged_settings_ask_again(asking, moduleWidget):
    slicer.app.settings().setValue(SETTING, "{")
    assert asking.agreed("brain-134", ModelSummary.load("brain-134"))
    assert len(moduleWidget.context.dialogs.asked) == 1


def test_a_click_on_show_volumes_needs_no_second_one(moduleWidget, layout):
    panel = moduleWidget.showPanel("Segment")
    panel._result = moduleWidget.logic.results.add(parcellation()).GetID()
    panel._update()
    click(panel.ui.volumesButton)
    assert layout.layout != FOUR_UP


# -- segments changed in Slicer's own modules -------------------------------------------------------------------------


def test_a_segment_renamed_in_slicer_is_renamed_in_the_panels(moduleWidget):
    node = moduleWidget.logic.results.add(parcellation())
    moduleWidget.context.segmentation = node
    look, tree = moduleWidget.panel("Look"), moduleWidget.panel("Tree")
    moduleWidget.showPanel("Tree")
    node.GetSegmentation().GetSegment("cortex").SetName("my cortex")
    for _round in range(3):
        slicer.app.processEvents()
    assert moduleWidget.logic.results.treeOf(node).node("cortex").name == "my cortex"
    assert tree.editor.tree.node("cortex").name == "my cortex"
    moduleWidget.showPanel("Look")
    assert look.tree.labelTree.node("cortex").name == "my cortex"


def test_an_edit_of_the_tree_is_not_taken_for_one_of_the_segments(moduleWidget):
    node = moduleWidget.logic.results.add(parcellation())
    moduleWidget.context.segmentation = node
    panel = moduleWidget.showPanel("Tree")
    panel.edit(lambda editor: editor.rename("cortex", "one"))
    panel.edit(lambda editor: editor.recolor(["white"], (1, 2, 3)))
    for _round in range(3):
        slicer.app.processEvents()
    assert moduleWidget.logic.results.treeOf(node).node("cortex").name == "one"
    click(panel.ui.undoButton)
    click(panel.ui.undoButton)
    for _round in range(3):
        slicer.app.processEvents()
    assert moduleWidget.logic.results.treeOf(node) == parcellation().tree
