"""The command ``softseg``: one thin command per job, with one way to report progress, errors and the end.

Exit codes: 0 done, 1 a defect of the program, 2 bad input, 3 out of memory, 130 cancelled. What went wrong is one line
on standard error; ``SOFTSEG_DEBUG=1`` adds the traceback.

This module loads almost nothing, so that a wish to cancel is heard from the beginning.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from softseg import supervision


def main() -> None:
    """Run the command line of this process and end it with the exit code."""
    sys.exit(supervision.supervised(_work, sys.argv[1:], _finish))


def run(arguments: Sequence[str]) -> int:
    """Run one command within this process and return its exit code; nothing is raised and nothing exits.

    Parameters
    ----------
    arguments: what follows ``softseg`` on the command line.
    """
    from softseg.commands import application

    return application.run(arguments)


def _work() -> int:
    import io

    from softseg import native_output
    from softseg.commands import application
    from softseg.commands.common import Settings

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names that are no text can still be named
    if not application.debugging():
        native_output.keep_apart()
    native_output.show_crashes()
    return application.run(sys.argv[1:], Settings(signals=True))


def _finish(folders: Sequence[str]) -> None:
    from softseg.files import finish_abandoned

    for folder in folders:
        finish_abandoned(folder)
