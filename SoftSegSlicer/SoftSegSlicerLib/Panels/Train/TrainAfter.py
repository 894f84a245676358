"""What follows the training by itself: calibrating the probabilities, fitting an outlier score."""

from slicer.i18n import tr as _

from ...Training.AfterTraining import CALIBRATE, outlierStep
from ..Widgets.Selectors import chosen


class TrainAfter:
    """Ties the check boxes of what follows a training together.

    Parameters
    ----------
    ui: the panel's widgets by name.
    """

    def __init__(self, ui):
        self._ui = ui
        for text, score in (
            (_("Energy"), "energy"),
            (_("Maximum softmax"), "max-softmax"),
            (_("Entropy"), "entropy"),
            (_("Mahalanobis distance"), "mahalanobis"),
            (_("ODIN (slow)"), "odin"),
        ):
            ui.scoreSelector.addItem(text, score)
        ui.outliersCheck.toggled.connect(self._update)
        self._update()

    def allow(self, possible):
        """Enable the boxes, or say what is missing: both are fitted on scans for validation."""
        tips = {
            self._ui.calibrateCheck: _(
                "Fit a temperature for each level of the tree, so that about 80 % of the voxels with a probability of "
                "0.8 are right (docs/uncertainty.md)"
            ),
            self._ui.outliersCheck: _("Fit a score that finds voxels unlike the training data"),
        }
        for box, tip in tips.items():
            box.enabled = possible
            box.toolTip = tip if possible else _("Needs a scan for 'Validation'")
        self._update()

    def steps(self):
        """Return the names of the steps that follow; see :mod:`SoftSegSlicerLib.Training.AfterTraining`."""
        ui, found = self._ui, []
        if ui.calibrateCheck.checked and ui.calibrateCheck.enabled:
            found.append(CALIBRATE)
        if ui.outliersCheck.checked and ui.outliersCheck.enabled:
            found.append(outlierStep(chosen(ui.scoreSelector)))
        return found

    def _update(self, *_args):
        self._ui.scoreSelector.enabled = self._ui.outliersCheck.checked and self._ui.outliersCheck.enabled
