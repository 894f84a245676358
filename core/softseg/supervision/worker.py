"""What the working process tells its supervisor, and which signals cancel."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_LONGEST = 4096  # bytes of a message: what Linux's pipes take as a whole, and more than any path that can be opened

_line: int | None = None  # where this process tells the supervisor
_kept: list[object] = []  # connections whose numbers are in use


def cancel_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that cancel: SIGTERM, SIGINT, CTRL-BREAK, and SIGHUP unless ``nohup`` keeps it away."""
    names = ("SIGTERM", "SIGINT", "SIGBREAK", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    return tuple(n for n in numbers if n.name != "SIGHUP" or signal.getsignal(n) is not signal.SIG_IGN)


def become_worker(tell: int, parent: int) -> None:
    """Let this process tell its supervisor, and end with it.

    Parameters
    ----------
    tell: where it writes.
    parent: the reading end of a pipe whose other end only the supervisor holds.
    """
    global _line
    _line = tell
    for number in cancel_signals():
        signal.signal(number, signal.SIG_IGN)  # until it is ready the supervisor decides
    with contextlib.suppress(RuntimeError):  # no more threads: commands that need one say so
        end_after(lambda: os.read(parent, 1))  # nothing is ever written there


def is_supervised() -> bool:
    """Whether a supervisor ends this process when it does not honour a wish to cancel in time."""
    return _line is not None


def ready() -> None:
    """Say that this process handles signals now; before that a wish to cancel ends it at once."""
    _tell("ready")


def said() -> None:
    """Say that the line about the end has been written."""
    _tell("said")


def over() -> None:
    """Say that the work has returned; a process that ends before that was ended by a library, or by the system."""
    _tell("over")


def unfinished(folder: str | os.PathLike[str], *, over: bool = False) -> None:
    """Say that a folder must be completed or removed if this process is killed; with ``over``, no longer.

    Parameters
    ----------
    folder: an absolute path.
    over: whether it is gone.
    """
    _tell(("-folder " if over else "+folder ") + os.fspath(folder))


def child(pid: int, *, over: bool = False) -> None:
    """Say that a child process must end with this one; with ``over``, that it has ended."""
    _tell(f"{'-' if over else '+'}child {pid}")


def line_for_child() -> Connection | None:
    """Return what a child process needs to tell the same supervisor, see :func:`join`; to be handed over by spawn."""
    if _line is None:
        return None
    from multiprocessing.connection import Connection

    return Connection(os.dup(_line), readable=False)


def join(line: Connection | None) -> None:
    """Let this child process tell the supervisor of the process that started it."""
    global _line
    if line is not None:
        _kept.append(line)
        _line = line.fileno()


def end_after(event: Callable[[], object]) -> None:
    """Kill this process as soon as ``event`` returns, which waits for the end of the process that started this one."""

    def wait() -> None:
        with contextlib.suppress(OSError):
            event()
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))

    threading.Thread(target=wait, name="softseg-parent", daemon=True).start()


def _tell(message: str) -> None:
    content = os.fsencode(message) + b"\0"
    if _line is not None and len(content) <= _LONGEST:
        with contextlib.suppress(OSError):
            os.write(_line, content)
