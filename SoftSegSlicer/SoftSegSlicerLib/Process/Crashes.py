"""What a process of the engine said before it crashed in native code. Needs no Qt."""

from __future__ import annotations

import os
import re
import signal

from ..Translation import tr as _

TAIL = 1 << 15
"""Bytes of standard error that are kept: the stacks of all threads, and the names of all extension modules."""
_LINES = 3
_FATAL = re.compile(r"^(?:Fatal Python error|Windows fatal exception): (.+)$", re.MULTILINE)
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>.+)')
_SIGNALS = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS")


def logOf(folder):
    """Return the file of a folder that native output is kept in."""
    return os.path.join(str(folder), "native.txt")


def nativeLines(folder):
    """Return what native code wrote last into the file of a folder, as text; empty where it wrote nothing."""
    return _tailOf(logOf(folder))


def lastError(errors, folder):
    """Return the last line of a file of errors, or what the process crashed in; empty where it holds nothing.

    ``folder`` is that of the native output.
    """
    said = _tailOf(errors)
    if crashed(0, said):
        return summary(0, said, nativeLines(folder))
    return next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")


def _tailOf(path):
    try:
        with open(path, "rb") as stream:
            stream.seek(0, os.SEEK_END)
            stream.seek(max(0, stream.tell() - TAIL))
            return stream.read().decode("utf-8", "replace").strip()
    except OSError:
        return ""


def crashed(exitCode, details):
    """Whether a process ended by a crash of native code: by its signal, or as Python's fault handler says."""
    names = {int(getattr(signal, name)) for name in _SIGNALS if hasattr(signal, name)}
    return abs(exitCode) in names or _FATAL.search(details) is not None


def summary(exitCode, details, native=""):
    """Return a sentence about a crash: its kind, the Python function it happened in, and the last native lines.

    Parameters
    ----------
    exitCode: of the process; the signal, below or above 0.
    details: what it wrote to standard error, with the fault handler's report.
    native: what native code wrote.
    """
    fatal = _FATAL.search(details)
    kind = fatal.group(1) if fatal else _nameOf(exitCode)
    frame = _FRAME.search(details, fatal.end()) if fatal else None
    text = _("The engine crashed in native code ({kind})").format(kind=kind)
    if frame:
        place = f"{os.path.basename(frame.group('file'))}:{frame.group('line')} {frame.group('function').strip()}"
        text += " " + _("at {place}").format(place=place)
    before = details[: fatal.start()] if fatal else details
    said = lastLines("\n".join((before, native)))
    return f"{text}. " + (_("Last output: {lines}").format(lines=said) if said else _("No error output."))


def lastLines(text):
    """Return the last lines of a text that are not empty, as one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-_LINES:])


def _nameOf(exitCode):
    try:
        return signal.Signals(abs(exitCode)).name
    except ValueError:
        return _("exit code {code}").format(code=exitCode)
