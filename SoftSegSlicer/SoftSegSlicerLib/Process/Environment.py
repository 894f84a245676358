"""The environment of the engine's processes: the engine on the path, output unbuffered and in UTF-8. Needs no Qt."""

from __future__ import annotations

import os

from softseg.native_output import NATIVE_LOG

from .. import Engine
from . import Crashes


def ofEngine(folder=None):
    """Return this process's environment with what the engine needs; see :func:`variables`."""
    return {**os.environ, **variables(os.environ.get("PYTHONPATH", ""), folder)}


def variables(pythonPath, folder=None):
    """Return the variables that the engine needs, by name.

    Parameters
    ----------
    pythonPath: what is on Python's path already.
    folder: where native output is kept, see :mod:`SoftSegSlicerLib.Process.Crashes`; None: nowhere.
    """
    path = os.pathsep.join(part for part in (str(Engine.folder()), pythonPath) if part)
    found = {"PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
    return found if folder is None else {**found, NATIVE_LOG: Crashes.logOf(folder)}
