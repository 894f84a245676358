"""``softseg export --onnx``: the network of a model, or of each member of an ensemble, for ONNX Runtime."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from softseg.backends.onnx_file import write_onnx
from softseg.events import Events
from softseg.network.model_folder import ONNX_FILE
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
