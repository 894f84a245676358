"""Showing a training that runs or ended: state, progress, curves, scores, picture of the validation."""

import os

import qt
import slicer
from slicer.i18n import tr as _

from ...Training.AfterTraining import CALIBRATE
from ...Training.LearningCurves import LearningCurves
from ...Training.TrainingRun import FAILED, FINISHED, RUNNING, STOPPED
from .CurvePicture import drawCurves, pixelRatio

POLL_MILLISECONDS = 500
HURRIED_MILLISECONDS = 20
"""Between two looks while there is more to read than one look takes in."""


class TrainMonitor:
    """Follows one training at a time.

    Parameters
    ----------
    ui: the panel's widgets by name.
    onState: called with the state when it changes.
    """

    def __init__(self, ui, onState):
        self._ui, self._onState = ui, onState
        self.run, self.curves, self.state = None, None, ""
        self._pictureTime = None
        self._timer = qt.QTimer()
        self._timer.setProperty("singleShot", True)  # PythonQt knows only the static function of that name
        self._timer.timeout.connect(self.look)

    def follow(self, run):
        """Show this training from now on; None for none."""
        self._timer.stop()
        self.run, self.state, self._pictureTime = run, "", None
        self._ui.pictureLabel.pixmap = qt.QPixmap()
        if run is None:
            self.curves = None
            self._clear()
            return
        self.curves = LearningCurves(run.folder, os.path.basename(run.folder))
        run.reread()  # what it has told before went into other curves
        self.look()

    def look(self, *_args):
        """Read what is new and show it; looks again by itself while the training runs."""
        run = self.run
        if run is None:
            return
        state = run.poll()
        if run.restarted:
            self.curves.clear()
        self.curves.add(run.steps, run.validations)
        news = bool(run.steps or run.validations)
        self._show(state, news)
        if state == RUNNING:
            self._timer.start(HURRIED_MILLISECONDS if run.behind else POLL_MILLISECONDS)
        if state != self.state:
            self.state = state
            self._onState(state)

    def stop(self):
        """Look no more; the training itself goes on."""
        self._timer.stop()

    def redraw(self):
        """Draw again, as after a change of size or colours."""
        if self.curves is not None:
            drawCurves(self._ui.curveLabel, self.curves)
            self._showPicture(force=True)

    def _clear(self):
        for name in ("statusLabel", "metricLabel"):
            getattr(self._ui, name).text = ""
        self._ui.progressBar.visible = self._ui.curveLabel.visible = self._ui.pictureLabel.visible = False
        self._ui.useButton.enabled = self._ui.plotButton.enabled = self._ui.openFolderButton.enabled = False

    def _show(self, state, news):
        ui, run = self._ui, self.run
        ui.statusLabel.text = self._statusText(state)
        ui.progressBar.visible = state == RUNNING
        ui.progressBar.maximum = run.total  # 0: busy
        ui.progressBar.value = run.done
        ui.useButton.enabled = bool(run.model)
        ui.openFolderButton.enabled = True
        ui.plotButton.enabled = bool(self.curves.losses)
        ui.curveLabel.visible = bool(self.curves.losses) or state == RUNNING
        ui.metricLabel.text = self._metricText()
        if news or (ui.curveLabel.visible and not self.state):
            drawCurves(ui.curveLabel, self.curves)
        if news:
            self.curves.update(slicer.mrmlScene)
        self._showPicture()

    def _showPicture(self, force=False):
        """Show the picture of the last validation as wide as the panel."""
        path, label = self.run.picture if self.run is not None else "", self._ui.pictureLabel
        label.visible = bool(path)
        if not path:
            return
        changed = os.stat(path).st_mtime_ns
        if changed == self._pictureTime and not force:
            return
        self._pictureTime = changed
        picture = qt.QPixmap(path)
        if not picture.isNull():
            ratio = pixelRatio(label)
            picture = picture.scaledToWidth(round(max(label.width, 120) * ratio), qt.Qt.SmoothTransformation)
            picture.setDevicePixelRatio(ratio)
            label.pixmap = picture
            label.minimumHeight = round(picture.height() / ratio)

    def _statusText(self, state):
        run = self.run
        if state == FINISHED:
            return finishedText(run, self.curves.lastStep)
        if state == STOPPED:
            return _("Stopped at step {step}. Resume continues from there.").format(step=self.curves.lastStep)
        if state == FAILED:
            return (
                _("Ended at step {step}.").format(step=self.curves.lastStep)
                if self.curves.lastStep
                else _("Not started yet.")
            )
        if run.stopping:
            return _("Stopping after the current step…")
        if run.step:
            doing = _("Calibrating the probabilities") if run.step == CALIBRATE else _("Fitting the outlier score")
            return f"{doing}: {_stageText(run.stage)}" if run.stage else f"{doing}…"
        if run.stage == "train":
            if not run.total:  # before the first step of a training with a time budget
                return _("Step 1…")
            text = _("Step {done} of about {total}") if run.timed else _("Step {done} of {total}")
            text = text.format(done=run.done, total=run.total)
            left = timeText(run.secondsLeft)
            return f"{text}, {left}" if left else text
        if run.stage:
            return _("{stage}: {done} of {total}").format(stage=_stageText(run.stage), done=run.done, total=run.total)
        return _("Starting…")

    def _metricText(self):
        parts = []
        if self.curves.lastLoss is not None:
            parts.append(_("loss {loss}").format(loss=f"{self.curves.lastLoss:.3g}"))
        shown = (("dice/leaves", _("Dice")), ("soft_dice/leaves", _("soft Dice")))
        if self.curves.ofScribbles:
            shown = (("f1/leaves", _("F1")), ("accuracy/leaves", _("accuracy")))
        for name, text in shown:
            points = self.curves.scores.get(name)
            if points:
                best = max(value for _step, value in points)
                parts.append(
                    _("{name} {last} (best {best})").format(name=text, last=f"{points[-1][1]:.3f}", best=f"{best:.3f}")
                )
        text = ", ".join(parts)
        for said in (*self.run.warnings[-1:], *self.run.notes):
            text += "\n" + _("Warning: {text}").format(text=said)
        return text.strip()


def finishedText(run, lastStep):
    """Return after how many steps a training ended, and why, in words."""
    step = lastStep or run.endStep
    if run.endReason == "early stopping":
        text = _("Early stopping after {step} steps: no better validation score since step {best}.")
        return text.format(step=step, best=run.bestStep)
    if not step:  # several networks, each with steps of its own
        return _("Finished.")
    text = _("Finished after {step} steps.")
    if run.endReason == "time":
        text = _("Finished after {step} steps: the time is up.")
    if run.bestStep and run.bestStep != step:
        text += " " + _("The best model is from step {best}.")
    return text.format(step=step, best=run.bestStep)


def timeText(seconds):
    """Return about how long something still takes, in words; empty where it is not known."""
    if seconds is None:
        return ""
    if seconds < 90:
        return _("about {number} s left").format(number=max(1, round(seconds)))
    if seconds < 5400:
        return _("about {number} min left").format(number=round(seconds / 60))
    return _("about {number} h left").format(number=f"{seconds / 3600:.1f}")


def _stageText(stage):
    known = {
        "prepare": _("Preparing the scans"),
        "plan": _("Analysing the scans"),
        "check": _("Checking the scans"),
        "compare": _("Comparing before and after"),
    }
    return known.get(stage, stage.capitalize())
