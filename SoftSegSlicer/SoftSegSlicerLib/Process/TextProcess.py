"""A short command of the engine whose answer is text, such as ``softseg doctor``."""

from __future__ import annotations

import qt

from SoftSegSlicerLib import Engine
from SoftSegSlicerLib.Process.EngineProcess import asBytes, newProcess, pidOf
from SoftSegSlicerLib.Process.ProcessTree import ProcessTree


class TextProcess:
    """Runs ``python -m softseg ARGUMENTS`` once and hands its output over when it has ended."""

    def __init__(self):
        self._process = None

    def start(self, arguments, onFinished):
        """Start and return at once; ``onFinished(exitCode, output, errors)`` is called once, later."""
        self._onFinished = onFinished
        self._process = newProcess()
        self._process.finished.connect(self._finished)
        self._process.errorOccurred.connect(self._failedToStart)
        program, command = Engine.pythonExecutable(), ["-m", "softseg", *arguments]
        process = self._process
        qt.QTimer.singleShot(0, lambda: process.start(program, command) if process is self._process else None)

    def kill(self):
        """End it without calling back."""
        process, self._process = self._process, None
        if process is not None and pidOf(process):
            ProcessTree(pidOf(process)).kill()
            process.waitForFinished(2000)

    def _finished(self, exitCode, *_arguments):
        process, self._process = self._process, None
        if process is not None:
            output = asBytes(process.readAllStandardOutput()).decode("utf-8", "replace")
            errors = asBytes(process.readAllStandardError()).decode("utf-8", "replace")
            process.deleteLater()
            self._onFinished(exitCode, output, errors)

    def _failedToStart(self, error, *_arguments):
        process, self._process = self._process, (None if error == qt.QProcess.FailedToStart else self._process)
        if process is not None and self._process is None:
            self._onFinished(-1, "", f"{Engine.pythonExecutable()} could not be started")
