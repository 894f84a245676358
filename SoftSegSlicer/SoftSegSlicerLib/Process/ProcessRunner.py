"""The engine in a QProcess: the application's window stays usable while it works."""

from __future__ import annotations

import qt

from SoftSegSlicerLib import Engine
from SoftSegSlicerLib.Process import Crashes, Scratch
from SoftSegSlicerLib.Process.EngineProcess import asBytes, newProcess, pidOf
from SoftSegSlicerLib.Process.EventStream import EventStream
from SoftSegSlicerLib.Process.Outcomes import notStarted, outcomeOf
from SoftSegSlicerLib.Process.ProcessTree import ProcessTree

PATIENCE = 2300
"""Milliseconds that a cancelled process has to end by itself (the engine promises two seconds)."""
_CHUNK = 1 << 16
"""Bytes of output that are worked off at a time."""


class ProcessRunner:
    """Runs one command of the engine at a time; a :class:`~SoftSegSlicerLib.Process.Runner.Runner`.

    Parameters
    ----------
    program, leading: what is started, by default the application's Python with ``-m softseg``.
    """

    def __init__(self, program=None, leading=None):
        self._program = program or Engine.pythonExecutable()
        self._leading = ["-m", "softseg"] if leading is None else list(leading)
        self._process = None
        self._folder = None

    @property
    def running(self):
        """Whether a process runs."""
        return self._process is not None

    def start(self, arguments, onEvent, onFinished):
        """Start the command and return at once; see :class:`~SoftSegSlicerLib.Process.Runner.Runner`."""
        if self.running:
            raise RuntimeError("a process is already running")
        self._onEvent, self._onFinished = onEvent, onFinished
        self._stream, self._errors, self._error = EventStream(), b"", None
        self._cancelled, self._tree = False, None
        self._folder = Scratch.newFolder()
        self._cancelFile = self._folder.path / "cancel"
        process = self._process = newProcess(str(self._folder.path))
        process.readyReadStandardOutput.connect(self._readOutput)
        process.readyReadStandardError.connect(self._readErrors)
        process.errorOccurred.connect(self._failedToStart)
        process.finished.connect(self._finished)
        command = [*self._leading, *map(str, arguments), "--events", "json", "--cancel-file", str(self._cancelFile)]
        # started from the event loop, so that a program that is missing is reported after this method has returned
        qt.QTimer.singleShot(0, lambda: self._launch(process, command))

    def cancel(self):
        """Ask the process to stop, and end it with all its children if it does not."""
        if not self.running or self._cancelled:
            return
        self._cancelled = True
        process = self._process
        self._tree = ProcessTree(pidOf(process))  # before the process can end and leave its children without a parent
        self._cancelFile.touch()
        qt.QTimer.singleShot(PATIENCE, lambda: self._endIfStill(process))

    def kill(self):
        """End the process and all its children at once, without calling back any more."""
        if not self.running:
            return
        process, pid = self._process, pidOf(self._process)
        self._release()
        if pid:
            ProcessTree(pid).kill()
            process.waitForFinished(2000)

    def _launch(self, process, command):
        if process is self._process:
            process.start(self._program, command)

    def _readOutput(self, *_arguments):
        if self._process is None:
            return
        self._take(self._stream.feed(asBytes(self._process.read(_CHUNK))))
        if self._process is not None and self._process.bytesAvailable() > 0:
            qt.QTimer.singleShot(0, self._readOutput)  # the window gets its turn in between

    def _readErrors(self, *_arguments):
        if self._process is not None:
            self._errors = (self._errors + asBytes(self._process.readAllStandardError()))[-Crashes.TAIL :]

    def _take(self, events):
        for event in events:
            if event["event"] == "error":
                self._error = event
            self._onEvent(event)

    def _failedToStart(self, error, *_arguments):
        if self._process is None or error != qt.QProcess.FailedToStart:
            return
        self._end(notStarted(self._program))

    def _finished(self, exitCode, *_arguments):  # Qt 5 sends the exit code alone
        process = self._process
        if process is None:
            return
        self._readErrors()
        self._take(self._stream.feed(asBytes(process.readAllStandardOutput())) + self._stream.close())
        if self._process is not process:  # somebody killed it while listening
            return
        crashed = process.exitStatus() == qt.QProcess.CrashExit
        if self._tree is not None:
            self._tree.kill()
        details = self._errors.decode("utf-8", "replace")
        native = Crashes.nativeLines(str(self._folder.path))
        self._end(outcomeOf(exitCode, self._error, details, self._cancelled, crashed, native))

    def _endIfStill(self, process):
        if process is not self._process:
            return
        self._tree.kill()

    def _end(self, outcome):
        onFinished = self._onFinished
        self._release()
        onFinished(outcome)

    def _release(self):
        self._process.deleteLater()
        self._process = None
        self._folder.close()
