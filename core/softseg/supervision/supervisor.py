"""The supervisor: starts the working process, waits, and ends it when a wish to cancel is not honoured in time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from softseg.errors import CancelledError, OutOfMemoryError, SoftSegError
from softseg.supervision.worker import become_worker, cancel_signals, over

GRACE_SECONDS = 1.4
"""How long work may go on after a wish to cancel before its process is killed."""

_GONE_SECONDS = 1.0  # in which processes that were killed are gone
_LOOK_SECONDS = 0.1  # between two looks for the cancel file
_MEMORY_HINT = "close other programs, or choose a smaller patch or batch"


Explain = Callable[[int], SoftSegError | None]


def supervised(
    work: Callable[[], int],
    arguments: Sequence[str],
    finish: Callable[[Sequence[str]], None],
    *,
    prepare: Callable[[], None] = lambda: None,
    explain: Explain = lambda _code: None,
) -> int:
    """Do ``work`` in a process of its own and return its exit code; to be called before anything else is loaded.

    Parameters
    ----------
    work: returns the exit code.
    arguments: of the command line; ``--cancel-file`` is looked for.
    finish: completes or removes folders that a killed process left.
    prepare: what both processes need; done once signals are heard, before they part.
    explain: what to say of a process that ended without returning from ``work``, by its exit code or, negative, the
        signal that ended it; None where nothing is known.
    """
    if not hasattr(os, "fork"):
        return work()
    numbers = cancel_signals()
    heard, hear = os.pipe()
    told, tell = os.pipe()
    parent, keep = os.pipe()
    for end in (heard, hear, told):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(hear, warn_on_full_buffer=False)
    for number in (*numbers, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    killed_before = kernel_kills()
    prepare()
    try:
        worker = os.fork()
    except OSError:  # no more processes: better without a supervisor than not at all
        _stop_listening(numbers)
        os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"  # which end where no thread starts
        return work()
    if worker == 0:
        _stop_listening(numbers)
        for end in (heard, hear, told, keep):
            os.close(end)
        become_worker(tell, parent)
        code = work()
        over()
        return code
    os.close(tell)
    os.close(parent)
    watch = _Watch(worker, heard, told, _cancel_file(arguments))
    status = watch.until_end(frozenset(numbers))
    watch.clear(finish)
    return _exit_code(status, watch, kernel_kills() > killed_before, explain)


def _stop_listening(numbers: Sequence[signal.Signals]) -> None:
    signal.set_wakeup_fd(-1)
    for number in (*numbers, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


@dataclass
class _Watch:
    """The working process, and what it reported.

    Attributes
    ----------
    worker: its number.
    heard: where signals arrive.
    told: where messages arrive; closed when the working process and its children are gone.
    cancel_file: a wish to cancel is a file of this name.
    asked: when there was a wish to cancel.
    is_ready, has_said, is_over, folders, children: see the functions of the working process.
    """

    worker: int
    heard: int
    told: int
    cancel_file: str | None
    asked: float | None = None
    is_ready: bool = False
    has_said: bool = False
    is_over: bool = False
    folders: list[str] = field(default_factory=list)
    children: set[int] = field(default_factory=set)
    _rest: bytes = b""

    def until_end(self, numbers: frozenset[int]) -> int:
        """Wait until the working process has ended, killed by this one if need be, and return its status."""
        while True:
            ended, status = os.waitpid(self.worker, os.WNOHANG)
            if ended:
                return status
            self._listen()
            if self.asked is None and (numbers.intersection(_read(self.heard)) or self._file_is_there()):
                self.asked = time.monotonic()
                if self.is_ready:
                    os.kill(self.worker, signal.SIGTERM)
            if self.asked is not None and not (self.is_ready and time.monotonic() - self.asked < GRACE_SECONDS):
                os.kill(self.worker, signal.SIGKILL)
                return os.waitpid(self.worker, 0)[1]
            waits = self.asked is None and self.cancel_file is None
            select.select([self.heard, self.told], [], [], None if waits else _LOOK_SECONDS)

    def clear(self, finish: Callable[[Sequence[str]], None]) -> None:
        """End the children of a process that has ended, and complete or remove what they all left unfinished."""
        self._listen()
        for pid in self.children:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + _GONE_SECONDS
        while not self._listen() and time.monotonic() < end:
            select.select([self.told], [], [], _LOOK_SECONDS)
        if self.folders:
            finish(self.folders)

    def _file_is_there(self) -> bool:
        return self.cancel_file is not None and os.path.exists(self.cancel_file)  # noqa: PTH110 - nothing is loaded

    def _listen(self) -> bool:
        """Take all messages; whether nobody is left who could send more."""
        while True:
            try:
                content = os.read(self.told, 1 << 16)
            except BlockingIOError:
                return False
            *messages, self._rest = (self._rest + content).split(b"\0")
            for message in messages:
                self._take(os.fsdecode(message))
            if not content:
                return True

    def _take(self, message: str) -> None:
        kind, _, value = message.partition(" ")
        if kind == "ready":
            self.is_ready = True
        elif kind == "said":
            self.has_said = True
        elif kind == "over":
            self.is_over = True
        elif kind == "+folder":
            self.folders.append(value)
        elif kind == "-folder" and value in self.folders:
            self.folders.remove(value)
        elif kind == "+child":
            self.children.add(int(value))
        elif kind == "-child":
            self.children.discard(int(value))


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 12)
    except BlockingIOError:
        return b""


def _cancel_file(arguments: Sequence[str]) -> str | None:
    name, found = "--cancel-file", None
    for position, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument == name and position + 1 < len(arguments):
            found = arguments[position + 1]
        elif argument.startswith(f"{name}="):
            found = argument.partition("=")[2]
    return found or None


def _exit_code(status: int, watch: _Watch, killed_by_kernel: bool, explain: Explain) -> int:
    """Return the exit code of the working process; where it did not end by itself, say why or end this one likewise."""
    code = os.waitstatus_to_exitcode(status)
    if code >= 0 and (code == 0 or watch.is_over or watch.has_said):
        return code
    why = explain(code) if watch.asked is None else None
    if why is not None and not watch.has_said:
        _say(str(why), watch)
        return why.exit_code
    if code >= 0:
        return code
    number = -code
    if watch.asked is not None:
        _say("cancelled on request", watch)
        return CancelledError.exit_code
    if number == signal.SIGKILL and killed_by_kernel:
        _say(
            "out of memory: the system ended the process; close other programs, or use a smaller patch or batch", watch
        )
        return OutOfMemoryError.exit_code
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the working process has left its memory already
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    return 128 + number


def _say(text: str, watch: _Watch) -> None:
    if not watch.has_said:
        sys.stderr.write(f"softseg: {text}\n")


def kernel_kills() -> int:
    """Return how many processes Linux has ended for want of memory since it was started; 0 elsewhere."""
    with contextlib.suppress(OSError, ValueError), open("/proc/vmstat", encoding="ascii") as file:  # noqa: PTH123
        for line in file:
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
