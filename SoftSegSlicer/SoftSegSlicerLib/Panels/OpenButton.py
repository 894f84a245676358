"""The button that opens results from files, the same in Segment and in Look."""

from slicer.i18n import tr as _

from SoftSegSlicerLib.Integration.Opening import FILTERS, openResults

__all__ = ["OpenButton"]


class OpenButton:
    """Asks for files of soft parcellations and shows them.

    Parameters
    ----------
    button: the QPushButton.
    context: what the panels share.
    opened: called with the segmentations that were opened; the last one is the context's segmentation by then.
    failed: called with the list of errors of files that could not be read.
    """

    def __init__(self, button, context, opened, failed):
        self._context, self._opened, self._failed = context, opened, failed
        button.clicked.connect(self.onClicked)

    def onClicked(self, *_args):
        """Ask for files and open them all; one that is broken does not keep the others out."""
        paths = self._context.dialogs.askOpenFiles(_("Open results"), FILTERS)
        if not paths:
            return
        nodes, errors = openResults(self._context.logic, paths)
        if nodes:
            self._context.segmentation = nodes[-1]
            self._opened(nodes)
        if errors:
            self._failed(errors)
