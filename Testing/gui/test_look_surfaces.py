"""The button *Show 3D* of the Look panel: surfaces are made between events, and follow Slicer's own button."""

import pytest
import slicer
from gui_actions import click, clickArrow, settle
from gui_results import parcellation

SURFACE = "Closed surface"


@pytest.fixture(autouse=True, scope="module")
def _converter():
    """The application's Segmentations module registers it."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    factory.RegisterConverterRule(rule)
    yield
    factory.UnregisterConverterRule(rule)


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


def sizes(node):
    segmentation = node.GetSegmentation()
    found = {id_: segmentation.GetSegment(id_).GetRepresentation(SURFACE) for id_ in segmentation.GetSegmentIDs()}
    return {id_: None if surface is None else surface.GetNumberOfPoints() for id_, surface in found.items()}


def test_the_button_shows_surfaces_and_takes_them_away(look, result, waitUntil):
    button = look.ui.surfacesButton
    assert not button.checked
    click(button)
    assert button.checked
    assert sorted(sizes(result)) == ["caudate", "cortex", "putamen", "white"]
    waitUntil(lambda: min(sizes(result).values()) > 0)
    waitUntil(lambda: button.text == "Show 3D")
    click(button)
    assert not button.checked
    assert set(sizes(result).values()) == {None}


def test_surfaces_follow_a_fold(look, result, waitUntil):
    click(look.ui.surfacesButton)
    clickArrow(look.tree, "grey")
    settle()
    assert sorted(sizes(result)) == ["grey", "white"]
    waitUntil(lambda: min(sizes(result).values()) > 0)


def test_the_button_follows_surfaces_that_slicer_made_or_removed(look, result):
    assert result.GetSegmentation().CreateRepresentation(SURFACE)
    settle()
    assert look.ui.surfacesButton.checked
    result.GetSegmentation().RemoveRepresentation(SURFACE)
    settle()
    assert not look.ui.surfacesButton.checked


def test_without_a_result_there_is_nothing_to_show(look):
    assert not look.ui.surfacesButton.enabled


def test_a_result_that_is_not_looked_at_gets_its_surfaces_too(look, result, waitUntil):
    assert look.context.segmentation is result
    logic = look.context.logic
    other = logic.results.add(parcellation(), name="other")
    logic.surfaces.show(other)
    waitUntil(lambda: min(sizes(other).values()) > 0)
    assert not look.ui.surfacesButton.checked
