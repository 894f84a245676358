"""The maps of results are not offered as scans or labels in the panels, nor chosen by themselves."""

import pytest
import slicer
from gui_results import parcellation
from gui_runs import addHead
from SoftSegSlicerLib.Scene import HeatMap, OutlierMask, References


@pytest.fixture
def maps(moduleWidget):
    """A result with every kind of map, made while all panels are open."""
    for name in ("Segment", "Look", "Tree", "Train", "Compare"):
        moduleWidget.showPanel(name)
    logic = moduleWidget.context.logic
    node = logic.results.add(parcellation(), name="result")
    logic.showNode(node, "cortex")
    logic.maps.showUncertainty(node)
    array, geometry = parcellation().probability("cortex"), parcellation().geometry
    for role in (References.DISAGREEMENT, References.OUTLIER_SCORE):
        HeatMap.keep(node, role, array, geometry)
    OutlierMask.show(node, array > 0.5, geometry, None)
    slicer.app.processEvents()
    roles = ("HEAT_MAP", "ENTROPY", "DISAGREEMENT", "OUTLIER_SCORE", "OUTLIERS")
    found = [References.referenced(node, getattr(References, role)) for role in roles]
    assert None not in found
    return found


def selectorsOf(moduleWidget):
    segment, train, compare = (moduleWidget.panel(name) for name in ("Segment", "Train", "Compare"))
    return [
        *(segment.inputs.selector(channel) for channel in segment.inputs.channels),
        train.ui.volumeSelector,
        train.ui.labelsSelector,
        compare.ui.resultSelector,
        compare.ui.referenceSelector,
        moduleWidget.panel("Look").ui.segmentationSelector,
    ]


def offered(selector):
    return [selector.nodeFromIndex(n) for n in range(selector.nodeCount())]


def test_maps_are_offered_nowhere_and_stay_in_the_scene(moduleWidget, maps):
    for selector in selectorsOf(moduleWidget):
        assert not set(offered(selector)) & set(maps), selector.objectName
        assert selector.currentNode() not in maps
    assert not any(node.GetHideFromEditors() for node in maps)  # the module Data shows them
    scan = addHead("scan")
    for selector in (moduleWidget.panel("Train").ui.volumeSelector, selectorsOf(moduleWidget)[0]):
        assert scan in offered(selector)


def test_a_map_in_view_is_not_taken_for_the_scan(moduleWidget, maps):
    slicer.util.setSliceViewerLayers(background=maps[0])
    moduleWidget.panel("Segment").inputs.restore()
    assert moduleWidget.panel("Segment").inputs.volumes() == [None]


def test_a_panel_that_is_opened_later_and_a_saved_scene_know_the_maps_too(moduleWidget, maps, cleanScene, tmp_path):
    path = str(tmp_path / "scene.mrml")
    for node in maps:
        node.SetSaveWithScene(True)
    cleanScene.SetURL(path)
    assert cleanScene.Commit(path)
    cleanScene.Clear(False)
    first = addHead("a scan with the id of a map that is gone")
    assert first in offered(moduleWidget.panel("Train").ui.volumeSelector)
    cleanScene.SetURL(path)
    cleanScene.Connect()
    slicer.app.processEvents()
    names = {node.GetName() for node in maps}
    for selector in selectorsOf(moduleWidget):
        assert not names & {node.GetName() for node in offered(selector)}
