"""What may follow a training, each in a process of its own: calibrating its shares, fitting an outlier score."""

import os

from softseg.requests import CalibrateRequest, FitOutliersRequest

CALIBRATE, OUTLIERS = "calibrate", "outliers"


def outlierStep(score):
    """Return the step that fits this outlier score."""
    return f"{OUTLIERS}:{score}"


def arguments(step, request, folder):
    """Return the command line of a step.

    Parameters
    ----------
    step: CALIBRATE, or what :func:`outlierStep` returns.
    request: :class:`~SoftSegSlicerLib.Training.TrainingRun.RunRequest` of the training.
    folder: of the run; its model is changed in place.
    """
    kind, _colon, score = step.partition(":")
    model = os.path.join(str(folder), "model")
    if kind == CALIBRATE:
        plots = os.path.join(str(folder), "calibration")
        return CalibrateRequest(model, request.dataset, split="val", out=plots, device=request.device).to_argv()
    return FitOutliersRequest(model, request.dataset, score, device=request.device).to_argv()
