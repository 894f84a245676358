"""What else a segmentation tells: outliers, how much repeated answers differ, answers only as deep as sure."""

from __future__ import annotations

from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.requests import PredictRequest
from softseg.system import require_without_torch
from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen


class SegmentDoubt:
    """The choices of outliers, uncertainty, confidence and a bound on wrong answers, kept in the parameter node.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context.
    """

    def __init__(self, ui, context):
        self._ui, self._context = ui, context
        self._filling, self._guarantee = False, None
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
        ui.guaranteeCheck.toggled.connect(self._onChanged)
        ui.wrongBox.valueChanged.connect(self._onChanged)
        ui.boundConfidenceBox.valueChanged.connect(self._onChanged)
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
        ui.guaranteeCheck.checked = parameters.bounded
        ui.wrongBox.value = parameters.wrongPercent
        ui.boundConfidenceBox.value = parameters.boundConfidence
        self._filling = False
        self._update()

    def allow(self, summary):
        """Offer outliers and a bound only where the model (a ModelSummary, or None) has what they need."""
        box, score = self._ui.outliersCheck, "" if summary is None else summary.outlier_score
        box.enabled = bool(score)
        box.toolTip = (
            _("Score every voxel ({name}) and mark those unlike the training data").format(name=score)
            if score
            else _("This model has no outlier score. Fit one under Train, or with the command 'softseg outliers fit'.")
        )
        self._guarantee = None if summary is None else summary.guarantee
        self._update()

    def options(self):
        """Return what further is asked of a prediction, by name; nothing that the model lacks."""
        ui, kind = self._ui, chosen(self._ui.uncertaintyBox)
        bounded = self._isBounded()
        confident = ui.confidenceCheck.checked and not bounded
        asked = {
            "outliers": bool(ui.outliersCheck.checked and ui.outliersCheck.enabled),
            "uncertainty": f"{kind}:{ui.samplesBox.value}" if kind else None,
            "confidence": round(ui.confidenceBox.value, 3) if confident else None,
        }
        return asked | (dict(zip(("guarantee", "guarantee_confidence"), self._bound(), strict=True)) if bounded else {})

    def needsTorch(self, summary, device):
        """Return whether only PyTorch predicts what is asked.

        Parameters
        ----------
        summary: of the model (a ModelSummary).
        device: name of what computes.
        """
        asked = self.options()
        request = PredictRequest("", (), "", device=device, uncertainty=asked["uncertainty"])
        try:
            require_without_torch(request)
        except InputError:
            return True
        return not summary.without_torch or (asked["outliers"] and summary.score_needs_torch)

    def _onChanged(self, *_arguments):
        ui, parameters = self._ui, self._context.parameterNode
        if self._filling or parameters is None:
            return
        parameters.outliers = ui.outliersCheck.checked
        parameters.uncertainty = chosen(ui.uncertaintyBox) or ""
        parameters.samples = ui.samplesBox.value
        parameters.deepAsSure = ui.confidenceCheck.checked
        parameters.confidence = ui.confidenceBox.value
        parameters.bounded = ui.guaranteeCheck.checked
        parameters.wrongPercent = ui.wrongBox.value
        parameters.boundConfidence = ui.boundConfidenceBox.value
        self._update()

    def _update(self):
        ui, repeated = self._ui, bool(chosen(self._ui.uncertaintyBox))
        ui.samplesBox.enabled = repeated
        reason = self._hindrance(repeated)
        ui.guaranteeCheck.enabled = not reason
        ui.guaranteeCheck.toolTip = reason or _(
            "Label every voxel only as deep in the tree as keeps the wrong voxels of a new person below this "
            "percentage. Holds for people like those it was estimated on."
        )
        bounded = self._isBounded()
        ui.wrongBox.enabled = ui.boundConfidenceBox.enabled = bounded
        ui.confidenceCheck.enabled = not bounded
        ui.confidenceBox.enabled = ui.confidenceCheck.checked and not bounded
        ui.guaranteeLabel.text = self._levelText() if bounded else ""
        ui.guaranteeLabel.visible = bounded

    def _hindrance(self, repeated):
        """Return why no bound can be asked for; empty where it can."""
        if self._guarantee is None:
            return _("This model has no bound on wrong voxels. Estimate one with the command 'softseg guarantee'.")
        if repeated:
            return _("The bound holds for single predictions: switch Uncertainty off.")
        return ""

    def _isBounded(self):
        return bool(self._ui.guaranteeCheck.checked and self._ui.guaranteeCheck.enabled)

    def _bound(self):
        """Return the risk level and the confidence."""
        return round(self._ui.wrongBox.value / 100, 5), round(self._ui.boundConfidenceBox.value, 3)

    def _levelText(self):
        """Return the probability that the bound needs, or why it cannot be kept, as the engine says."""
        people = len(self._guarantee.people)
        try:
            level = self._guarantee.level(*self._bound())
        except InputError as error:
            return f"{error.message}; {error.hint}"
        return _("Probability {level:.2f} or more, estimated on {people} people").format(level=level, people=people)
