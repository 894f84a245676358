"""A small process above the one that works: it hears a signal at once, and ends what does not end in time.

Python calls signal handlers between two of its own instructions, and a watching thread waits for the same lock as all
other threads: one long library call delays both. The supervisor does nothing but wait. It passes a wish to cancel on,
kills the working process when that does not end within :data:`GRACE_SECONDS`, and removes what was half-written. It
also sees when the kernel killed the working process because memory ran out.

The working process says, through a pipe, what there will be to clean up: unfinished folders and child processes.
Where the system has no ``fork`` (Windows) the command works without a supervisor.
"""

from softseg.supervision.supervisor import GRACE_SECONDS, kernel_kills, supervised
from softseg.supervision.worker import (
    cancel_signals,
    child,
    end_after,
    is_supervised,
    join,
    line_for_child,
    ready,
    said,
    unfinished,
)

__all__ = [
    "GRACE_SECONDS",
    "cancel_signals",
    "child",
    "end_after",
    "is_supervised",
    "join",
    "kernel_kills",
    "line_for_child",
    "ready",
    "said",
    "supervised",
    "unfinished",
]
