"""The brain mask: made by itself, none, or a segment or volume of the scene."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from softseg.requests.predict import AUTO, NO_MASK
from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen

SEGMENT, VOLUME = "segment", "volume"


class MaskChoice:
    """A list of kinds, and the selector of the chosen kind; kept in the parameter node.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context.
    onChanged: called when another mask is chosen.
    """

    def __init__(self, ui, context, onChanged):
        self._ui, self._context, self._onChanged = ui, context, onChanged
        self._filling = False
        for title, kind in (
            (_("Automatic"), AUTO),
            (_("None (the scan is skull-stripped)"), NO_MASK),
            (_("A segment"), SEGMENT),
            (_("A volume"), VOLUME),
        ):
            ui.maskBox.addItem(title, kind)
        ui.maskSelector.setMRMLScene(slicer.mrmlScene)
        ui.maskVolumeSelector.setMRMLScene(slicer.mrmlScene)
        ui.maskBox.currentIndexChanged.connect(self._onEdited)
        ui.maskSelector.currentNodeChanged.connect(self._onEdited)
        ui.maskSelector.currentSegmentChanged.connect(self._onEdited)
        ui.maskVolumeSelector.currentNodeChanged.connect(self._onEdited)
        self._show()

    @property
    def kind(self):
        """AUTO, NO_MASK, SEGMENT or VOLUME."""
        return chosen(self._ui.maskBox) or AUTO

    def restore(self):
        """Show what the parameter node remembers; older scenes remember a segment alone."""
        ui, parameters = self._ui, self._context.parameterNode
        self._filling = True
        ui.maskSelector.setCurrentNode(parameters.maskSegmentation)
        if parameters.maskSegment:
            ui.maskSelector.setCurrentSegmentID(parameters.maskSegment)
        ui.maskVolumeSelector.setCurrentNode(parameters.maskVolume)
        kind = parameters.maskKind or (SEGMENT if parameters.maskSegment else AUTO)
        ui.maskBox.currentIndex = max(0, ui.maskBox.findData(kind))
        self._filling = False
        self._show()

    def chosenMask(self):
        """Return AUTO, NO_MASK, (segmentation node, segment id) or a volume node; None where it is not chosen yet."""
        if self.kind == SEGMENT:
            node, segment = self._ui.maskSelector.currentNode(), self._ui.maskSelector.currentSegmentID()
            return (node, segment) if node is not None and segment else None
        return self._ui.maskVolumeSelector.currentNode() if self.kind == VOLUME else self.kind

    def forMany(self):
        """Return what holds for each of several scans, which no single mask fits: AUTO or NO_MASK."""
        return NO_MASK if self.kind == NO_MASK else AUTO

    def prepares(self, summary):
        """Whether a scan with its skull is prepared for a model (a ModelSummary)."""
        return summary.needs is not None if self.kind == AUTO else self.kind in (SEGMENT, VOLUME)

    def problem(self):
        """Return why there is no mask, a sentence; None if there is one, or none is needed."""
        if self.chosenMask() is not None:
            return None
        return _("Choose a segment as brain mask.") if self.kind == SEGMENT else _("Choose a volume as brain mask.")

    def _onEdited(self, *_arguments):
        self._show()
        parameters = self._context.parameterNode
        if self._filling or parameters is None:
            return
        parameters.maskKind = self.kind
        parameters.maskSegmentation = self._ui.maskSelector.currentNode()
        parameters.maskSegment = self._ui.maskSelector.currentSegmentID() or ""
        parameters.maskVolume = self._ui.maskVolumeSelector.currentNode()
        self._onChanged()

    def _show(self):
        self._ui.maskSelector.visible = self.kind == SEGMENT
        self._ui.maskVolumeSelector.visible = self.kind == VOLUME
