"""The list of trainings that are known on this computer, of which one is shown."""

import os

from slicer.i18n import tr as _

from softseg.errors import InputError

from ...Training import KnownRuns
from ...Training.TrainingRun import TrainingRun
from ..Widgets.Selectors import chosen


class TrainRuns:
    """Ties the selector of trainings to what is shown of one.

    Parameters
    ----------
    ui: the panel's widgets by name.
    monitor: TrainMonitor.
    launcher: finds the processes of trainings.
    context: PanelContext; its dialogs ask for a folder.
    message: MessageLine.
    onChanged: called without arguments when another training is shown.
    """

    def __init__(self, ui, monitor, launcher, context, message, onChanged):
        self._ui, self._monitor, self._launcher = ui, monitor, launcher
        self._context, self._message, self._onChanged = context, message, onChanged
        ui.runSelector.currentIndexChanged.connect(self._onRun)
        ui.openRunButton.clicked.connect(self._onOpen)

    def fill(self):
        """List the known trainings; show the one that runs, or the last one, unless one is shown already."""
        folders, selector = KnownRuns.knownRuns(), self._ui.runSelector
        selector.blockSignals(True)
        selector.clear()
        for folder in folders:
            selector.addItem(os.path.basename(folder), folder)
        if self._monitor.run is None:
            runs = [TrainingRun(folder, self._launcher) for folder in folders]
            self._monitor.follow(next((run for run in runs if run.running), runs[0] if runs else None))
        if self._monitor.run is not None:
            selector.currentIndex = max(0, selector.findData(self._monitor.run.folder))
        selector.blockSignals(False)
        self._ui.progressFrame.visible = bool(folders)

    def show(self, run):
        """Put a training to the front of the list, and show it."""
        KnownRuns.remember(run.folder)
        self._monitor.follow(run)
        self.fill()
        self._onChanged()

    def _onRun(self, *_args):
        folder = chosen(self._ui.runSelector)
        if folder and (self._monitor.run is None or folder != self._monitor.run.folder):
            self._message.clear()
            self._monitor.follow(TrainingRun(folder, self._launcher))
            self._onChanged()

    def _onOpen(self, *_args):
        folder = self._context.dialogs.askFolder(_("Folder of a training"), self._ui.folderEdit.currentPath)
        if not folder:
            return
        run = TrainingRun(os.path.normpath(folder), self._launcher)
        try:
            run.request()
        except InputError as error:
            self._message.error(error)
            return
        self._message.clear()
        self.show(run)
