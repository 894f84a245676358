"""The button that opens results and other tools' probabilities from files, the same in Segment and in Look."""

from slicer.i18n import tr as _

from SoftSegSlicerLib.Integration.Importing import Import
from SoftSegSlicerLib.Integration.Opening import FILTERS, confidenceOf, openResults

from .Stepwise import Stepwise

__all__ = ["OpenButton"]

MAPS = (".npz", ".nii", ".nii.gz", ".mgz", ".mgh", ".nrrd", ".mha", ".mhd")
"""Files in which other tools' probabilities come."""


class OpenButton:
    """Asks for files of soft parcellations, or of probabilities, and shows them.

    Parameters
    ----------
    button: the QPushButton.
    context: what the panels share.
    opened: called with the segmentations that were opened; the last one is the context's segmentation by then.
    failed: called with the list of errors of files that could not be read.
    told: called with what is to be said about probabilities, one text; None: nobody is told.
    """

    def __init__(self, button, context, opened, failed, told=None):
        self._button, self._context, self._opened, self._failed, self._told = button, context, opened, failed, told
        self._text, self._work = button.text, None
        button.clicked.connect(self.onClicked)

    def onClicked(self, *_args):
        """Ask for files and open them all; one that is broken does not keep the others out."""
        filters = ";;".join((FILTERS, _("Probabilities") + f" (*{' *'.join(MAPS)})"))
        paths = self._context.dialogs.askOpenFiles(_("Open results or probability maps"), filters)
        if not paths:
            return
        maps = [path for path in paths if path.lower().endswith(MAPS) and confidenceOf(path) == 0]
        nodes, errors = openResults(self._context.logic, [path for path in paths if path not in maps])
        if nodes:
            self._show(nodes)
        if errors:
            self._failed(errors)
        if maps:
            self._import(maps)

    def stop(self):
        """End an import, leaving nothing of it."""
        if self._work is not None:
            self._work.cancel()
            self._work = None

    def _import(self, paths):
        job = Import(self._context.logic, paths, self._context.dialogs.askChoice)

        def onProgress(done, total):
            self._button.text = _("Opening ({done} of {total})").format(done=done, total=total)

        def onDone():
            self._end()
            if job.node is None:  # no tree was chosen
                return
            self._show([job.node])
            if self._told is not None:
                self._told("; ".join(job.said))

        def onError(error):
            self._end()
            self._failed([error])

        self._button.enabled = False
        self._work = Stepwise(job.steps(), onProgress, onDone, onError)

    def _end(self):
        self._work = None
        self._button.text, self._button.enabled = self._text, True

    def _show(self, nodes):
        self._context.segmentation = nodes[-1]
        self._opened(nodes)
