"""What runs the engine in a process of its own, seen from those who use it. Needs no Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

DONE, CANCELLED, FAILED = "done", "cancelled", "failed"


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Attributes
    ----------
    state: DONE, CANCELLED or FAILED.
    message: why it failed, a sentence for people; empty otherwise.
    hint: what to do about it; may be empty.
    exitCode: the engine's (0 done, 1 defect, 2 input, 3 memory, 130 cancelled); -1 if it never ran or was killed.
    details: the end of what it wrote to standard error, for a report.
    """

    state: str
    message: str = ""
    hint: str = ""
    exitCode: int = 0
    details: str = ""

    @property
    def text(self):
        """Message and hint as one text."""
        return f"{self.message} {self.hint}".strip()


class Runner(Protocol):
    """Runs one command of the engine at a time; a new one may be started when it has ended."""

    @property
    def running(self) -> bool:
        """Whether a process runs."""

    def start(
        self,
        arguments: Sequence[str],
        onEvent: Callable[[Mapping[str, Any]], None],
        onFinished: Callable[[Outcome], None],
    ) -> None:
        """Start ``python -m softseg ARGUMENTS --events json`` and return at once.

        ``onEvent`` is called for each event (see docs/events.md), ``onFinished`` exactly once, also when the process
        cannot start; never from inside ``start``.
        """

    def cancel(self) -> None:
        """Ask the process to stop; within 3 s it and all its children are gone and ``onFinished`` was called."""

    def kill(self) -> None:
        """End the process and all its children at once, without calling back any more."""
