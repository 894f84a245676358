"""What C and C++ libraries write to standard error: kept apart from our one line, and shown when something breaks."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import tempfile

_LINES, _BYTES = 3, 4096

_kept: list[int] = []  # the file that standard error of native code goes to, once it is kept apart


def keep_apart() -> None:
    """Let native code write to a file that nobody sees; Python's own standard error goes on to where it went before.

    The file has no name, so that nothing is left of it.
    """
    if _kept:
        return
    try:
        ours = os.dup(2)
    except OSError:
        return
    sys.stderr = open(ours, "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1)  # noqa: SIM115, PTH123
    try:
        with tempfile.TemporaryFile(buffering=0) as file:
            kept = os.dup(file.fileno())
    except OSError:  # no place for temporary files: not heard is better than not started
        kept = os.open(os.devnull, os.O_RDWR)
    os.dup2(kept, 2)
    _kept.append(kept)


def show_crashes() -> None:
    """Let a crash of native code say on standard error which Python function it happened in."""
    with contextlib.suppress(OSError, RuntimeError, ValueError, AttributeError):  # no real file behind it
        faulthandler.enable(file=sys.stderr)


def last_lines() -> str:
    """Return the last lines that native code wrote, on one line; empty where it wrote none or was not kept apart."""
    if not _kept:
        return ""
    try:
        size = os.lseek(_kept[0], 0, os.SEEK_END)
        start = max(0, size - _BYTES)
        os.lseek(_kept[0], start, os.SEEK_SET)
        text = os.read(_kept[0], size - start).decode("utf-8", "replace")
        os.lseek(_kept[0], 0, os.SEEK_END)
    except OSError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines()[-_LINES:] if line.strip())
