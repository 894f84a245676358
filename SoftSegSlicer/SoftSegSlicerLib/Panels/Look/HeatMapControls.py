"""The controls of the soft maps: probability of the selected structure, uncertainty, how they are drawn."""

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Scene.ShownMap import Kind

__all__ = ["HeatMapControls"]

LABELS, PROBABILITY, UNCERTAINTY, OUTLIERS = "labels", "probability", "uncertainty", "outliers"
OF_LABELS, OF_DECISION, OF_ANSWERS = 0, 1, 2
_MODES = {
    Kind.PROBABILITY: PROBABILITY,
    Kind.UNCERTAINTY: UNCERTAINTY,
    Kind.DECISION: UNCERTAINTY,
    Kind.DISAGREEMENT: UNCERTAINTY,
    Kind.OUTLIER_SCORE: OUTLIERS,
}
_SCOPES = {Kind.DECISION: OF_DECISION, Kind.DISAGREEMENT: OF_ANSWERS}


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
            OUTLIERS: ui.scoreButton,
        }
        self._scopes = [_("the labels shown"), _("the children of the selected structure")]
        ui.decisionSelector.addItems(self._scopes)
        ui.decisionSelector.currentIndexChanged.connect(lambda *_args: self._draw())
        for mode, button in self._modes.items():
            button.clicked.connect(lambda *_args, mode=mode: self.setMode(mode))
            button.toggled.connect(lambda *_args, button=button: _markChecked(button))
            _markChecked(button)
        self._modeOfSoft = self._mode = PROBABILITY
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
        """What was chosen: ``"labels"``, ``"probability"``, ``"uncertainty"`` or ``"outliers"``.

        While no structure is selected there is no probability to show: then *Labels* looks chosen, as they are shown.
        """
        return self._mode

    @property
    def shownNode(self) -> str | None:
        """Id of the node whose probability, or decision, the scene shows; ``None`` where it shows none."""
        shown = self._shown
        return None if shown is None else shown.nodeId

    @property
    def _shown(self):
        """What the scene shows of this segmentation: a ShownMap or ``None``."""
        return None if self._node is None else self._logic.maps.shown(self._node)

    @property
    def _deciding(self) -> bool:
        """Whether the uncertainty is that of one decision, so that it depends on what is selected."""
        return self.mode == UNCERTAINTY and self._ui.decisionSelector.currentIndex == OF_DECISION

    def show(self, node, soft: bool, scored: bool = False) -> None:
        """Stand for another segmentation (``None`` for none), as its scene nodes say.

        Parameters
        ----------
        node: the segmentation.
        soft: whether it has soft maps.
        scored: whether it has an outlier score.
        """
        if self._node is not None:
            self._modeOfSoft = self.mode
        self._node = node if soft else None
        self._selected = None
        self._ui.scoreButton.visible = scored
        if self._modeOfSoft == OUTLIERS and not scored:
            self._modeOfSoft = self._mode = PROBABILITY
        self._mode = self._modeOfSoft if soft or node is None else LABELS
        for widget in ("labelsButton", "probabilityButton", "uncertaintyButton"):
            getattr(self._ui, widget).enabled = soft
        self._ui.mapWhyLabel.visible = node is not None and not soft
        self._ui.mapWhyLabel.text = _(
            "Off: this segmentation was made elsewhere and has no probability maps. "
            "Folding, levels, editing and export still work."
        )
        self._offerScopes()
        if self._node is not None:
            self._restore()
        self._enable()

    def _restore(self):
        shown = self._shown
        if shown is not None:
            self._mode = _MODES[shown.kind]
            self._selected = shown.nodeId
            self._scope(_SCOPES.get(shown.kind, OF_LABELS))
        style = self._logic.maps.styleOf(self._node)
        self._listColorMaps(style["colorMap"])
        ui = self._ui
        threshold = style["threshold"] if self.mode != OUTLIERS else ui.thresholdSlider.value
        for widget, attribute, value in (
            (ui.thresholdSlider, "value", threshold),
            (ui.opacitySlider, "value", style["opacity"]),
            (ui.contourCheck, "checked", style["contour"]),
            (ui.legendCheck, "checked", style["legend"]),
            (ui.volumeRenderingCheck, "checked", self._logic.maps.volumeRenderingShown(self._node)),
        ):
            wasBlocked = widget.blockSignals(True)
            setattr(widget, attribute, value)
            widget.blockSignals(wasBlocked)

    def _scope(self, index):
        """Let the selector of what is uncertain stand there, without drawing."""
        selector = self._ui.decisionSelector
        wasBlocked = selector.blockSignals(True)
        selector.currentIndex = index
        selector.blockSignals(wasBlocked)

    def _offerScopes(self):
        """Offer how much repeated answers differ where that is known."""
        selector = self._ui.decisionSelector
        wasBlocked = selector.blockSignals(True)
        before = selector.currentIndex
        selector.clear()
        known = self._node is not None and self._logic.maps.hasDisagreement(self._node)
        selector.addItems([*self._scopes, *([_("disagreement of the repeated predictions")] if known else [])])
        selector.currentIndex = before if before < selector.count else OF_LABELS
        selector.blockSignals(wasBlocked)

    def _listColorMaps(self, current: str):
        selector = self._ui.colorMapSelector
        # the map that a style names may not be in this scene: the nearest is drawn then
        names = list(self._logic.maps.colorMaps()) or [current] * bool(current)
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
        """Show labels alone, the probability of the selected structure, the uncertainty, or how strange voxels are."""
        self._mode = mode
        self._draw()

    def select(self, nodeId: str | None) -> None:
        """Take the structure that was selected in the tree (``None``: none)."""
        self._selected = nodeId
        if self.mode == PROBABILITY or self._deciding:
            self._draw()

    def _draw(self):
        node, mode, logic, drawn = self._node, self.mode, self._logic, self._drawn()
        if node is None:
            return
        if self._deciding and self._selected is not None:
            del drawn["contour"]
            self._attempt(lambda: logic.maps.showDecision(node, self._selected, **drawn))
        elif mode == UNCERTAINTY and self._ui.decisionSelector.currentIndex == OF_ANSWERS:
            del drawn["contour"]
            self._attempt(lambda: logic.maps.showDisagreement(node, **drawn))
        elif mode == UNCERTAINTY and not self._deciding:
            self._attempt(lambda: logic.maps.showUncertainty(node, **drawn))
        elif mode == OUTLIERS:
            del drawn["contour"], drawn["threshold"]
            self._attempt(lambda: logic.outliers.showScore(node, **drawn))
        elif mode == PROBABILITY and self._selected is not None:
            self._attempt(lambda: logic.maps.show(node, self._selected, **drawn))
        elif self._shown is not None:
            self._attempt(lambda: logic.maps.hide(node))
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
        if self._shown is not None:
            self._attempt(lambda: self._logic.maps.style(self._node, **style))

    def _onVolumeRendering(self, *_args):
        if self._shown is not None:
            on = self._ui.volumeRenderingCheck.checked
            self._attempt(lambda: self._logic.maps.showVolumeRendering(self._node, on))

    def _enable(self):
        ui = self._ui
        shown = self._shown is not None
        self._modes[LABELS if self.mode == PROBABILITY and not shown else self.mode].checked = True
        for widget in ("thresholdSlider", "opacitySlider", "colorMapSelector", "legendCheck", "volumeRenderingCheck"):
            getattr(ui, widget).enabled = shown
        ui.contourCheck.enabled = shown and self.mode == PROBABILITY
        ui.thresholdSlider.enabled = shown and self.mode != OUTLIERS
        ui.decisionSelector.visible = ui.decisionSelectorLabel.visible = self.mode == UNCERTAINTY
        if self._node is not None:
            hint = not shown and (self.mode == PROBABILITY or self._deciding)
            ui.mapWhyLabel.visible = hint
            if hint and self._deciding:
                ui.mapWhyLabel.text = _("Select a structure in the tree to see how uncertain its children are.")
            elif hint:
                ui.mapWhyLabel.text = _("Select a structure in the tree to see its probability.")


def _markChecked(button) -> None:
    """Write the text of a checked button in bold: some dark palettes hardly tell it from the others."""
    font = qt.QFont(button.font)
    font.setBold(button.checked)
    button.font = font
