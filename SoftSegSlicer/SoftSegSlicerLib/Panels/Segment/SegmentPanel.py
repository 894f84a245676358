"""Segment scans with a model: choose, apply, watch, cancel, look at the result."""

from __future__ import annotations

import os

import slicer
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from SoftSegSlicerLib.Dependencies import DeclinedError, Dependencies
from SoftSegSlicerLib.Panels.Segment.LicenceQuestion import LicenceQuestion
from SoftSegSlicerLib.Panels.Segment.MessageList import MessageList
from SoftSegSlicerLib.Panels.Segment.SegmentBatch import SegmentBatch, levelOf
from SoftSegSlicerLib.Panels.Segment.SegmentDoubt import SegmentDoubt
from SoftSegSlicerLib.Panels.Segment.SegmentInputs import SegmentInputs
from SoftSegSlicerLib.Panels.Segment.SegmentModels import SegmentModels
from SoftSegSlicerLib.Panels.Segment.SegmentOptions import SegmentOptions
from SoftSegSlicerLib.Panels.Segment.SegmentQueue import QueuedScan, SegmentQueue
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Panels.Widgets.OpenButton import OpenButton
from SoftSegSlicerLib.Panels.Widgets.PanelWidgets import loadPanel
from SoftSegSlicerLib.Panels.Widgets.VolumeCount import VolumeCount
from SoftSegSlicerLib.Process.Runner import CANCELLED, DONE, FAILED
from SoftSegSlicerLib.Scene.VolumesView import showTable


