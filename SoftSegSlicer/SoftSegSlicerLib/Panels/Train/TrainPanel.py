"""Train: learn a model from segmentations of the scene or from a dataset file, and watch it learn."""

import os
import time
from functools import partial

import ctk
import qt
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

from ...Dependencies import DeclinedError, Dependencies
from ...Training.Launcher import Launcher
from ...Training.SceneDataset import SceneDataset, dataFile, fittingTree
from ...Training.TrainingRun import FAILED, RUNNING, RunRequest, TrainingRun
from ..Widgets.Contradictions import AskingStepwise
from ..Widgets.MessageLine import MessageLine
from ..Widgets.PanelWidgets import loadPanel
from ..Widgets.Selectors import chosen
from ..Widgets.Stepwise import Stepwise
from .TrainAfter import TrainAfter
from .TrainCases import TrainCases
from .TrainChoices import TrainChoices
from .TrainCorrections import TrainCorrections
from .TrainMatches import TrainMatches
from .TrainMonitor import TrainMonitor
from .TrainResult import TrainResult, guardTraining
from .TrainRuns import TrainRuns
from .TrainScribbles import BACKGROUND, SCRIBBLES, TrainScribbles

SCENE, FILE = "scene", "file"
PATIENCE_MILLISECONDS = 4000
"""A training that was asked to stop is ended after this."""


