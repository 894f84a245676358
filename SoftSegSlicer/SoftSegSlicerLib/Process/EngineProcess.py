"""How a process of the engine is made: environment, numbers, bytes; the same under Qt 5 and 6."""

from __future__ import annotations

import os

import qt

from softseg.native_output import NATIVE_LOG
from SoftSegSlicerLib import Engine
from SoftSegSlicerLib.Process.Crashes import logOf


def newProcess(folder=None):
    """Return a QProcess that finds the engine, with unbuffered output in UTF-8.

    Native output is kept in ``folder``, where one is given; see :mod:`SoftSegSlicerLib.Process.Crashes`.
    """
    environment = qt.QProcessEnvironment.systemEnvironment()
    known = environment.value("PYTHONPATH", "")
    environment.insert("PYTHONPATH", os.pathsep.join(part for part in (str(Engine.folder()), known) if part))
    environment.insert("PYTHONUTF8", "1")
    environment.insert("PYTHONUNBUFFERED", "1")
    if folder is not None:
        environment.insert(NATIVE_LOG, logOf(folder))
    process = qt.QProcess()
    process.setProcessEnvironment(environment)
    return process


def pidOf(process):
    """Return the number of a QProcess, 0 if it does not run."""
    return int(process.processId() or 0)


def asBytes(array):
    """Return the content of a QByteArray."""
    data = array.data()
    return data if isinstance(data, bytes) else str(data).encode("latin-1")
