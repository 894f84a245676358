"""The command ``softseg``: one thin command per job, with one way to report progress, errors and the end.

Exit codes: 0 done, 1 a defect of the program, 2 bad input, 3 out of memory, 130 cancelled. What went wrong is one line
on standard error; ``SOFTSEG_DEBUG=1`` adds the traceback.

This module loads almost nothing, so that a wish to cancel is heard from the beginning.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from softseg import supervision, thread_limits
from softseg.errors import SoftSegError


def main() -> None:
    """Run the command line of this process and end it with the exit code."""
    thread_limits.prepare(sys.argv[1:])
    sys.exit(supervision.supervised(_work, sys.argv[1:], _finish, prepare=_prepare, explain=_explain))


def run(arguments: Sequence[str]) -> int:
    """Run one command within this process and return its exit code; nothing is raised and nothing exits.

    Parameters
    ----------
    arguments: what follows ``softseg`` on the command line.
    """
    from softseg.commands import application

    return application.run(arguments)


def _work() -> int:
    try:
        from softseg.commands import application
    except Exception as error:  # noqa: BLE001 - of what is loaded, something is missing or does not fit into memory
        from softseg.failures import as_defect, as_plain_error

        plain = as_plain_error(error) or as_defect(error)
        sys.stderr.write(f"softseg: {plain}\n")
        return plain.exit_code
    import io

    from softseg import native_output
    from softseg.commands.common import CallSettings

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names that are no text can still be named
    if not application.debugging():
        native_output.keep_apart()
    native_output.show_crashes()
    return application.run(sys.argv[1:], CallSettings(signals=True))


def _prepare() -> None:
    from softseg import native_output

    native_output.prepare()


def _explain(code: int) -> SoftSegError | None:
    from softseg import native_output
    from softseg.failures import as_native_end

    return as_native_end(native_output.last_lines(), code)


def _finish(folders: Sequence[str]) -> None:
    from softseg.files import finish_abandoned

    for folder in folders:
        finish_abandoned(folder)
