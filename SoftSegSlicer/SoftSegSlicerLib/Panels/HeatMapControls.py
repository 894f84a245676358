"""The controls of the soft maps: probability of the selected structure, uncertainty, how they are drawn."""

import qt
from slicer.i18n import tr as _

__all__ = ["HeatMapControls"]

LABELS, PROBABILITY, UNCERTAINTY = "labels", "probability", "uncertainty"


class HeatMapControls:
    """Ties the lower part of the Look panel to the heat map of the scene.

    Parameters
    ----------
    ui: widgets of the Look panel.
    logic: SoftSegSlicerLogic.
    attempt: runs an action and shows its error; returns what it returned.
    """

    def __init__(self, ui, logic, attempt):
        self._ui = ui
        self._logic = logic
        self._attempt = attempt
        self._node = None
        self._selected = None
        self._modes = {
            LABELS: ui.labelsButton,
            PROBABILITY: ui.probabilityButton,
            UNCERTAINTY: ui.uncertaintyButton,
        }
        for mode, button in self._modes.items():
            button.clicked.connect(lambda *_args, mode=mode: self.setMode(mode))
            button.toggled.connect(lambda *_args, button=button: _markChecked(button))
            _markChecked(button)
        self._modeOfSoft = PROBABILITY
        self._listColorMaps("")
        ui.thresholdSlider.valueChanged.connect(lambda *_args: self._style(threshold=ui.thresholdSlider.value))
        ui.opacitySlider.valueChanged.connect(lambda *_args: self._style(opacity=ui.opacitySlider.value))
        ui.colorMapSelector.currentIndexChanged.connect(
            lambda *_args: self._style(colorMap=ui.colorMapSelector.currentText)
        )
        ui.contourCheck.toggled.connect(lambda *_args: self._style(contour=ui.contourCheck.checked))
        ui.legendCheck.toggled.connect(lambda *_args: self._style(legend=ui.legendCheck.checked))
        ui.volumeRenderingCheck.toggled.connect(self._onVolumeRendering)

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> str:
        """What is shown: ``"labels"``, ``"probability"`` or ``"uncertainty"``."""
        return next((mode for mode, button in self._modes.items() if button.checked), LABELS)

    @property
    def shownNode(self) -> str | None:
        """Id of the node whose probability the scene shows, ``None`` where it shows none."""
        shown = None if self._node is None else self._logic.shownNode(self._node)
        return None if shown == self._logic.UNCERTAINTY else shown

    def show(self, node, soft: bool) -> None:
        """Stand for another segmentation (``None`` for none), as its scene nodes say."""
        if self._node is not None:
            self._modeOfSoft = self.mode
        self._node = node if soft else None
        self._selected = None
        self._modes[self._modeOfSoft if soft or node is None else LABELS].checked = True
        for widget in ("labelsButton", "probabilityButton", "uncertaintyButton"):
            getattr(self._ui, widget).enabled = soft
        self._ui.mapWhyLabel.visible = node is not None and not soft
        self._ui.mapWhyLabel.text = _(
            "Off: this segmentation was made elsewhere and has no soft maps. "
            "Folding, levels, editing and export work as ever."
        )
        if self._node is not None:
            self._restore()
        self._enable()

    def _restore(self):
        shown = self._logic.shownNode(self._node)
        if shown == self._logic.UNCERTAINTY:
            self._modes[UNCERTAINTY].checked = True
        elif shown is not None:
            self._modes[PROBABILITY].checked = True
            self._selected = shown
        style = self._logic.heatMapStyle(self._node)
        self._listColorMaps(style["colorMap"])
        ui = self._ui
        for widget, attribute, value in (
            (ui.thresholdSlider, "value", style["threshold"]),
            (ui.opacitySlider, "value", style["opacity"]),
            (ui.contourCheck, "checked", style["contour"]),
            (ui.legendCheck, "checked", style["legend"]),
            (ui.volumeRenderingCheck, "checked", self._logic.volumeRenderingShown(self._node)),
        ):
            wasBlocked = widget.blockSignals(True)
            setattr(widget, attribute, value)
            widget.blockSignals(wasBlocked)

    def _listColorMaps(self, current: str):
        selector = self._ui.colorMapSelector
        # the map that a style names may not be in this scene: the nearest is drawn then
        names = list(self._logic.colorMaps()) or [current] * bool(current)
        wasBlocked = selector.blockSignals(True)
        if names != [selector.itemText(row) for row in range(selector.count)]:
            selector.clear()
            selector.addItems(names)
        if names:
            selector.currentIndex = names.index(current) if current in names else 0
        selector.blockSignals(wasBlocked)

    def refresh(self) -> None:
        """Follow the scene, after an edit that may have taken the shown structure away."""
        self._enable()

    # -- acts -----------------------------------------------------------------------------------------------------

    def setMode(self, mode: str) -> None:
        """Show labels alone, the probability of the selected structure, or the uncertainty."""
        self._modes[mode].checked = True
        self._draw()

    def select(self, nodeId: str | None) -> None:
        """Take the structure that was selected in the tree (``None``: none)."""
        self._selected = nodeId
        if self.mode == PROBABILITY:
            self._draw()

    def _draw(self):
        node, mode = self._node, self.mode
        if node is None:
            return
        if mode == UNCERTAINTY:
            self._attempt(lambda: self._logic.showUncertainty(node, **self._drawn()))
        elif mode == PROBABILITY and self._selected is not None:
            self._attempt(lambda: self._logic.showNode(node, self._selected, **self._drawn()))
        elif self._logic.shownNode(node) is not None:
            self._attempt(lambda: self._logic.hideHeatMap(node))
        self._enable()

    def _drawn(self):
        ui = self._ui
        return {
            "threshold": ui.thresholdSlider.value,
            "opacity": ui.opacitySlider.value,
            "colorMap": ui.colorMapSelector.currentText,
            "contour": ui.contourCheck.checked and self.mode == PROBABILITY,
            "legend": ui.legendCheck.checked,
        }

    def _style(self, **style):
        if self._node is not None and self._logic.shownNode(self._node) is not None:
            self._attempt(lambda: self._logic.styleHeatMap(self._node, **style))

    def _onVolumeRendering(self, *_args):
        if self._node is not None and self._logic.shownNode(self._node) is not None:
            on = self._ui.volumeRenderingCheck.checked
            self._attempt(lambda: self._logic.showVolumeRendering(self._node, on))

    def _enable(self):
        ui = self._ui
        shown = self._node is not None and self._logic.shownNode(self._node) is not None
        for widget in ("thresholdSlider", "opacitySlider", "colorMapSelector", "legendCheck", "volumeRenderingCheck"):
            getattr(ui, widget).enabled = shown
        ui.contourCheck.enabled = shown and self.mode == PROBABILITY
        if self._node is not None:
            hint = self.mode == PROBABILITY and not shown
            ui.mapWhyLabel.visible = hint
            if hint:
                ui.mapWhyLabel.text = _("Select a structure in the tree to see its probability.")


def _markChecked(button) -> None:
    """Write the text of a checked button in bold: some dark palettes hardly tell it from the others."""
    font = qt.QFont(button.font)
    font.setBold(button.checked)
    button.font = font
