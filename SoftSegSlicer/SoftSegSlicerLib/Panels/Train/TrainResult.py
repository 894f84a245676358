"""What becomes of a training: its model is used, its curves and folder are shown, Slicer may close before it ends."""

import qt
import slicer
from slicer.i18n import tr as _

from ...Training.TrainingRun import RUNNING
from .CloseGuard import CloseGuard


class TrainResult:
    """The buttons below the curves of a training.

    Parameters
    ----------
    ui: of the Train panel.
    monitor: TrainMonitor that follows the training.
    context: PanelContext.
    """

    def __init__(self, ui, monitor, context):
        self._monitor, self._context = monitor, context
        ui.useButton.clicked.connect(self.onUse)
        ui.plotButton.clicked.connect(self.onPlot)
        ui.openFolderButton.clicked.connect(self.onOpenFolder)

    def onUse(self, *_args):
        """Choose the model in Segment."""
        self._context.notify("modelsChanged", path=self._monitor.run.model, select=True)
        self._context.showPanel("Segment")

    def onPlot(self, *_args):
        """Show the curves in a plot view."""
        self._monitor.curves.show(slicer.mrmlScene)

    def onOpenFolder(self, *_args):
        """Show the folder of the training in the system's file manager."""
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self._monitor.run.folder))


def guardTraining(monitor, dialogs):
    """Return a CloseGuard that asks what becomes of a running training when Slicer closes; None without a window.

    Parameters
    ----------
    monitor: TrainMonitor that follows the training.
    dialogs: asks people.
    """
    window = slicer.util.mainWindow()
    return None if window is None else CloseGuard(window, lambda: atClose(monitor, dialogs))


def atClose(monitor, dialogs):
    """Return what to do when Slicer has closed, None for nothing."""
    if monitor.state != RUNNING:
        return None
    question = _(
        "A training is running. Keep it running after Slicer closes? The Train tab shows it again at the next "
        "start. With No it is saved and stopped when Slicer closes."
    )
    return None if dialogs.confirm(question, _("Training")) else monitor.run.requestStop
