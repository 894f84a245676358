"""Two buttons that make nodes other modules know of the labels that are shown."""

from slicer.i18n import tr as _

__all__ = ["ExportButtons"]


class ExportButtons:
    """Makes a segmentation with true segments, or a label map.

    Parameters
    ----------
    ui: widgets ``exportSegmentationButton``, ``exportLabelMapButton``.
    logic: makes the nodes.
    attempt: runs an action and shows what went wrong (``attempt(action, default)``).
    made: called with a line of text that says what was made.
    """

    def __init__(self, ui, logic, attempt, made):
        self._ui, self._logic, self._attempt, self._made = ui, logic, attempt, made
        self._node = None
        ui.exportSegmentationButton.clicked.connect(self.onExportSegmentation)
        ui.exportLabelMapButton.clicked.connect(self.onExportLabelMap)

    def show(self, node):
        """Offer the labels of a segmentation, or nothing for ``None``."""
        self._node = node
        self._ui.exportSegmentationButton.enabled = self._ui.exportLabelMapButton.enabled = node is not None

    def onExportSegmentation(self, *_args):
        """Make a segmentation with true segments of the labels that are shown."""
        self._export(self._logic.exports.segmentation)

    def onExportLabelMap(self, *_args):
        """Make a label map of the labels that are shown."""
        self._export(self._logic.exports.labelMap)

    def _export(self, export):
        if self._node is not None:
            made = self._attempt(lambda: export(self._node), None)
            if made is not None:
                self._made(_("'{name}' was created.").format(name=made.GetName()))
