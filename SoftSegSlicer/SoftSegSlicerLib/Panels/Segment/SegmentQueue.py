"""Jobs of the engine one after the other; one that fails does not stop the rest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import qt
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from SoftSegSlicerLib.Panels.Widgets.MessageLine import sentence
from SoftSegSlicerLib.Panels.Widgets.Stepwise import Stepwise
from SoftSegSlicerLib.Process.Progress import Progress, duration
from SoftSegSlicerLib.Process.Runner import CANCELLED, DONE, FAILED, Outcome

WAITING, RUNNING = "waiting", "running"
_MENDABLE = (SoftSegError, OSError, RuntimeError)


@dataclass
class QueuedScan:
    """One scan to segment.

    Attributes
    ----------
    key: finds the job's row in the list.
    name: for people.
    prepare: returns what has ``arguments`` and ``discard()``, and may have ``images``, its files; ``take``, called with
        every event; and ``more``: further command lines for the engine, on which the result does not depend, asked for
        when the first is done. Called when it is this job's turn. May raise.
    finish: called with what ``prepare`` returned, after the engine is done; may return steps, a generator of
        ``(done, total)``, between which the window gets its turn. May raise.
    state: WAITING, RUNNING, or the state of an Outcome.
    message: why it failed.
    """

    key: str
    name: str
    prepare: Callable[[], Any]
    finish: Callable[[Any], None]
    state: str = WAITING
    message: str = ""


class SegmentQueue:
    """Runs jobs one at a time.

    Parameters
    ----------
    runner: a Runner.
    onProgress: called with (share 0..1 of all jobs, text).
    onMessage: called with (kind, text) for warnings and errors.
    onJob: called with a job whose state has changed.
    onFinished: called once with all jobs.
    """

    def __init__(self, runner, onProgress, onMessage, onJob, onFinished):
        self._runner = runner
        self._onProgress, self._onMessage = onProgress, onMessage
        self._onJob, self._onFinished = onJob, onFinished
        self._jobs, self._waiting, self._current = [], [], None
        self._prepared, self._cancelled, self._more, self._finishing = None, False, None, None
        self._durations = []  # seconds of the scans that were finished; failures say nothing about the rest

    @property
    def running(self):
        """Whether there is work that has not ended."""
        return self._current is not None

    @property
    def finishing(self):
        """Whether the engine is done with a job whose result is being shown."""
        return self._finishing is not None

    def start(self, jobs):
        """Begin; returns at once."""
        self._jobs, self._waiting = list(jobs), list(jobs)
        self._clock = qt.QElapsedTimer()
        self._take()
        qt.QTimer.singleShot(0, self._begin)  # the window shows that it has begun before the scan is written

    def cancel(self):
        """Stop the running job and forget the waiting ones."""
        self._cancelled = True
        self._waiting = []
        self._onProgress(self._share(0.0), _("Cancelling ..."), True)
        self._runner.cancel()

    def kill(self):
        """End everything at once, without calling back."""
        self._runner.kill()
        if self._finishing is not None:
            self._finishing.cancel()
        self._discard()
        self._waiting, self._current = [], None

    def _next(self):
        if not self._waiting:
            self._current = None
            self._onFinished(tuple(self._jobs))
            return
        self._take()
        self._begin()

    def _take(self):
        job = self._current = self._waiting.pop(0)
        self._progress, job.state = Progress(), RUNNING
        self._clock.start()
        self._onJob(job)
        self._tell()

    def _begin(self):
        if self._current is None:
            return
        if self._cancelled:
            self._end(Outcome(CANCELLED))
            return
        try:
            self._prepared = self._current.prepare()
        except _MENDABLE as error:
            self._end(Outcome(FAILED, sentence(error)))
            return
        self._more = None
        self._runner.start(self._prepared.arguments, self._onEvent, self._endOne)

    def _onEvent(self, event):
        if self._current is None:
            return
        getattr(self._prepared, "take", _ignore)(event)
        if event["event"] == "warning":
            self._onMessage("warning", self._named(self._withoutPath(event["text"])))
        else:
            self._progress.take(event)
            if not self._cancelled:
                self._tell()

    def _endOne(self, outcome):
        """Go on with the next command line of the job, if there is one."""
        if outcome.state == DONE and self._more is None:
            self._more = list(getattr(self._prepared, "more", ()))
        if outcome.state == DONE and self._more and self._current is not None:
            qt.QTimer.singleShot(0, self._further)
        else:
            self._end(outcome)

    def _further(self):
        if self._current is not None:
            self._runner.start(self._more.pop(0), _ignore, self._endFurther)

    def _endFurther(self, outcome):
        """A further command line that fails costs nothing but itself."""
        if outcome.state == FAILED:
            self._onMessage("warning", self._named(outcome.text))
            outcome = Outcome(DONE)
        self._endOne(outcome)

    def _end(self, outcome):
        job = self._current
        if job is None:
            return
        if outcome.state == DONE:
            self._finishing = Stepwise(
                _finishing(job, self._prepared),
                _ignore,
                lambda: self._ended(DONE, ""),
                lambda error: self._ended(FAILED, sentence(error)),
                _MENDABLE,
            )
        else:
            self._ended(outcome.state, outcome.text)

    def _ended(self, state, message):
        job, self._finishing = self._current, None
        self._discard()
        if state == DONE:
            self._durations.append(self._clock.elapsed() / 1000)
        job.state, job.message = state, message
        self._onJob(job)
        if state == FAILED:
            self._onMessage("error", self._named(message))
        if state == CANCELLED:
            self._waiting = []
        # the next one begins from the event loop: a row of jobs that fail at once must not pile up calls
        qt.QTimer.singleShot(0, self._goOn)

    def _goOn(self):
        if self._current is not None:
            self._next()

    def _tell(self):
        text = self._progress.text
        if len(self._jobs) > 1:
            done = len(self._jobs) - len(self._waiting) - 1
            text = _("{name} ({number} of {count}): {text}").format(
                name=self._current.name, number=done + 1, count=len(self._jobs), text=text
            )
            if self._durations:
                mean = sum(self._durations) / len(self._durations)
                left = mean * (len(self._waiting) + 1 - self._progress.share)
                text += _(", about {time} for all").format(time=duration(left))
        self._onProgress(self._share(self._progress.share), text, self._progress.busy)

    def _share(self, ofCurrent):
        done = len(self._jobs) - len(self._waiting) - 1
        return min(1.0, (done + ofCurrent) / max(1, len(self._jobs)))

    def _withoutPath(self, text):
        """Return a text of the engine with the scan's name where it names the file that the scan was written to."""
        files = getattr(self._prepared, "images", ())
        path = next((file for file in files if text.startswith(f"{file}: ")), None)
        if path is None or self._current is None:
            return text
        rest = text[len(path) + 2 :]
        return rest if len(self._jobs) > 1 else f"{self._current.name}: {rest}"

    def _named(self, text):
        return f"{self._current.name}: {text}" if len(self._jobs) > 1 else text

    def _discard(self):
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.discard()


def _finishing(job, prepared):
    """Finish a job in steps, if it has any."""
    steps = job.finish(prepared)
    if steps is not None:
        yield from steps


def _ignore(*_event):
    """Take an event or a step that nobody waits for."""
