"""The engine in a process of its own, waited for: for scripts without a window. Needs no Qt."""

from __future__ import annotations

import subprocess
import time

from .. import Engine
from . import Crashes, Environment, Scratch
from .EventStream import EventStream
from .Outcomes import notStarted, outcomeOf
from .ProcessTree import ProcessTree

PATIENCE = 2.3
"""Seconds that a cancelled process has to end by itself (the engine promises two)."""


class HeadlessRunner:
    """Runs one command of the engine at a time; a :class:`~SoftSegSlicerLib.Process.Runner.Runner` to be waited for.

    Nothing is called back until :meth:`wait` is called.

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
        """Whether a process runs, or has ended without being waited for."""
        return self._folder is not None

    def start(self, arguments, onEvent, onFinished):
        """Start the command and return at once; see :class:`~SoftSegSlicerLib.Process.Runner.Runner`."""
        if self.running:
            raise RuntimeError("a process is already running")
        self._onEvent, self._onFinished, self._cancelled = onEvent, onFinished, False
        self._folder = Scratch.newFolder()
        self._cancelFile = self._folder.path / "cancel"
        # a file instead of a second pipe: nobody has to empty it while the other one is read
        self._errors = (self._folder.path / "errors").open("w+b")
        command = [*self._leading, *map(str, arguments), "--events", "json", "--cancel-file", str(self._cancelFile)]
        try:
            self._process = subprocess.Popen(
                [self._program, *command],
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=Environment.ofEngine(self._folder.path),
            )
        except OSError:
            self._process = None

    def wait(self):
        """Read events until the process ends, call ``onFinished`` and return the outcome.

        When the wait is interrupted (Ctrl-C, an error in ``onEvent``), the process and all its children are ended.
        """
        if self._process is None:
            outcome = notStarted(self._program)
        else:
            try:
                outcome = self._listen()
            except BaseException:
                self.kill()
                raise
        self._release()
        self._onFinished(outcome)
        return outcome

    def cancel(self):
        """Ask the process to stop, and end it with all its children if it does not; to be called from ``onEvent``."""
        if not self.running or self._process is None or self._cancelled:
            return
        self._cancelled = True
        self._cancelFile.touch()
        tree = ProcessTree(self._process.pid)
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        tree.kill()

    def kill(self):
        """End the process and all its children at once, without calling back any more."""
        if not self.running:
            return
        if self._process is not None:
            ProcessTree(self._process.pid).kill()
            self._process.wait()
        self._release()

    def _listen(self):
        stream, error = EventStream(), None
        for line in self._process.stdout:
            for event in stream.feed(line):
                error = event if event["event"] == "error" else error
                self._onEvent(event)
        code = self._process.wait()
        self._errors.seek(0)
        details = self._errors.read()[-Crashes.TAIL :].decode("utf-8", "replace")
        native = Crashes.nativeLines(str(self._folder.path))
        return outcomeOf(code, error, details, self._cancelled, crashed=code < 0, native=native)

    def _release(self):
        if self._process is not None:
            self._process.stdout.close()
        self._errors.close()
        self._folder.close()
        self._process = self._folder = None
