"""How fine the result is shown at first, and what computes it."""

from __future__ import annotations

from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.DeviceList import DeviceChoice
from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen


class SegmentOptions:
    """The choices of cut and device, kept in the parameter node.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context.
    """

    def __init__(self, ui, context):
        self._ui, self._context = ui, context
        self._devices = DeviceChoice(ui.deviceBox, context.devices)
        ui.cutBox.currentIndexChanged.connect(self._onCutChanged)
        ui.deviceBox.currentIndexChanged.connect(self._onDeviceChanged)

    def restore(self):
        """Show the device that the parameter node remembers."""
        self._devices.choose(self._context.parameterNode.device)

    def fillCuts(self, summary):
        """Offer the levels of a model's tree (a ModelSummary, or None); the remembered one is chosen if it is there."""
        box = self._ui.cutBox
        blocked = box.blockSignals(True)
        box.clear()
        if summary is not None:
            depth = summary.tree.depth
            box.addItem(_("All structures ({count})").format(count=_shown(summary, depth)), "leaves")
            for level in range(depth - 1, 0, -1):
                count = _shown(summary, level)
                word = _("structure") if count == 1 else _("structures")
                title = _("Level {level} ({count} {word})").format(level=level, count=count, word=word)
                box.addItem(title, str(level))
        box.currentIndex = max(0, box.findData(self._context.parameterNode.cut))
        box.blockSignals(blocked)
        self._onCutChanged()

    def _onCutChanged(self, *_arguments):
        if self._context.parameterNode is not None:
            self._context.parameterNode.cut = chosen(self._ui.cutBox) or "leaves"

    def _onDeviceChanged(self, *_arguments):
        if self._context.parameterNode is not None:
            self._context.parameterNode.device = chosen(self._ui.deviceBox) or "auto"


def _shown(summary, level):
    """Return how many structures a level has; the background is none."""
    background = summary.tree.background
    return len(summary.tree.cut_at(level).nodes) - (background is not None)
