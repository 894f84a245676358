"""Slicer's terminology browser in the form of the Tree panel."""

import pytest
import slicer
from gui_results import parcellation
from gui_runs import click
from SoftSegSlicerLib.Integration.TerminologySelector import entryOf, terminologyOfEntry

from softseg.tree import Code, Terminology

CORTEX = Terminology(
    Code("123037004", "SCT", "Anatomical Structure"),
    Code("40146001", "SCT", "Cerebral cortex"),
    type_modifier=Code("7771000", "SCT", "Left"),
    region=Code("12738006", "SCT", "Brain"),
)


@pytest.fixture
def panel(moduleWidget, monkeypatch):
    """The Tree panel in an application that has the browser, with a result."""
    monkeypatch.setattr(slicer, "qSlicerTerminologyNavigatorWidget", object, raising=False)
    moduleWidget.context.segmentation = moduleWidget.logic.results.add(parcellation())
    panel = moduleWidget.showPanel("Tree")
    panel.tree.select(["cortex"])
    return panel


def test_what_is_chosen_becomes_the_structures_codes_and_can_be_undone(panel, moduleWidget):
    moduleWidget.context.dialogs.terminology = CORTEX
    click(panel.ui.terminologySelectButton)
    assert moduleWidget.context.dialogs.asked == [(None, "Terminology of cortex")]
    assert panel.editor.tree.node("cortex").terminology == CORTEX
    assert panel.ui.terminologyTable.item(1, 2).text() == "Cerebral cortex"
    click(panel.ui.terminologySelectButton)
    assert moduleWidget.context.dialogs.asked[-1][0] == CORTEX
    panel.ui.undoButton.click()
    assert panel.editor.tree.node("cortex").terminology is None


def test_cancel_changes_nothing(panel):
    before = panel.editor.tree
    click(panel.ui.terminologySelectButton)
    assert panel.editor.tree == before


def test_without_the_browser_there_is_the_table(moduleWidget):
    panel = moduleWidget.showPanel("Tree")
    assert panel.ui.terminologySelectButton.isHidden()
    assert not panel.ui.terminologyButton.isHidden()


@pytest.mark.parametrize("terminology", [CORTEX, Terminology(CORTEX.category, CORTEX.type)])
def test_codes_come_back_from_slicers_entries(cleanScene, terminology):  # noqa: ARG001
    assert terminologyOfEntry(entryOf(terminology)) == terminology


def test_a_structure_without_codes_begins_as_a_tissue(cleanScene):  # noqa: ARG001
    assert terminologyOfEntry(entryOf(None)).type.meaning == "Tissue"
    assert terminologyOfEntry(slicer.vtkSlicerTerminologyEntry()) is None