class SegmentPanel:
    """The tab Segment.

    Parameters
    ----------
    context: what the panels share; see SoftSegSlicerLib.PanelContext.

    Attributes
    ----------
    widget: the panel's widget.
    dependencies: asks for and installs what is missing; tests replace it.
    messages: what is said below the buttons.
    """

    def __init__(self, context):
        self._context = context
        self.dependencies = Dependencies(context)
        self.licence = LicenceQuestion(context)
        self.widget, self.ui = loadPanel("SegmentPanel")
        self.messages = MessageList(self.ui.messagesLabel)
        self._checks = MessageList(self.ui.checksLabel)
        self._queue, self._result, self._volumes = None, None, VolumeCount(context.logic)
        self.models = SegmentModels(self.ui, context, self._onModelChanged, self._onError)
        self.inputs = SegmentInputs(self.ui, context, self._onInputChanged)
        self.batch = SegmentBatch(self.ui, context, self._model, self._update, self._onError)
        self.options = SegmentOptions(self.ui, context)
        self.doubt = SegmentDoubt(self.ui, context)
        self.open = OpenButton(self.ui.openButton, context, self._onOpened, self._onNotOpened, self.messages.info)
        self.ui.applyButton.clicked.connect(self.onApply)
        self.ui.batchButton.clicked.connect(self.onBatch)
        self.ui.cancelButton.clicked.connect(self.onCancel)
        self.ui.lookButton.clicked.connect(self.onLook)
        self.ui.volumesButton.clicked.connect(self.onVolumes)
        context.addObserver("modelsChanged", self._onModelsChanged)
        self._progress(None)
        self._restore()

    @property
    def running(self):
        """Whether a segmentation is under way."""
        return self._queue is not None

    # -- what the shell calls -------------------------------------------------------------------------------------

    def refresh(self):
        """Catch up with scene and palette."""
        self.messages.redraw()
        self.models.redraw()
        if self._context.parameterNode is not None:
            self.batch.refresh()
            self._showChecks()
            self._update()

    def onSceneStartClose(self):
        """Stop what works for the scene that goes."""
        self._stop()
        self.open.stop()
        self.inputs.cleanup()
        self._result = None

    def onSceneEndClose(self):
        """Begin again."""
        self.messages.clear()
        self._restore()

    def cleanup(self):
        """Stop, and let go of the context."""
        self._stop()
        self.inputs.cleanup()
        self._context.removeObserver("modelsChanged", self._onModelsChanged)

    # -- buttons --------------------------------------------------------------------------------------------------

    def onApply(self, *_arguments):
        """Segment the chosen scan."""
        problem = self._problem()
        if problem is not None:
            self._onError(problem)
            return
        logic, parameters = self._context.logic, self._context.parameterNode
        volumes, mask, model = self.inputs.volumes(), self.inputs.mask.chosenMask(), parameters.model
        cut, device, options = levelOf(parameters.cut), parameters.device, self.doubt.options()

        def prepare():
            return logic.segmenting.prepare(volumes, model, cut=cut, device=device, mask=mask, **options)

        name = os.path.basename(volumes[0]) if self.inputs.fromFiles else volumes[0].GetName()
        self._start([QueuedScan("", name, prepare, self._finishOne)])

    def onBatch(self, *_arguments):
        """Segment all ticked scans."""
        problem = self.batch.problem()
        if problem is not None:
            self._onError(problem)
            return
        parameters = self._context.parameterNode
        options = {**self.doubt.options(), "mask": self.inputs.mask.forMany()}
        self._start(self.batch.jobs(parameters.device, parameters.cut, options))

    def onCancel(self, *_arguments):
        """Stop."""
        if self._queue is not None:
            self.ui.cancelButton.enabled = False
            self._queue.cancel()

    def onLook(self, *_arguments):
        """Go to Look with the result."""
        if self._resultNode() is not None:
            self._context.segmentation = self._resultNode()
            self._context.showPanel("Look")

    def onVolumes(self, *_arguments):
        """Show the table of volumes beside the views."""
        if self._resultNode() is not None:
            showTable(self._context.logic.volumes.table(self._resultNode()))

    # -- the run --------------------------------------------------------------------------------------------------

    def _start(self, jobs):
        self.messages.clear()
        if not self.licence.agreed(*self._model()):
            self.messages.add("warning", _("The licence of the weights was not accepted, so nothing was segmented."))
            return
        try:
            self.dependencies.ensure(self.doubt.needsTorch(self._model()[1], self._context.parameterNode.device))
        except DeclinedError:
            self.messages.add("warning", _("No packages were installed, so nothing was segmented."))
            return
        except (SoftSegError, RuntimeError, OSError) as error:
            self._onError(error)
            return
        self._queue = SegmentQueue(
            self._context.runner(), self._progress, self._onMessage, self.batch.show, self._onFinished
        )
        self._progress(0.0, _("Starting ..."), True)
        self._update()
        self._queue.start(jobs)

    def _finishOne(self, prepared):
        logic = self._context.logic
        node = yield from logic.segmenting.steps(prepared, table=False)
        self._result = node.GetID()
        self._context.segmentation = node
        self._volumes.start(node, lambda: logic.volumes.table(node) if node.GetScene() is not None else None)

    def _onOpened(self, nodes):
        self.messages.clear()
        self._result = nodes[-1].GetID()
        self.messages.add("info", _("Opened: {names}.").format(names=", ".join(node.GetName() for node in nodes)))
        self._update()

    def _onNotOpened(self, errors):
        for error in errors:
            self._onError(error)

    def _onMessage(self, kind, text):
        if (kind, f"{text.rstrip('.')}.") not in self._checks.messages:  # said above the buttons already
            self.messages.add(kind, text)

    def _onFinished(self, jobs):
        self._queue = None
        self._progress(None)
        done = sum(job.state == DONE for job in jobs)
        failed = sum(job.state == FAILED for job in jobs)
        if any(job.state == CANCELLED for job in jobs):
            self.messages.add(
                "warning", _("Cancelled; {count} finished.").format(count=done) if done else _("Cancelled.")
            )
        elif len(jobs) > 1:
            text = _("{done} of {count} scans are segmented.").format(done=done, count=len(jobs))
            self.messages.add("warning" if failed else "info", text)
        elif done:
            node = self._resultNode()
            name = jobs[0].name if node is None else node.GetName()
            self.messages.add("info", _("Done: {name}.").format(name=name))
        self._update()

    def _stop(self):
        self._volumes.stop()
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.kill()
            self._progress(None)

    # -- what is shown --------------------------------------------------------------------------------------------

    def _restore(self):
        parameters = self._context.parameterNode
        if parameters is None:
            return
        self.options.restore()
        self.doubt.restore()
        self.models.fill(parameters.model)
        self._onModelChanged()
        self.inputs.restore()
        self.batch.restore()
        self.refresh()

    def _onModelChanged(self):
        parameters = self._context.parameterNode
        if parameters is None:
            return
        if self.models.current():
            parameters.model = self.models.current()
        summary = self.models.summary
        self.inputs.setChannels(() if summary is None else summary.channels, () if summary is None else summary.cubes)
        self.options.fillCuts(summary)
        self.doubt.allow(summary)
        self.refresh()

    def _onModelsChanged(self, path=None, select=False, **_others):
        if path is not None and select:
            self.models.choose(path)
        elif path is not None:
            self.models.offer(path)
            self.doubt.allow(self.models.summary)  # it may have got a score since

    def _onInputChanged(self):
        self._showChecks()
        self._update()

    def _onError(self, error):
        self.messages.add("error", error)

    def _showChecks(self):
        self._checks.clear()
        if self.models.summary is not None:
            for kind, text in self.inputs.said(self.models.summary):
                self._checks.add(kind, text)

    def _problem(self):
        if self.models.summary is None:
            return _("Choose a model.")
        return self.inputs.problem()

    def _update(self):
        """Enable what can be done now; buttons that cannot be used say why."""
        if self._context.parameterNode is None:
            return
        busy = _("A segmentation is running.") if self.running else None
        problem, batchProblem = busy or self._problem(), busy or self.batch.problem()
        _offer(self.ui.applyButton, problem, _("Segment the chosen scan"))
        _offer(
            self.ui.batchButton,
            batchProblem,
            _("Segment the scans one after the other; a failed scan does not stop the rest"),
        )
        self.ui.cancelButton.enabled = self.running
        for section in (self.ui.inputsSection, self.ui.optionsSection):
            section.enabled = not self.running
        if not self.running:
            self.ui.statusLabel.text = problem or ""
            self.ui.statusLabel.visible = bool(problem)
        self.ui.resultRow.visible = self._resultNode() is not None and not self.running

    def _progress(self, share, text="", busy=False):
        """Show how far the work is (0..1, None: there is none), or that it moves without a measure."""
        self.ui.progressBar.visible = share is not None
        self.ui.progressBar.maximum = 0 if busy else 1000
        self.ui.progressBar.value = round(1000 * (share or 0.0))
        self.ui.statusLabel.text = text
        self.ui.statusLabel.visible = bool(text)

    def _resultNode(self):
        return None if self._result is None else slicer.mrmlScene.GetNodeByID(self._result)

    def _model(self):
        return self.models.current(), self.models.summary


def _offer(button, problem, tip):
    button.enabled = problem is None
    button.toolTip = asWritten(problem or tip)
