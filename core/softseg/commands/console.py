"""What people see of long work: progress bars on a terminal, plain lines in a log file."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

SECONDS_BETWEEN = 10.0
"""Numbers that come with every step are shown this often, and lines of progress in a log file at most this often."""

MOST_SILENT = 60.0
"""A log file gets a line of progress after this many seconds at the latest (our default)."""

TENTH = 0.1
"""... and after this part of a stage, where it takes longer than ``SECONDS_BETWEEN``."""


class ConsoleSink:
    """Writes events for people: results and progress to standard output, warnings to standard error.

    On a terminal each stage has a progress bar with the time left; elsewhere a stage is a line, and a long one gets
    further lines, one a minute or a tenth.

    Parameters
    ----------
    output: standard output by default.
    warnings: standard error by default.
    """

    def __init__(self, output: TextIO | None = None, warnings: TextIO | None = None) -> None:
        from rich.console import Console

        self._console = Console(file=output or sys.stdout, highlight=False, soft_wrap=True)
        self._warnings = warnings or sys.stderr
        self._shown: dict[tuple[str, ...], float] = {}
        self._progress: Any = None
        self._task: Any = None
        self._name, self._told, self._part = "", 0.0, 0.0

    def write(self, event: Mapping[str, Any]) -> None:
        """Show one event."""
        kind = event["event"]
        if kind == "stage":
            self._stage(event["stage"], event["total"])
        elif kind == "progress":
            self._step(event["done"], event["total"], event.get("seconds_left"))
        elif kind == "metrics":
            self._numbers(event["values"])
        elif kind in ("log", "estimate"):
            self._say(event["text"])
        elif kind == "result":
            self._say(f"{event['name']}: {event['path']}")
        elif kind == "warning":
            self._warnings.write(f"warning: {event['text']}\n")
        elif kind == "done":
            self.close()

    def close(self) -> None:
        """Leave the last bar as it is and give the terminal back."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = self._task = None

    def _stage(self, stage: str, total: int | None) -> None:
        self.close()
        if not self._console.is_terminal:
            self._name, self._told, self._part = stage, time.monotonic(), 0.0
            self._say(stage)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self._console)
        self._progress.start()
        self._task = self._progress.add_task(stage, total=total)

    def _step(self, done: int, total: int, left: float | None) -> None:
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total)
        elif total > 0:
            self._log_step(done / total, left)

    def _log_step(self, part: float, left: float | None) -> None:
        """Report the progress of a stage, at most every minute or tenth of the stage."""
        silent = time.monotonic() - self._told
        if part >= 1 or silent < SECONDS_BETWEEN or (silent < MOST_SILENT and part < self._part + TENTH):
            return
        self._told, self._part = time.monotonic(), part
        self._say(f"{self._name}: {part:.0%}" + ("" if left is None else f", {_duration(left)} left"))

    def _numbers(self, values: Mapping[str, float | int | str]) -> None:
        """Show numbers of a new kind at once, those of the same kind every ten seconds."""
        names, now = tuple(values), time.monotonic()
        if now - self._shown.get(names, -math.inf) >= SECONDS_BETWEEN:
            self._shown[names] = now
            self._say("  ".join(f"{name} {_number(value)}" for name, value in values.items()))

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False)


def _duration(seconds: float) -> str:
    return f"{math.ceil(seconds)} s" if seconds < 100 else f"{math.ceil(seconds / 60)} min"


def _number(value: float | int | str) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
