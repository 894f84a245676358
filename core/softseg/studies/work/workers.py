"""Several trainings at once, each in its own process with its part of the cores."""

from __future__ import annotations

import contextlib
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from softseg import native_output, supervision
from softseg.errors import CancelledError, LostProcessError, OutOfMemoryError
from softseg.events import CancelToken, Events
from softseg.failures import as_native_end, as_plain_error
from softseg.files import scratch_beside
from softseg.studies.plan.jobs import Job, jobs_of
from softseg.studies.plan.study import Study
from softseg.studies.work.relay import Relay
from softseg.studies.work.running import StudyFolder, run_job
from softseg.system import is_out_of_memory, threads_each

_LOOK = 0.2  # seconds between two looks at the user's wish to stop
_END_SECONDS = 20.0  # that processes get to end

_FEWER = "the same command goes on; use fewer at once (--jobs) if memory is short"


def run_in_processes(
    study: Study, jobs: Sequence[Job], place: StudyFolder, at_once: int, events: Events
) -> list[tuple[str, str, str]]:
    """Run jobs in ``at_once`` processes and return the result of :func:`attempt` for each that failed.

    Raises
    ------
    CancelledError: cancelled; every process has ended.
    LostProcessError: processes ended by themselves (killed); finished jobs stay.
    OutOfMemoryError: the same, because the system ran out of memory.
    """
    context = multiprocessing.get_context("spawn")
    kills_before = supervision.kernel_kills()
    names = [job.name for job in jobs]
    todo, reports = context.Queue(), context.Queue()
    for name in [*names, *[None] * at_once]:  # None: no more work
        todo.put(name)
    with scratch_beside(place.out / "stop") as folder:
        stop = folder / "stop"
        threads = threads_each(at_once)
        processes = [
            context.Process(
                target=_work,
                args=(study, place, todo, reports, str(stop), threads, supervision.line_for_child()),
            )
            for _ in range(at_once)
        ]
        try:
            with _signals_wait():
                for process in processes:
                    process.start()
                    if process.pid is not None:
                        supervision.child(process.pid)
            return _listen(processes, reports, len(names), events)
        except LostProcessError as error:
            if supervision.kernel_kills() > kills_before:
                raise OutOfMemoryError(f"{error.message}: the system ended them", hint=_FEWER) from error
            native = native_output.last_lines()
            if isinstance(as_native_end(native, 1), OutOfMemoryError):
                raise OutOfMemoryError(f"{error.message} (output of a library: {native})", hint=_FEWER) from error
            raise
        finally:
            stop.touch()
            _end(processes)


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Hold signals back in the block, and in the processes that are started there: their parent hears them for all."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, supervision.cancel_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(processes: Sequence[Any]) -> None:
    """Wait until processes that were asked to stop have ended, and kill those that do not."""
    until = time.monotonic() + _END_SECONDS
    for process in processes:
        if process.pid is None:  # it could not be started
            continue
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        supervision.child(process.pid, over=True)


def _listen(processes: Sequence[Any], reports: Any, total: int, events: Events) -> list[tuple[str, str, str]]:
    relay = Relay(events)
    failed: list[tuple[str, str, str]] = []
    done = 0
    while done < total:
        events.check()
        try:
            kind, name, text = reports.get(timeout=_LOOK)
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                raise LostProcessError(
                    f"all training processes ended before the work was done ({done} of {total} trainings)",
                    hint=_FEWER,
                ) from None
            continue
        if kind == "warning":
            relay.warn(name, text)
            continue
        done += 1
        if kind != "done":
            failed.append((kind, name, text))
            events.warning(f"{name} failed: {text}")
        events.progress(done, total)
    return failed


def _work(
    study: Study, place: StudyFolder, todo: Any, reports: Any, stop: str, threads: int, line: Connection | None = None
) -> None:
    """Do jobs until none is left; the body of a process."""
    parent = multiprocessing.parent_process()
    if threading.current_thread() is threading.main_thread() and parent is not None:
        for number in supervision.cancel_signals():
            signal.signal(number, signal.SIG_IGN)  # a Ctrl-C reaches all; the process that started this one decides
        supervision.join(line)
        supervision.end_after(lambda: wait([parent.sentinel]))
    import torch

    torch.set_num_threads(threads)
    cancel = CancelToken(stop)
    with contextlib.suppress(CancelledError):
        jobs = {job.name: job for job in jobs_of(study, place.out, Events(cancel=cancel))}
        for name in _names(todo, cancel):
            reports.put(attempt(study, jobs[name], place, Events(_Reporter(reports, name), cancel)))


def attempt(study: Study, job: Job, place: StudyFolder, events: Events) -> tuple[str, str, str]:
    """Do one job and return ``"done"``, ``"failed"`` or ``"memory"`` (it did not fit), its name, and why it failed.

    A defect in one job must not take the others with it.

    Raises
    ------
    CancelledError: cancelled.
    """
    try:
        run_job(study, job, place, events)
    except CancelledError:
        raise
    except Exception as error:  # noqa: BLE001 - see above
        kind = "memory" if is_out_of_memory(error) else "failed"
        plain = as_plain_error(error)
        return kind, job.name, f"{type(error).__name__}: {error}" if plain is None else str(plain)
    return "done", job.name, ""


def _names(todo: Any, cancel: CancelToken) -> Iterator[str]:
    """Yield names of jobs until there is no more work, the user wants to stop, or who started this process is gone."""
    parent = multiprocessing.parent_process()
    while not cancel.requested and (parent is None or parent.is_alive()):
        try:
            name = todo.get(timeout=_LOOK)
        except queue.Empty:
            continue
        if name is None:
            return
        yield name


class _Reporter:
    def __init__(self, reports: Any, name: str) -> None:
        self._reports, self._name = reports, name

    def write(self, event: Mapping[str, Any]) -> None:
        """Take one event."""
        if event["event"] == "warning":
            self._reports.put(("warning", self._name, str(event["text"])))
