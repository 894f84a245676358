"""How a process of the engine is made: environment, numbers, bytes; the same under Qt 5 and 6."""

from __future__ import annotations

import qt

from SoftSegSlicerLib.Process.Environment import variables


def newProcess(folder=None):
    """Return a QProcess that finds the engine, with unbuffered output in UTF-8.

    Native output is kept in ``folder``, where one is given; see :mod:`SoftSegSlicerLib.Process.Crashes`.
    """
    environment = qt.QProcessEnvironment.systemEnvironment()
    for name, value in variables(environment.value("PYTHONPATH", ""), folder).items():
        environment.insert(name, value)
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
