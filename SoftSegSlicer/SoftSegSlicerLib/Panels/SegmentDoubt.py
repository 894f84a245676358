"""What else a segmentation tells: outliers, how much repeated answers differ, answers only as deep as sure."""

from __future__ import annotations

from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Selectors import chosen


class SegmentDoubt:
    """The choices of outliers, uncertainty and confidence, kept in the parameter node.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context.
    """

    def __init__(self, ui, context):
        self._ui, self._context = ui, context
        self._filling = False
        for title, kind in (
            (_("Off"), ""),
            (_("Test-time augmentation"), "tta"),
            (_("Monte Carlo dropout"), "dropout"),
        ):
            ui.uncertaintyBox.addItem(title, kind)
        ui.outliersCheck.toggled.connect(self._onChanged)
        ui.uncertaintyBox.currentIndexChanged.connect(self._onChanged)
        ui.samplesBox.valueChanged.connect(self._onChanged)
        ui.confidenceCheck.toggled.connect(self._onChanged)
        ui.confidenceBox.valueChanged.connect(self._onChanged)
        self._update()

    def restore(self):
        """Show what the parameter node remembers."""
        ui, parameters = self._ui, self._context.parameterNode
        self._filling = True
        ui.outliersCheck.checked = parameters.outliers
        ui.uncertaintyBox.currentIndex = max(0, ui.uncertaintyBox.findData(parameters.uncertainty))
        ui.samplesBox.value = parameters.samples
        ui.confidenceCheck.checked = parameters.deepAsSure
        ui.confidenceBox.value = parameters.confidence
        self._filling = False
        self._update()

    def allow(self, summary):
        """Offer outliers only where the model (a ModelSummary, or None) has a fitted score."""
        box, score = self._ui.outliersCheck, "" if summary is None else summary.outlier_score
        box.enabled = bool(score)
        box.toolTip = (
            _("Score every voxel ({name}) and mark those unlike the training data").format(name=score)
            if score
            else _("This model has no outlier score. Fit one under Train, or with the command 'softseg outliers fit'.")
        )

    def options(self):
        """Return what further is asked of a prediction, by name; no outliers for a model without a score."""
        ui, kind = self._ui, chosen(self._ui.uncertaintyBox)
        return {
            "outliers": bool(ui.outliersCheck.checked and ui.outliersCheck.enabled),
            "uncertainty": f"{kind}:{ui.samplesBox.value}" if kind else None,
            "confidence": round(ui.confidenceBox.value, 3) if ui.confidenceCheck.checked else None,
        }

    def _onChanged(self, *_arguments):
        ui, parameters = self._ui, self._context.parameterNode
        if self._filling or parameters is None:
            return
        parameters.outliers = ui.outliersCheck.checked
        parameters.uncertainty = chosen(ui.uncertaintyBox) or ""
        parameters.samples = ui.samplesBox.value
        parameters.deepAsSure = ui.confidenceCheck.checked
        parameters.confidence = ui.confidenceBox.value
        self._update()

    def _update(self):
        self._ui.samplesBox.enabled = bool(chosen(self._ui.uncertaintyBox))
        self._ui.confidenceBox.enabled = self._ui.confidenceCheck.checked
