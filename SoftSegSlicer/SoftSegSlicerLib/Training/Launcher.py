"""Starting the engine so that it outlives Slicer: detached, with files instead of pipes."""

import contextlib
import os
import subprocess
import sys

from softseg.errors import InputError

from .. import Engine
from ..Process import Crashes, Environment
from ..Process.ProcessTree import ProcessTree
from .ProcessIdentity import startOf


class Launcher:
    """Starts, finds and ends detached processes of the engine; tests put another one in its place.

    Parameters
    ----------
    command: what is started before the engine's own arguments; the application's Python with ``-m softseg`` by default.
    """

    def __init__(self, command=None):
        self._command = command or [Engine.pythonExecutable(), "-m", "softseg"]
        self._children = {}

    def start(self, arguments, outputFile, errorFile):
        """Start ``softseg ARGUMENTS`` and return ``(pid, start)``.

        Parameters
        ----------
        arguments: of the command line.
        outputFile: what the process prints is appended to it.
        errorFile: the same for its errors; an earlier one is replaced.

        Raises
        ------
        InputError: the program cannot be started.
        """
        with contextlib.suppress(OSError):
            os.remove(Crashes.logOf(os.path.dirname(errorFile)))
        with open(outputFile, "ab") as output, open(errorFile, "wb") as errors:
            try:
                process = subprocess.Popen(
                    [*self._command, *map(str, arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=errors,
                    env=Environment.ofEngine(os.path.dirname(errorFile)),
                    **_detached(),
                )
            except OSError as error:
                raise InputError(
                    f"the program {self._command[0]} could not be started ({error.strerror or error})",
                    hint="reinstall the extension or restart Slicer",
                ) from error
        self._children[process.pid] = process
        return process.pid, startOf(process.pid)

    def alive(self, pid, start):
        """Whether the process that :meth:`start` told of, now or in an earlier session of Slicer, still runs."""
        child = self._children.get(pid)
        if child is not None:
            return child.poll() is None
        return start is not None and startOf(pid) == start

    def kill(self, pid, start):
        """End the process with all that it started."""
        if self.alive(pid, start):
            ProcessTree(pid).kill()
        child = self._children.get(pid)
        if child is not None:
            child.wait(timeout=5)


def _detached():
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}
