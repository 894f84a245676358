"""What C and C++ libraries write to standard error: kept apart from our one line, and shown when something breaks."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys

from softseg.files import nameless_file

NATIVE_LOG = "SOFTSEG_NATIVE_LOG"
"""Environment variable: a file that native output is added to, for a program that starts this one and outlives it."""

_LINES, _BYTES = 3, 4096

_kept: list[int] = []  # the file that standard error of native code goes to, or will once it is kept apart
_apart: list[bool] = []  # whether it does


def prepare() -> None:
    """Open the file for native output, so that a process which is forked after this writes where this one can read.

    It is the one that :data:`NATIVE_LOG` names, so that what was written before a crash can still be read, or one
    without a name, so that nothing is left of it.
    """
    if _kept:
        return
    with contextlib.suppress(OSError):
        try:
            _kept.append(_log())
        except OSError:  # no place for temporary files: not heard is better than not started
            _kept.append(os.open(os.devnull, os.O_RDWR))


def keep_apart() -> None:
    """Let native code write to the file of :func:`prepare`; Python's own standard error goes on as before."""
    if _apart:
        return
    prepare()
    try:
        ours = os.dup(2)
    except OSError:
        return
    _apart.append(True)
    sys.stderr = open(ours, "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1)  # noqa: SIM115, PTH123
    for kept in _kept:
        os.dup2(kept, 2)


def _log() -> int:
    """Open the file for native output and return its descriptor."""
    named = os.environ.get(NATIVE_LOG)
    if named:
        return os.open(named, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    with nameless_file() as file:
        return os.dup(file.fileno())


def show_crashes() -> None:
    """Let a crash of native code report the Python function it happened in on standard error."""
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
