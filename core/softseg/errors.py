"""The errors that people see: one plain line with what, where and what to do.

Every error that a user can cause or fix derives from :class:`SoftSegError`. The command line prints it as one line
and ends with its ``exit_code``; with ``--events json`` it becomes an ``error`` event with ``kind`` and ``hint``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import ClassVar

LONGEST = 600
"""Characters of a message, a place or a hint; the middle of a longer one is left out."""


class SoftSegError(Exception):
    """Base of all errors meant for people.

    Parameters
    ----------
    message: what is wrong, with what was expected and what was found.
    file: the file it was found in, if any.
    field: the field, node, channel or option inside that file, if any.
    hint: what to do about it, if that is not obvious from the message.
    """

    kind: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | PathLike[str] | None = None,
        field: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = on_one_line(message)
        self.file = None if file is None else str(file)
        self.field = None if field is None else on_one_line(field)
        self.hint = None if hint is None else on_one_line(hint)
        super().__init__(str(self))

    def __str__(self) -> str:
        """Return the one line: ``file: field: message; hint``."""
        file = None if self.file is None else on_one_line(self.file, 4096)
        line = ": ".join(part for part in (file, self.field, self.message) if part)
        return f"{line}; {self.hint}" if self.hint else line


@contextmanager
def naming(file: str | PathLike[str], field: str | None = None) -> Iterator[None]:
    """Give an :class:`InputError` that names no file the file (and field) whose content led to it."""
    try:
        yield
    except InputError as error:
        if error.file is not None:
            raise
        raise InputError(error.message, file=file, field=error.field or field, hint=error.hint) from error


def on_one_line(text: str, longest: int = LONGEST) -> str:
    """Return a text as one line that a terminal can take, whatever file it comes from.

    White space becomes single blanks, other signs that do not print (control codes, changes of direction) are written
    as escapes, and the middle of a text longer than ``longest`` is left out.
    """
    if len(text) > 4 * longest:
        text = f"{text[: 2 * longest]} ... {text[-2 * longest :]}"
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in line)
    if len(line) <= longest:
        return line
    return f"{line[: 2 * longest // 3]} ... {line[-longest // 3 :]}"


class InputError(SoftSegError, ValueError):
    """Something that was given is wrong: a file, a field, an option (exit code 2)."""

    kind = "input"
    exit_code = 2


class OutOfMemoryError(SoftSegError, MemoryError):
    """The work does not fit into the memory there is (exit code 3)."""

    kind = "memory"
    exit_code = 3


class CancelledError(SoftSegError):
    """The user asked to stop (exit code 130); nothing is left half-written."""

    kind = "cancelled"
    exit_code = 130


class LostProcessError(SoftSegError):
    """Another of several processes that work together is gone (exit code 1); what is saved can be resumed."""

    kind = "process"


class FollowedError(SoftSegError):
    """Process ``rank`` of a group failed with this reason; this one ends with its exit code."""

    kind = "process"

    def __init__(self, rank: int, exit_code: int) -> None:
        super().__init__(f"process {rank} failed")
        self.exit_code = exit_code  # type: ignore[misc]