class TrainPanel:
    """The panel; see the module's documentation of panels.

    Parameters
    ----------
    context: PanelContext.

    Attributes
    ----------
    makeLauncher: called without arguments, returns what starts processes; tests replace it.
    dependencies: asks for and installs what is missing; tests replace it.
    """

    makeLauncher = Launcher

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadPanel("TrainPanel")
        ui = self.ui
        self._message = MessageLine(ui.messageLabel)
        self._launcher = self.makeLauncher()
        self.dependencies = Dependencies(context)
        self._writing = self._cases = None
        ui.sourceSelector.addItem(_("Segmentations of this scene"), SCENE)
        ui.sourceSelector.addItem(_("A dataset file (DATA.json)"), FILE)
        self.monitor = TrainMonitor(ui, self._onState)
        self.choices = TrainChoices(ui, context, self._update)
        self.scribbles, self.after = TrainScribbles(ui), TrainAfter(ui)
        self.corrections = TrainCorrections(self.widget.layout(), context, self._fineTune, self._originalData)
        self.corrections.button.clicked.connect(self._onFineTune)
        self._cases = TrainCases(ui, self._onSource, self._onAdded)
        context.mapFilter.apply(ui.volumeSelector, ui.labelsSelector)
        self.matches = TrainMatches(context.dialogs)
        ui.matchesButton.clicked.connect(self._onMatches)
        ui.sourceSelector.currentIndexChanged.connect(self._onSource)
        ui.datasetEdit.currentPathChanged.connect(self._onSource)
        ui.settingsEdit.textChanged.connect(self._update)
        ui.folderEdit.currentPathChanged.connect(self._update)
        ui.startButton.clicked.connect(self._onStart)
        ui.stopButton.clicked.connect(self._onStop)
        self._runs = TrainRuns(ui, self.monitor, self._launcher, context, self._message, self._update)
        self._result = TrainResult(ui, self.monitor, context)
        paths = ctk.ctkPathLineEdit
        ui.datasetEdit.filters = paths.Files | paths.Readable
        ui.folderEdit.filters = paths.Dirs | paths.Writable
        self._guard = guardTraining(self.monitor, context.dialogs)
        self._runs.fill()
        self._onSource()

    @property
    def cases(self):
        """The table of scans of the scene."""
        return self._cases

    def refresh(self):
        """Catch up with the scene; called when the panel comes to the front."""
        self._cases.refresh()
        self.corrections.look()
        self._update()
        self.monitor.redraw()

    def cleanup(self):
        """Let go of everything; a training that runs goes on and is found again."""
        self._stopWriting()
        self.monitor.stop()
        if self._guard is not None:
            self._guard.release()

    def onSceneStartClose(self):
        """Let a training go on: its scans were written to files, so that it needs no scene."""
        self._stopWriting()

    def onSceneEndClose(self):
        """Forget the cases of the old scene; read the training's curves again from its folder."""
        self._cases.refresh()
        self.corrections.look()
        self.monitor.follow(self.monitor.run)
        self._update()

    # -- what to learn from ---------------------------------------------------------------------------------------

    @property
    def _source(self):
        return chosen(self.ui.sourceSelector)

    def _onSource(self, *_args):
        if self._cases is None:
            return
        self.ui.sourceStack.currentIndex = 0 if self._source == SCENE else 1
        path = self.ui.datasetEdit.currentPath
        missing = self._source == FILE and path and not os.path.isfile(path)
        self.ui.datasetLabel.text = _("File not found.") if missing else ""
        self.choices.offerTrees(self._source, self._cases.cases())
        self._update()

    def _onAdded(self, labels):
        try:
            self.scribbles.follow(labels)
        except SoftSegError as error:
            self._message.error(error)

    def _whyNot(self):
        """Return why a training cannot start now; empty if it can."""
        if self._writing is not None or self.monitor.state == RUNNING:
            return _("A training is running.")
        if self._source == FILE and not os.path.isfile(self.ui.datasetEdit.currentPath):
            return _("Choose a DATA.json file.")
        if self._source == SCENE and not any(case.split == "train" for case in self._cases.cases()):
            return _("Add a scan with its segmentation for training.")
        return ""

    def _update(self, *_args):
        if self._cases is None:
            return
        run, why = self.monitor.run, self._whyNot()
        resume = run is not None and not why.startswith(_("A training")) and run.canResume
        self.ui.startButton.enabled = not why
        self.ui.matchesButton.enabled = bool(self._cases.cases())
        self.ui.startButton.toolTip = asWritten(why) or _("Start in the background; Slicer stays usable")
        busy = self._writing is not None or self.monitor.state == RUNNING
        self.ui.stopButton.text = _("Stop") if busy or not resume else _("Resume")
        self.ui.stopButton.enabled = busy or resume
        self.ui.stopButton.toolTip = (
            _("Stop after the current step; the training can be resumed later")
            if busy or not resume
            else _("Resume the training below from its last checkpoint")
        )
        judged = any(case.split == "val" for case in self._cases.cases())
        self.after.allow(judged or self._source == FILE)
        self.ui.runSelector.enabled = self.ui.openRunButton.enabled = self._writing is None
        self.corrections.refresh(_("A training is running.") if busy else "")

    # -- starting and stopping ------------------------------------------------------------------------------------

    def _onStart(self, *_args):
        self._tried(self._start)

    def _onFineTune(self, *_args):
        self._tried(partial(self.corrections.start, self.choices))

    def _tried(self, start):
        self._message.clear()
        try:
            self.dependencies.ensure(training=True)
            start()
        except DeclinedError:
            self._message.info(_("No packages were installed, so no training was started."))
        except (SoftSegError, OSError) as error:
            self._message.error(error)
        self._update()

    def _start(self):
        sets, tree = self.choices.sets(), self.choices.tree(self._cases.cases())
        folder = self.choices.newFolder(self._runName(tree))
        request = RunRequest("", self.choices.recipe, "", self.choices.device, self.choices.minutes, sets)
        request.after = self.after.steps()
        if self._source == FILE:
            self._startFromFile(folder, request, tree)
        else:
            self._startFromScene(folder, request, tree)

    def _runName(self, tree):
        what = tree.name if tree is not None else os.path.basename(os.path.dirname(self.ui.datasetEdit.currentPath))
        return f"{what or 'training'}-{self.choices.recipe}-{time.strftime('%Y-%m-%d')}"

    def _startFromFile(self, folder, request, tree):
        request.dataset = os.path.abspath(self.ui.datasetEdit.currentPath)
        if tree is not None:
            os.makedirs(folder, exist_ok=True)
            request.tree = str(tree.save(os.path.join(folder, "chosen-tree.json")))
        self._launch(folder, request)

    def _startFromScene(self, folder, request, tree):
        unpainted = self.scribbles.unpainted
        SceneDataset("", tree, self._cases.cases()).check()
        settled = self.matches.settle(self._cases.cases(), fittingTree(tree, unpainted == SCRIBBLES))
        if settled is None:
            return
        cases, tree = settled
        dataset = SceneDataset(os.path.basename(folder), tree, cases, unpainted != BACKGROUND, unpainted == SCRIBBLES)
        request.sets += self.scribbles.sets(request.sets)
        files = os.path.join(folder, "dataset")
        request.dataset = dataFile(files)
        self.ui.statusLabel.text = _("Writing the scans…")

        def done():
            self._launch(folder, request)
            self._message.info(" ".join(f"{remark}." for remark in dataset.remarks))

        work = partial(dataset.write, files)
        self._writing = AskingStepwise(self._context.dialogs, work, self._onWritten, done, self._onWriteError)

    def _originalData(self):
        path = self.ui.datasetEdit.currentPath
        return os.path.abspath(path) if self._source == FILE and os.path.isfile(path) else ""

    def _fineTune(self, folder, request, write):
        self.ui.statusLabel.text = _("Writing the scans…")
        done = partial(self._launch, folder, request)
        self._writing = Stepwise(write(), self._onWritten, done, self._onWriteError)

    def _onWriteError(self, error):
        self._stopWriting()
        self._message.error(error)
        self._update()

    def _onMatches(self, *_args):
        """Show what belongs to what, with the tree that is chosen now."""
        try:
            tree = fittingTree(self.choices.tree(self._cases.cases()), self.scribbles.unpainted == SCRIBBLES)
            self.matches.settle(self._cases.cases(), tree, always=True)
        except SoftSegError as error:
            self._message.error(error)

    def _onWritten(self, done, total):
        self.ui.progressFrame.visible = self.ui.progressBar.visible = True
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done

    def _stopWriting(self):
        work, self._writing = self._writing, None
        if work is not None:
            work.cancel()
            self.monitor.follow(self.monitor.run)
            self._runs.fill()

    def _launch(self, folder, request):
        self._writing = None
        run = TrainingRun(folder, self._launcher)
        run.start(request)
        self._runs.show(run)

    def _onStop(self, *_args):
        self._message.clear()
        run = self.monitor.run
        try:
            if self._writing is not None:
                self._stopWriting()
            elif self.monitor.state == RUNNING:
                run.requestStop()
                qt.QTimer.singleShot(
                    PATIENCE_MILLISECONDS, lambda: run.kill() if run.stopping and run.running else None
                )
                self.monitor.look()
            elif run is not None:
                run.resume()
                self.monitor.follow(TrainingRun(run.folder, self._launcher))
        except SoftSegError as error:
            self._message.error(error)
        self._update()

    def _onState(self, state):
        run = self.monitor.run
        if state == FAILED and run.message:
            self._message.error(f"{run.message} {run.hint}".strip())
        if run.model:
            self._context.notify("modelsChanged", path=run.model)
        self.corrections.onState(state, run)
        self._update()
