"""SoftSegSlicer: train, run, look at and edit soft segmentations that a label tree organises.

This file registers the module; what it does is in the folder SoftSegSlicerLib.
"""

import importlib

import slicer
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from SoftSegSlicerLib import Engine

Engine.makeImportable()

from SoftSegSlicerLib import SelfTest  # noqa: E402 - the engine had to be found first
from SoftSegSlicerLib.Diagnostics import Diagnostics  # noqa: E402
from SoftSegSlicerLib.Integration.ChangeWatch import ChangeWatch  # noqa: E402
from SoftSegSlicerLib.Integration.FileReader import SoftSegSlicerFileReader  # noqa: E402, F401 - Slicer looks for it here
from SoftSegSlicerLib.Integration.FileWriter import SoftSegSlicerFileWriter  # noqa: E402, F401 - Slicer looks for it here
from SoftSegSlicerLib.Integration.SharedLogic import dropSharedLogic, sharedLogic  # noqa: E402
from SoftSegSlicerLib.Integration.Startup import registerAll  # noqa: E402
from SoftSegSlicerLib.PaletteWatcher import PaletteWatcher  # noqa: E402
from SoftSegSlicerLib.PanelContext import PanelContext  # noqa: E402
from SoftSegSlicerLib.Panels.Widgets.ScrollPage import ScrollPage  # noqa: E402
from SoftSegSlicerLib.Parameters import parametersOf  # noqa: E402
from SoftSegSlicerLib.Scene import Layouts  # noqa: E402
from SoftSegSlicerLib.Scene.SceneWatch import SceneWatch  # noqa: E402
from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic  # noqa: E402 - Slicer looks for it here

HOMEPAGE = "https://github.com/softseg/SlicerSoftSeg"
PANELS = ("Segment", "Look", "Tree", "Train", "Compare")


