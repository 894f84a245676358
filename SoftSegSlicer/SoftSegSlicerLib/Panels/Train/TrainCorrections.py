"""Fine-tune this model from my corrections: one button, and what became of the model."""

import os
import time
from functools import partial

import qt
from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.prediction.model_summary import ModelSummary
from softseg.resources import named_model

from ...Training.BeforeAfter import beforeAfter
from ...Training.CorrectionsDataset import writeCorrections
from ...Training.SceneDataset import dataFile
from ...Training.TrainingRun import FINISHED, RunRequest
from ..Widgets.AsWritten import asWritten, showAsWritten


class TrainCorrections:
    """The strip with the button.

    Parameters
    ----------
    layout: where it is put, at the top.
    context: PanelContext; the model is the one chosen in Segment.
    start: called with folder, RunRequest and a function that returns steps of writing; begins both.
    original: called without arguments, returns the DATA.json that is mixed in and judges; empty for none.
    """

    def __init__(self, layout, context, start, original):
        self._context, self._begin, self._original = context, start, original
        self._found = []
        self.button = qt.QPushButton(_("Fine-tune this model from my corrections"))
        self.button.objectName = "fineTuneButton"
        self.label = qt.QLabel()
        self.label.objectName = "fineTuneLabel"
        self.label.wordWrap = True
        self.outcome = qt.QLabel()
        self.outcome.objectName = "fineTuneOutcome"
        self.outcome.wordWrap = True
        for label in (self.label, self.outcome):
            showAsWritten(label)
        for place, widget in enumerate((self.button, self.label, self.outcome)):
            layout.insertWidget(place, widget)
        self.outcome.visible = False

    def look(self):
        """Look for corrected results in the scene; painted segments become corrections first."""
        logic = self._context.logic
        self._found = [len(logic.corrections.of(node)) for node, _scan in self._results()]

    def refresh(self, busy=""):
        """Show what was found; ``busy`` says why nothing can start, empty if it can."""
        results, model = self._found, self._model()
        why = busy or ("" if results else _("Correct a result first, in Look or in Segment Editor."))
        self.button.enabled = not why
        self.button.toolTip = asWritten(why) or _(
            "The old model is kept; the new one can be chosen under Segment afterwards"
        )
        self.label.visible = bool(results)
        text = _("{model}, corrections: {said}, corrected results: {count}.").format(
            model=model, said=sum(results), count=len(results)
        )
        judge = _("Training scans of the dataset below are mixed in; its validation and test scans score the model.")
        self.label.text = f"{text} {judge}" if self._original() else text

    def onState(self, state, run):
        """Show what became of the model once a fine-tuning has ended."""
        text = beforeAfter(run.folder) if run is not None and state == FINISHED else ""
        self.outcome.text, self.outcome.visible = text, bool(text)

    def start(self, choices):
        """Write the corrected results and start.

        Parameters
        ----------
        choices: TrainChoices, for device, time budget and further settings.

        Raises
        ------
        SoftSegError: there is no corrected result, or the model is none or has several channels.
        """
        results, model = self._results(), self._model()
        if not results:
            raise InputError("no result of this scene was corrected", hint="correct one in Look")
        summary = ModelSummary.load(named_model(model))
        if len(summary.channels) != 1:
            raise InputError(
                f"'{summary.name}' takes {len(summary.channels)} images per scan; only models of one can be tuned here",
                hint="use softseg data import corrections (docs/learning-from-corrections.md)",
            )
        folder = choices.newFolder(f"{summary.name}-corrected-{time.strftime('%Y-%m-%d')}")
        files = os.path.join(folder, "dataset")
        model = os.path.abspath(str(summary.path))
        request = RunRequest(dataFile(files), "", "", choices.device, choices.minutes, choices.sets(), model=model)
        logic, channel = self._context.logic, summary.channels[0]
        self._begin(folder, request, partial(writeCorrections, files, logic, results, channel, self._original()))

    def _results(self):
        return self._context.logic.corrections.results()

    def _model(self):
        node = self._context.parameterNode
        return "" if node is None else node.model
