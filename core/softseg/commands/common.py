"""What all commands share: their common options, and how long work reports, cancels and fails."""

from __future__ import annotations

import contextlib
import enum
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.console import ConsoleSink
from softseg.events import CancelToken, Events, JsonSink, NullSink, Sink
from softseg.failures import as_defect, as_plain_error
from softseg.thread_limits import limited


class EventFormat(str, enum.Enum):
    """Format of the events for another program."""

    JSON = "json"


class MapType(str, enum.Enum):
    """How soft maps are stored: probabilities 0..1, or round(255 x probability)."""

    FLOAT32 = "float32"
    UINT8 = "uint8"


@dataclass(frozen=True)
class CallSettings:
    """What the caller of the command line decides.

    Attributes
    ----------
    signals: SIGTERM, SIGINT and CTRL-BREAK cancel the work. Only for a process of one's own.
    """

    signals: bool = False


EventsOption = Annotated[
    EventFormat | None,
    typer.Option("--events", help="Print one JSON object per line instead of a progress bar (docs/events.md)."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads that compute at once, at most. [default: the cores there are]"),
]
CancelFileOption = Annotated[
    Path | None,
    typer.Option("--cancel-file", help="Stop, with exit code 130 and nothing half-written, when this file appears."),
]
MapTypeOption = Annotated[MapType, typer.Option("--map-type", help="Number type of soft maps.")]
DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]


@contextlib.contextmanager
def long_work(
    context: typer.Context,
    events: EventFormat | None,
    quiet: bool,
    cancel_file: Path | None,
    threads: int | None = None,
) -> Iterator[Events]:
    """Give the :class:`~softseg.events.Events` of one command and report how it ended.

    With ``--events json`` the error that ends the work becomes an ``error`` event; in every case the error goes on to
    the caller, who prints the one line and chooses the exit code.
    """
    sink: Sink = JsonSink(sys.stdout) if events is EventFormat.JSON else NullSink() if quiet else ConsoleSink()
    cancel = CancelToken(cancel_file)
    settings = context.find_object(CallSettings) or CallSettings()
    if settings.signals:
        cancel.install()
    work = Events(sink, cancel)
    try:
        work.check()
        with limited(threads):
            yield work
        work.done()
    except Exception as error:
        plain = as_plain_error(error)
        work.error(as_defect(error) if plain is None else plain)
        if plain is None or plain is error:
            raise
        raise plain from error
    finally:
        if isinstance(sink, ConsoleSink):
            sink.close()