class SoftSegSlicer(ScriptedLoadableModule):
    """Name, category and help of the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = _("SoftSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Segmentation")]
        parent.dependencies = ["Segmentations", "Volumes", "VolumeRendering", "Colors", "SubjectHierarchy"]
        parent.contributors = [_("SoftSegSlicer contributors")]
        parent.helpText = _(
            "Segments scans into probabilities of the structures of a label tree, shows any node of it as a heat map, "
            "merges branches by folding, edits trees, and trains models on soft or sparse labels."
        )
        parent.helpText += self.getDefaultModuleDocumentationLink(HOMEPAGE)
        # results are followed through transforms, copies and deletion also before the module is opened
        self.sceneWatch = SceneWatch.of(slicer.mrmlScene)
        slicer.app.connect("startupCompleted()", registerAll)
        parent.acknowledgementText = _(
            "Research software. Not a medical device; not for clinical decisions. If it helps your work, please cite "
            '<a href="{homepage}">{homepage}</a> and what the card of the model names. The weights of brain-134 were '
            "trained on OASIS scans with labels by Neuromorphometrics, Inc. (CC BY-NC), those of cord-gm-soft on the "
            "data of the spinal cord grey matter imaging challenge (CC0). The sample head is the ICBM 152 average of "
            "the Montreal Neurological Institute."
        ).format(homepage=HOMEPAGE)


class SoftSegSlicerWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's window: a tab for each panel, made when it is first looked at."""

    def setup(self):
        """Make the window; Slicer calls this when the module is first opened."""
        ScriptedLoadableModuleWidget.setup(self)
        self.shell = slicer.util.loadUI(self.resourcePath("UI/SoftSegSlicer.ui"))
        self.layout.addWidget(self.shell)
        self.shell.setMRMLScene(slicer.mrmlScene)
        self.ui = slicer.util.childWidgetVariables(self.shell)
        self.logic = sharedLogic()
        self.context = PanelContext(self.logic)
        self.context.parameterNode = parametersOf()
        self.context.showPanel = self.showPanel
        self.diagnostics = Diagnostics(self.context, self.ui.copyDiagnosticsButton, self.ui.diagnosticsLabel)
        self.panels = {}
        self.changeWatch = ChangeWatch(self.context)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.ui.tabs.currentChanged.connect(self.onTabChanged)
        self.paletteWatcher = PaletteWatcher(self.shell, self.refresh)
        self.panel("Segment")

    def panel(self, name):
        """Return the panel of this name (one of PANELS), made now if nobody looked at it before."""
        if name not in self.panels:
            panelClass = getattr(importlib.import_module(f"SoftSegSlicerLib.Panels.{name}.{name}Panel"), f"{name}Panel")
            self.panels[name] = panel = panelClass(self.context)
            getattr(self.ui, f"{name.lower()}Page").layout().addWidget(ScrollPage(panel.widget).area)
            if hasattr(panel.widget, "setMRMLScene"):
                panel.widget.setMRMLScene(slicer.mrmlScene)
            panel.refresh()
        return self.panels[name]

    def showPanel(self, name):
        """Bring the tab of this name to the front and return its panel."""
        self.ui.tabs.currentIndex = PANELS.index(name)
        return self.panel(name)

    def onTabChanged(self, *_arguments):
        """Make the panel of the tab, and let it catch up."""
        name = PANELS[self.ui.tabs.currentIndex]
        known = name in self.panels
        panel = self.panel(name)
        if known:
            panel.refresh()

    def enter(self):
        """Slicer calls this when the user comes to the module."""
        self.context.parameterNode = parametersOf()
        self.context.entered = True
        self.refresh()

    def exit(self):
        """Slicer calls this when the user leaves: nothing of ours follows the mouse, the views are put back."""
        self.context.entered = False
        if "Look" in self.panels:
            self.panels["Look"].rest()
        Layouts.restore()

    def refresh(self):
        """Let all panels catch up with scene and palette."""
        for panel in self.panels.values():
            panel.refresh()

    def onSceneStartClose(self, *_arguments):
        """Let the panels drop what belongs to the scene and stop what works for it."""
        for panel in self.panels.values():
            panel.onSceneStartClose()
        self.context.parameterNode = None

    def onSceneEndClose(self, *_arguments):
        """Begin again with the new scene."""
        self.context.parameterNode = parametersOf()
        self.logic.forget()
        for panel in self.panels.values():
            panel.onSceneEndClose()

    def onNodeRemoved(self, *_arguments):
        """Tell the panels when the segmentation they are about is deleted."""
        self.context.sync()

    def cleanup(self):
        """Slicer calls this before the module goes: stop processes, remove observers."""
        self.removeObservers()
        self.paletteWatcher.cleanup()
        self.changeWatch.cleanup()
        self.diagnostics.cleanup()
        for panel in self.panels.values():
            panel.cleanup()
        self.panels = {}
        self.context.cleanup()
        dropSharedLogic()


class SoftSegSlicerTest(ScriptedLoadableModuleTest):
    """The module's own tests, the same in Slicer and in the stand-in host; their steps are in SelfTest.py."""

    def setUp(self):
        """Begin with an empty scene."""
        slicer.mrmlScene.Clear(False)

    def test_results_fold_and_show(self):
        """A result is folded, shown as a heat map and measured."""
        SelfTest.checkFolding(self, SoftSegSlicerLogic())

    def test_results_know_what_they_do_not_know(self):
        """A result is held to a confidence; a decision is looked at."""
        SelfTest.checkUncertainty(self, SoftSegSlicerLogic())

    def test_results_are_followed(self):
        """A result is hardened, folded, cloned and deleted."""
        SelfTest.checkFollowing(self, SoftSegSlicerLogic())

    def test_panels_open(self):
        """Every panel opens; Segment says what it lacks."""
        SelfTest.checkPanels(self, slicer.util.getModuleWidget("SoftSegSlicer"))
