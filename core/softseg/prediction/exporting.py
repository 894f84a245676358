"""Models for ONNX Runtime: ``softseg export --onnx``, and what a training writes beside its weights."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from softseg.backends.onnx_file import missing_package, write_onnx
from softseg.events import Events
from softseg.network.graph_session import ONNX_FILE
from softseg.network.model_folder import ModelFolder
from softseg.prediction.ensemble import load_models
from softseg.prediction.record import model_digest


def export_onnx(model: str | PathLike[str], events: Events) -> list[Path]:
    """Write ``models/model.onnx`` into a model's folder, or into those of an ensemble's members, and check each.

    Parameters
    ----------
    model: a folder, or the name of a shipped model.
    events: stage, progress, what the check found; cancelling between members.

    Returns
    -------
    The files.

    Raises
    ------
    InputError: a package is missing, a network has no such graph or answers differently, or the folder cannot be
        written.
    """
    models = load_models(model)
    events.stage("export", len(models))
    files = []
    for number, each in enumerate(models):
        difference = write_onnx(each, model_digest(each))
        events.log(f"{each.name}: model.onnx differs from PyTorch by at most {difference:.1g}")
        files.append(each.path / ONNX_FILE)
        events.progress(number + 1, len(models))
    return files


def add_onnx(folder: Path, events: Events) -> None:
    """Write ``models/model.onnx`` into a new model's folder where that can be done; the model is complete without it.

    Parameters
    ----------
    folder: of one model.
    events: receives what the check found, which package is missing, or, as a warning, why there is no such file.
    """
    if (folder / ONNX_FILE).is_file():  # a finished training was taken up again
        return
    later = "softseg export MODEL --onnx writes it later"
    missing = missing_package()
    if missing is not None:
        events.log(f"no model.onnx for predictions without PyTorch: the package {missing} is not installed; {later}")
        return
    try:
        model = ModelFolder.load(folder, outliers=False)
        difference = write_onnx(model, model_digest(model))
    except Exception as error:  # noqa: BLE001 - whatever it is, the training has succeeded
        reason = " ".join(str(error).split()) or type(error).__name__
        events.warning(f"no model.onnx was written, so predictions need PyTorch: {reason}")
        return
    events.log(f"model.onnx, for predictions without PyTorch, differs from PyTorch by at most {difference:.1g}")
