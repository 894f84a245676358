"""Events from long work to its caller: stages, progress, metrics, warnings, errors; and cancellation.

Long functions take ``events: Events`` and call it; they never print. With ``--events json`` every event is one JSON
object per line on standard output, with the key ``event``:

``stage`` (stage, total), ``progress`` (stage, done, total, seconds_left), ``metrics`` (stage, values), ``log`` (text),
``warning`` (text), ``estimate`` (text, memory, memory_free, seconds), ``result`` (name, path, and case where it is one
of a prediction), ``error`` (kind, message, file, field, hint, exit_code), ``done``.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TextIO

from softseg import supervision
from softseg.errors import CancelledError, SoftSegError
from softseg.files import remove_unfinished


class Sink(Protocol):
    """Where events go: a JSON stream, a progress bar, a list in a test."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event."""


class JsonSink:
    """One JSON object per line, flushed at once; numbers that JSON lacks (nan, inf) become null."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stdout if stream is None else stream

    def write(self, event: Mapping[str, Any]) -> None:
        """Write one line."""
        line = json.dumps(_plain(event), ensure_ascii=False)
        # names of files need not be valid text: what is not stays as it is in JSON, escaped
        self._stream.write(line.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")
        self._stream.flush()


class ListSink:
    """Keeps the events; for tests and for callers within the same process."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def write(self, event: Mapping[str, Any]) -> None:
        """Append one event."""
        self.events.append(dict(event))


class NullSink:
    """Drops everything (``--quiet``)."""

    def write(self, event: Mapping[str, Any]) -> None:
        """Do nothing."""


class CancelToken:
    """The user's wish to stop: set by a signal, by the appearance of a file, or by a call.

    Parameters
    ----------
    file: work stops when a file of this name appears.
    """

    def __init__(self, file: str | os.PathLike[str] | None = None) -> None:
        self._file = None if file is None else Path(file)
        self._flag = threading.Event()
        self._looked = 0.0
        self._writer: socket.socket | None = None

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._flag.set()

    @property
    def requested(self) -> bool:
        """Whether the work is cancelled; the file is looked for at most five times a second."""
        if self._file is not None and not self._flag.is_set() and time.monotonic() - self._looked > 0.2:
            self._looked = time.monotonic()
            if self._file.exists():
                self._flag.set()
        return self._flag.is_set()

    def check(self) -> None:
        """Raise :class:`CancelledError` if the work is cancelled."""
        if self.requested:
            raise CancelledError("cancelled on request")

    def install(self) -> None:
        """Let SIGTERM, SIGINT and CTRL-BREAK set this token, and end the process if the work does not notice in time.

        Only for command-line processes, from the main thread. A supervisor (:mod:`softseg.supervision`), or without
        one a watching thread, removes unfinished files and ends the process, so a request is honoured within two
        seconds also inside one long operation; the thread has to wait for libraries that keep Python's lock.
        """
        numbers = set(supervision.cancel_signals())
        for number in numbers:
            signal.signal(number, lambda *_: self._flag.set())
        if supervision.is_supervised():
            supervision.ready()
            return
        # Python runs handlers between two of its own instructions, which one long library call delays; the number of
        # the signal is written to this socket at once.
        arrivals, writer = socket.socketpair()
        writer.setblocking(False)
        arrivals.settimeout(0.1)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._writer = writer
        threading.Thread(target=self._watch, args=(arrivals, numbers), name="softseg-cancel", daemon=True).start()

    def _watch(self, arrivals: socket.socket, numbers: set[signal.Signals]) -> None:
        while not self.requested:
            with contextlib.suppress(TimeoutError):
                if numbers.intersection(arrivals.recv(64)):
                    self._flag.set()
        time.sleep(supervision.GRACE_SECONDS)
        remove_unfinished()
        os._exit(CancelledError.exit_code)


class Events:
    """The one object long work talks to.

    Parameters
    ----------
    sink: where events go; nowhere by default.
    cancel: the user's wish to stop; looked at by every call of :meth:`progress` and :meth:`check`.
    """

    def __init__(self, sink: Sink | None = None, cancel: CancelToken | None = None) -> None:
        self.sink: Sink = NullSink() if sink is None else sink
        self.cancel = CancelToken() if cancel is None else cancel
        self._stage = ""
        self._started = 0.0
        self._first_done = 0

    def check(self) -> None:
        """Raise :class:`CancelledError` if the work is cancelled."""
        self.cancel.check()

    def stage(self, stage: str, total: int | None = None, done: int = 0) -> None:
        """Begin a stage of ``total`` steps, of which ``done`` were finished before (a resumed run)."""
        self.check()
        self._stage, self._started, self._first_done = stage, time.monotonic(), done
        self.sink.write({"event": "stage", "stage": stage, "total": total})

    def progress(self, done: int, total: int) -> None:
        """Report ``done`` of ``total`` steps of the stage; the time left is estimated here."""
        self.check()
        fresh = done - self._first_done
        elapsed = time.monotonic() - self._started
        left = elapsed / fresh * (total - done) if fresh > 0 else None
        self.sink.write({"event": "progress", "stage": self._stage, "done": done, "total": total, "seconds_left": left})

    def metrics(self, values: Mapping[str, float | int | str]) -> None:
        """Report named numbers of the present stage (loss, Dice per level, volumes ...)."""
        self.sink.write({"event": "metrics", "stage": self._stage, "values": dict(values)})

    def log(self, text: str) -> None:
        """Report something worth reading."""
        self.sink.write({"event": "log", "text": text})

    def warning(self, text: str) -> None:
        """Warn of something that may spoil the result."""
        self.sink.write({"event": "warning", "text": text})

    def estimate(
        self, text: str, *, memory: int | None = None, free: int | None = None, seconds: float | None = None
    ) -> None:
        """Report what the work will take: memory of the process at its peak, memory that is free (bytes), time."""
        numbers = {"memory": memory, "memory_free": free, "seconds": seconds}
        self.sink.write({"event": "estimate", "text": text, **numbers})

    def result(self, name: str, path: str | os.PathLike[str], case: Mapping[str, Any] | None = None) -> None:
        """Name a finished output.

        Parameters
        ----------
        name, path: of the file or folder.
        case: of a predicted case, the fields of :class:`softseg.requests.manifest.WrittenCase`, as plain values.
        """
        details = {} if case is None else {"case": dict(case)}
        self.sink.write({"event": "result", "name": name, "path": str(path), **details})

    def error(self, error: SoftSegError) -> None:
        """Report the error that ends the work."""
        self.sink.write(
            {
                "event": "error",
                "kind": error.kind,
                "message": error.message,
                "file": error.file,
                "field": error.field,
                "hint": error.hint,
                "exit_code": error.exit_code,
            }
        )

    def done(self) -> None:
        """Report that everything is finished."""
        self.sink.write({"event": "done"})


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bool) or value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, float) or hasattr(value, "__float__"):
        number = float(value)
        return number if math.isfinite(number) else None
    return str(value)
