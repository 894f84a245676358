"""What the end of an engine process means, in a sentence for people. Needs no Qt."""

from __future__ import annotations

from softseg.errors import CancelledError, InputError, OutOfMemoryError, SoftSegError

from ..Translation import tr as _
from . import Crashes
from .Runner import CANCELLED, DONE, FAILED, Outcome

CANCEL_EXIT_CODE = 130


def notStarted(program):
    """Return the outcome of a program that could not be started."""
    text = _("{program} could not be started.").format(program=program)
    return Outcome(FAILED, text, _("Reinstall the extension, or start the application again."), -1)


def outcomeOf(exitCode, error=None, details="", cancelled=False, crashed=False, native=""):
    """Return the outcome of a process that has ended.

    Parameters
    ----------
    exitCode: the engine's.
    error: its ``error`` event, where it sent one.
    details: the end of what it wrote to standard error.
    cancelled: whether it was asked to stop.
    crashed: whether it was ended by a signal.
    native: what native libraries wrote last.
    """
    details, said = details.strip(), details
    if native.strip():
        details = f"{details}\n{native.strip()}".strip()
    if cancelled or (exitCode == CANCEL_EXIT_CODE and not crashed):
        return Outcome(CANCELLED, exitCode=exitCode, details=details)
    if Crashes.crashed(exitCode if crashed else 0, said):
        hint = _("Try another file or device; if it happens again, report it with this line.")
        return Outcome(FAILED, Crashes.summary(exitCode, said, native), hint, -1, details)
    if crashed:
        text = _("The process was killed, most often because memory ran out.")
        return Outcome(FAILED, text, _("Close other programs, or choose a smaller scan."), -1, details)
    if exitCode == 0:
        return Outcome(DONE, details=details)
    if error is not None:
        parts = (error.get("file"), error.get("field"), error.get("message"))
        text = ": ".join(str(part) for part in parts if part)
        return Outcome(FAILED, text, error.get("hint") or "", exitCode, details)
    last = Crashes.lastLines(said) or Crashes.lastLines(native) or _("No error output.")
    text = _("The process ended with code {code}: {text}").format(code=exitCode, text=last)
    return Outcome(FAILED, text, "", exitCode, details)


def raiseUnlessDone(outcome):
    """Raise the engine's error for an outcome that is not DONE.

    Raises
    ------
    InputError, OutOfMemoryError, CancelledError, SoftSegError: as the exit code says.
    """
    if outcome.state == CANCELLED:
        raise CancelledError("cancelled on request")
    if outcome.state == FAILED:
        kinds = {InputError.exit_code: InputError, OutOfMemoryError.exit_code: OutOfMemoryError}
        kind = kinds.get(outcome.exitCode, SoftSegError)
        raise kind(outcome.message, hint=outcome.hint or None)
