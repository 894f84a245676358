"""The controls of what a result does not know: answers only as deep as sure, and outliers."""

from slicer.i18n import tr as _

__all__ = ["SurenessControls"]


class SurenessControls:
    """Ties the section "Confidence" of the Look panel to the scene.

    Parameters
    ----------
    ui: widgets of the Look panel.
    logic: SoftSegSlicerLogic.
    attempt: runs an action and shows its error; returns what it returned.
    """

    def __init__(self, ui, logic, attempt):
        self._ui, self._logic, self._attempt = ui, logic, attempt
        self._node = None
        self._stored = None
        ui.confidenceCheck.toggled.connect(self._onConfidence)
        ui.confidenceSlider.valueChanged.connect(self._onConfidence)
        ui.outliersCheck.toggled.connect(self._onMark)
        ui.leaveOutCheck.toggled.connect(self._onLeaveOut)
        ui.outlierThresholdSlider.valueChanged.connect(self._onThreshold)
        ui.outlierOpacitySlider.valueChanged.connect(self._onOpacity)
        ui.outlierResetButton.clicked.connect(self._onReset)

    @property
    def hasScore(self) -> bool:
        """Whether the segmentation has an outlier score."""
        return self._stored is not None

    def show(self, node, soft: bool) -> None:
        """Stand for another segmentation (``None`` for none), as its scene nodes say."""
        self._node = node if soft else None
        self._stored = None if self._node is None else self._attempt(lambda: self._logic.outliers.of(node))
        self.refresh()

    def refresh(self) -> None:
        """Follow the scene."""
        ui, node, stored = self._ui, self._node, self._stored
        confidence = None if node is None else self._logic.confidence.of(node)
        ui.confidenceCheck.enabled = node is not None
        self._set(ui.confidenceCheck, "checked", confidence is not None)
        if confidence is not None:
            self._set(ui.confidenceSlider, "value", confidence)
        for widget in ("outliersCheck", "leaveOutCheck"):
            getattr(ui, widget).enabled = stored is not None
        shown = None if stored is None else self._logic.outliers.opacityOf(node)
        self._set(ui.outliersCheck, "checked", shown is not None)
        self._set(ui.leaveOutCheck, "checked", stored is not None and self._logic.outliers.areLeftOut(node))
        if shown is not None:
            self._set(ui.outlierOpacitySlider, "value", shown)
        if stored is not None:
            self._span(stored)
        self._describe()

    def _span(self, stored):
        """Let the threshold slider go through all scores that are stored, in steps that can be seen."""
        slider, threshold = self._ui.outlierThresholdSlider, self._logic.outliers.threshold(self._node)
        wasBlocked = slider.blockSignals(True)
        width = stored.high - stored.low
        slider.decimals = 4 if width < 1 else 3 if width < 10 else 2
        slider.singleStep = 10.0**-slider.decimals
        slider.pageStep = width / 20
        slider.minimum, slider.maximum = stored.low, stored.high
        slider.value = threshold
        slider.blockSignals(wasBlocked)

    # -- what people do -------------------------------------------------------------------------------------------

    def _onConfidence(self, *_args):
        ui, node = self._ui, self._node
        if node is not None:
            wanted = ui.confidenceSlider.value if ui.confidenceCheck.checked else None
            self._attempt(lambda: self._logic.confidence.set(node, wanted))
        self._describe()

    def _onMark(self, *_args):
        ui, node = self._ui, self._node
        if self.hasScore:
            if ui.outliersCheck.checked:
                self._attempt(lambda: self._logic.outliers.show(node, ui.outlierOpacitySlider.value))
            else:
                self._logic.outliers.hide(node)
        self._describe()

    def _onOpacity(self, *_args):
        if self.hasScore and self._ui.outliersCheck.checked:
            self._attempt(lambda: self._logic.outliers.show(self._node, self._ui.outlierOpacitySlider.value))

    def _onLeaveOut(self, *_args):
        if self.hasScore:
            self._attempt(lambda: self._logic.outliers.leaveOut(self._node, self._ui.leaveOutCheck.checked))
        self._describe()

    def _onThreshold(self, *_args):
        if self.hasScore:
            self._attempt(lambda: self._logic.outliers.setThreshold(self._node, self._ui.outlierThresholdSlider.value))
        self._describe()

    def _onReset(self, *_args):
        if self.hasScore:
            self._attempt(lambda: self._logic.outliers.setThreshold(self._node, None))
            self._span(self._stored)
        self._describe()

    # -- what is said ---------------------------------------------------------------------------------------------

    def _describe(self):
        ui = self._ui
        ui.confidenceSlider.enabled = ui.confidenceCheck.checked and self._node is not None
        ui.outliersFrame.visible = self.hasScore
        ui.outlierOpacitySlider.enabled = ui.outliersCheck.checked
        ui.confidenceLabel.text = self._depthsText()
        ui.confidenceLabel.visible = bool(ui.confidenceLabel.text)
        ui.outliersLabel.text = self._outliersText()
        ui.outliersLabel.visible = bool(ui.outliersLabel.text)

    def _depthsText(self):
        depths = {} if self._node is None else self._logic.confidence.depths(self._node)
        levels = sorted((level for level in depths if level), reverse=True)
        parts = [
            _("level {level}: {percent}").format(level=n, percent=_percent(depths[n])) for n in levels if depths[n]
        ]
        if not parts:
            return ""
        nothing = depths.get(0, 0.0) + depths.get(None, 0.0)  # the root is everything, so it says nothing
        return ", ".join([*parts, _("unknown: {percent}").format(percent=_percent(nothing))])

    def _outliersText(self):
        if self._node is None:
            return ""
        if self._stored is None:
            return _("No outlier score: segment the scan with the option 'Outliers' and a model with an outlier score.")
        return _("{volume} ml have a score ({name}) beyond {threshold}; stored with the model: {stored}.").format(
            volume=f"{self._logic.outliers.ml(self._node):.1f}",
            name=self._stored.score_name,
            threshold=f"{self._logic.outliers.threshold(self._node):.4g}",
            stored=f"{self._stored.threshold:.4g}",
        )

    def _set(self, widget, attribute, value):
        wasBlocked = widget.blockSignals(True)
        setattr(widget, attribute, value)
        widget.blockSignals(wasBlocked)


def _percent(share):
    return f"{share:.0%}" if share >= 0.01 or not share else "<1%"
