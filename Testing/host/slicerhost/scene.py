"""The MRML half without Qt: one scene, the application logic, module logics, three slice views as scene nodes."""

from __future__ import annotations

import contextlib
import types

import slicer
import vtk

_LOGICS = {
    ("colors", "Colors"): "vtkSlicerColorLogic",
    ("volumes", "Volumes"): "vtkSlicerVolumesLogic",
    ("segmentations", "Segmentations"): "vtkSlicerSegmentationsModuleLogic",
    ("terminologies", "Terminologies"): "vtkSlicerTerminologiesModuleLogic",
    ("volumerendering", "VolumeRendering"): "vtkSlicerVolumeRenderingLogic",
    ("tables", "Tables"): "vtkSlicerTablesLogic",
    ("plots", "Plots"): "vtkSlicerPlotsLogic",
    ("texts", "Texts"): "vtkSlicerTextsLogic",
    ("subjecthierarchy", "SubjectHierarchy"): "vtkSlicerSubjectHierarchyModuleLogic",
}
VIEWS = ("Red", "Yellow", "Green")


class qSlicerScriptedLoadableModuleWidget:
    """What the application shows; ``self()`` is the module's own widget class."""

    def __init__(self, pythonWidget):
        self._pythonWidget = pythonWidget

    def self(self):
        """Return the object of the module's widget class."""
        return self._pythonWidget


class Module:
    """What ``slicer.modules.NAME`` is: a way to the module's logic, path and widget."""

    def __init__(self, name, logic=None, path=""):
        self.name = name
        self.path = path
        self.pythonWidget = None
        self._logic = logic

    def logic(self):
        """Return the module's logic."""
        return self._logic

    def widgetRepresentation(self):
        """Return the object that carries the scripted widget."""
        return slicer.qSlicerScriptedLoadableModuleWidget(self.pythonWidget)


class Scene:
    """Everything that stays while the scene's content comes and goes.

    Attributes
    ----------
    scene: the vtkMRMLScene, ``slicer.mrmlScene``.
    applicationLogic: connects scene, selection and slice logics.
    modules: for ``slicer.modules``.
    """

    def __init__(self):
        self.scene = slicer.vtkMRMLScene()
        self.applicationLogic = slicer.vtkSlicerApplicationLogic()
        self.applicationLogic.SetMRMLScene(self.scene)
        self.modules = types.SimpleNamespace()
        with _withoutComplaints():
            for (name, module), className in _LOGICS.items():
                logic = getattr(slicer, className)()
                logic.SetMRMLApplicationLogic(self.applicationLogic)
                logic.SetMRMLScene(self.scene)
                self.applicationLogic.SetModuleLogic(module, logic)
                setattr(self.modules, name, Module(name, logic))
        self.sliceLogics = vtk.vtkCollection()
        self.applicationLogic.SetSliceLogics(self.sliceLogics)
        self._views = {}
        self.addViews()

    def addViews(self):
        """Add the nodes of the three slice views, which outlive what users load."""
        if self.scene.GetFirstNodeByClass("vtkMRMLSelectionNode") is None:
            self.scene.AddNewNodeByClass("vtkMRMLSelectionNode").SetSingletonTag("Singleton")
        for name in VIEWS:
            if self.scene.GetNodeByID(f"vtkMRMLSliceNode{name}") is not None:
                continue
            slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene)
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(self.applicationLogic)
            logic.SetMRMLScene(self.scene)
            logic.AddSliceNode(name)
            self.sliceLogics.AddItem(logic)
            self._views[name] = logic

    def sliceLogic(self, name):
        """Return the logic of a view: Red, Yellow or Green."""
        return self._views[name]

    def clear(self):
        """Close the scene as File > Close does: events are sent, singletons (the views) stay."""
        self.scene.Clear(False)
        self.addViews()


@contextlib.contextmanager
def _withoutComplaints():
    """Keep quiet about colour and terminology files, which the wheel does not carry."""
    before = vtk.vtkLogger.GetCurrentVerbosityCutoff()
    vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
    try:
        yield
    finally:
        vtk.vtkLogger.SetStderrVerbosity(before)


def install() -> Scene:
    """Make the scene once and set ``slicer.mrmlScene`` and ``slicer.modules``; later calls return the same."""
    known = getattr(slicer, "_hostScene", None)
    if known is None:
        known = slicer._hostScene = Scene()
        slicer.mrmlScene = known.scene
        slicer.modules = known.modules
        slicer.selfTests = {}
        slicer.qSlicerScriptedLoadableModuleWidget = qSlicerScriptedLoadableModuleWidget
    return known
