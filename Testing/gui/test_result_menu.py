"""The context menu of a result, and its columns in Segment Statistics."""

import importlib.machinery
import sys
import types

import numpy as np
import pytest
import slicer
from gui_results import GEOMETRY, parcellation
from SoftSegSlicerLib.Integration import SharedLogic, Startup
from SoftSegSlicerLib.Integration.ResultMenu import ResultMenu


@pytest.fixture
def menu(moduleWidget):  # noqa: ARG001 - the logic is that of the window
    import qt

    return ResultMenu(qt.QMenu())


def titles(menu):
    return [action.text for action in menu.menu.actions() if action.text]


def act(menu, title):
    next(action for action in [*menu.menu.actions(), *menu.levels.actions()] if action.text == title).trigger()


def test_a_result_offers_levels_uncertainty_and_exports(moduleWidget, menu):
    node = moduleWidget.logic.results.add(parcellation())
    assert menu.fill(node)
    assert titles(menu) == [
        "Fold to level",
        "Show uncertainty",
        "View in SoftSeg",
        "Edit in Segment Editor",
        "Export as segmentation",
        "Export as label map",
    ]
    assert [a.text for a in menu.levels.actions() if a.checked] == ["Level 2 (5 structures)"]


def test_the_open_window_follows(moduleWidget, menu):
    node = moduleWidget.logic.results.add(parcellation())
    moduleWidget.context.segmentation = node
    panel = moduleWidget.showPanel("Look")
    slicer.app.processEvents()
    menu.fill(node)
    act(menu, "Level 1 (3 structures)")
    moduleWidget.enter()  # as when people come back from Data
    assert set(panel.tree.cutIds()) == {"background", "grey", "white"}
    menu.fill(node, "grey")
    assert "Unfold this branch" in titles(menu)
    act(menu, "Show probability")
    assert panel.maps.shownNode == "grey"
    menu.fill(node, "grey")
    act(menu, "Hide the map")
    assert moduleWidget.logic.maps.shown(node) is None


def test_segment_editor_gets_the_segment_that_was_clicked(moduleWidget, menu, cleanScene, monkeypatch):
    modules = []
    monkeypatch.setattr(slicer.util, "selectModule", modules.append, raising=False)
    node = moduleWidget.logic.results.add(parcellation())
    menu.fill(node, "caudate")
    act(menu, "Edit in Segment Editor")
    editor = cleanScene.GetFirstNodeByClass("vtkMRMLSegmentEditorNode")
    assert editor.GetSegmentationNode() is node
    assert editor.GetSelectedSegmentID() == "caudate"
    assert modules == ["SegmentEditor"]


def test_other_segmentations_have_no_menu(menu, cleanScene):
    assert not menu.fill(cleanScene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert titles(menu) == []


class Base:
    """What the application's plug-in base gives, as far as ours asks for it."""

    def __init__(self):
        self.parameters = {}

    def getRequestedKeys(self):
        return self.defaultKeys

    def getParameterNode(self):
        return types.SimpleNamespace(GetParameter=lambda name: self.parameters.get(name, ""))

    @staticmethod
    def createCodedEntry(value, scheme, meaning, returnAsString=False):  # noqa: ARG004 - the application's signature
        return f"{scheme}:{value}"

    @staticmethod
    def createMeasurementInfo(name, title, description, units, **codes):
        return {"name": name, "title": title, "description": description, "units": units, **codes}


@pytest.fixture
def statistics(monkeypatch):
    """The module Segment Statistics: a list of plug-ins."""
    logic = types.SimpleNamespace(registeredPlugins=[])
    logic.registerPlugin = lambda plugin: logic.registeredPlugins.append(type(plugin))
    module = types.ModuleType("SegmentStatistics")
    module.SegmentStatisticsLogic = logic
    module.__spec__ = importlib.machinery.ModuleSpec("SegmentStatistics", None)
    plugins = types.ModuleType("SegmentStatisticsPlugins")
    plugins.SegmentStatisticsPluginBase = Base
    monkeypatch.setitem(sys.modules, "SegmentStatistics", module)
    monkeypatch.setitem(sys.modules, "SegmentStatisticsPlugins", plugins)
    monkeypatch.delitem(sys.modules, "SoftSegSlicerLib.Integration.SegmentStatistics", raising=False)
    return logic


def test_our_measurements_are_registered_once_and_computed(moduleWidget, statistics):
    Startup.registerAll()
    Startup.registerAll()
    (pluginClass,) = statistics.registeredPlugins
    plugin = pluginClass()
    node = moduleWidget.logic.results.add(parcellation())
    scan = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    slicer.util.updateVolumeFromArray(scan, np.full(GEOMETRY.shape, 7, np.int16))
    from SoftSegSlicerLib.Scene import Grids

    scan.SetIJKToRASMatrix(Grids.arrayToMatrix(GEOMETRY.affine))
    plugin.parameters = {"Segmentation": node.GetID(), "ScalarVolume": scan.GetID()}
    found = plugin.computeStatistics("cortex")
    assert found["soft_mean"] == pytest.approx(7)
    assert found["soft_volume_cm3"] == pytest.approx(moduleWidget.logic.volumes.ofNodes(node)["cortex"].softMl)
    assert all(plugin.getMeasurementInfo(key)["title"] for key in plugin.keys)
    assert plugin.getMeasurementInfo("other") is None
    assert plugin.computeStatistics("nobody") == {}


def test_without_segment_statistics_nothing_is_registered(moduleWidget, caplog):  # noqa: ARG001
    Startup.registerAll()
    assert caplog.records == []


def test_the_logic_is_the_windows_and_goes_with_it(moduleWidget):
    assert SharedLogic.sharedLogic() is moduleWidget.logic
