"""One training: a process of its own and its folder, from which everything is known, also after a restart of Slicer."""

import json
import os

from softseg.errors import InputError
from softseg.files import write_beside

from ..Exchange.NrrdWriter import plainErrors
from ..Process import Crashes
from . import AfterTraining
from .LineReader import LineReader
from .RunRequest import RunRequest

RUNNING, FINISHED, STOPPED, FAILED = "running", "finished", "stopped", "failed"


class TrainingRun:
    """A training under way or ended.

    Parameters
    ----------
    folder: of the run. ``folder/process`` holds what belongs to its process: events, errors, number, request.
    launcher: starts and finds processes.

    Attributes
    ----------
    stage, done, total, secondsLeft: progress of the present stage.
    steps, validations: ``[(step, loss, learning rate)]`` and ``[(step, scores)]``, new since the last :meth:`poll`.
    restarted: whether the curves begin anew with what :meth:`poll` just brought.
    endReason, endStep, bestStep: why and after which step the training ended ("early stopping", "steps", "time", empty
        where that is not known), and the step of its best model (0: of no validation).
    message, hint: why it failed; warnings: what it warned of.
    step: which step that follows the training runs or ended last, empty for the training itself.
    notes: what went wrong in these steps.
    """

    def __init__(self, folder, launcher):
        self.folder = str(folder)
        self._launcher = launcher
        self.reread()

    def reread(self):
        """Forget what was read: the next :meth:`poll` tells everything from the beginning."""
        self._events = LineReader(self._own("events.jsonl"))
        self._log = LineReader(os.path.join(self.folder, "log.jsonl"))
        self.stage, self.done, self.total, self.secondsLeft = "", 0, 0, None
        self.steps, self.validations, self.restarted = [], [], False
        self.message, self.hint, self.warnings, self.notes = "", "", [], []
        self._ending, self.step, self._followed = None, "", []
        self.endReason, self.endStep, self.bestStep = "", 0, 0

    def start(self, request):
        """Start a new training in the folder.

        Raises
        ------
        InputError: the folder holds a training, cannot be written, or the process cannot be started.
        """
        if self.running:
            raise InputError(
                "a training is already running in this folder", file=self.folder, hint="choose another folder"
            )
        if os.path.exists(os.path.join(self.folder, "checkpoints", "last.pt")):
            raise InputError("already holds a training", file=self.folder, hint="resume it, or choose another folder")
        self._write("request.json", vars(request))
        self._launch(request.arguments(self.folder))

    def resume(self):
        """Go on from the last checkpoint.

        Raises
        ------
        InputError: the folder holds no training of this module, or the process cannot be started.
        """
        if self.running:
            return
        self._launch(self.request().resumeArguments(self.folder))

    def request(self):
        """Return what is trained here.

        Raises
        ------
        InputError: the folder is none of this module's.
        """
        try:
            with open(self._own("request.json"), encoding="utf-8") as stream:
                return RunRequest(**json.load(stream))
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                "is not the folder of a training started in Slicer", file=self.folder, hint="choose its folder"
            ) from error

    @property
    def running(self):
        """Whether the process runs."""
        pid, start = self._identity()
        return pid is not None and self._launcher.alive(pid, start)

    @property
    def stopping(self):
        """Whether it was asked to stop."""
        return os.path.exists(self._own("stop"))

    def requestStop(self):
        """Ask the process to write a checkpoint and end; it does within about two seconds."""
        with plainErrors(self.folder), open(self._own("stop"), "w", encoding="utf-8"):
            pass

    def kill(self):
        """End the process at once; the last checkpoint stays."""
        pid, start = self._identity()
        if pid is not None:
            self._launcher.kill(pid, start)

    def poll(self):
        """Read what is new and return the state: RUNNING, FINISHED, STOPPED or FAILED."""
        alive = self.running  # asked before reading, so that the last words of a process that just ended are read
        restarts = self._log.restarts
        entries = self._log.read()
        self.restarted = self._log.restarts != restarts
        self.steps = [(e["step"], e["loss"], e["learning_rate"]) for e in entries if e["event"] == "step"]
        self.validations = [(e["step"], _scores(e)) for e in entries if e["event"] == "validation"]
        for entry in entries:
            if entry["event"] in ("step", "end"):  # a step after the end: the training was resumed with more to do
                self.endReason, self.bestStep = entry.get("reason", ""), entry.get("best_step", 0)
                self.endStep = entry["step"]
        for event in self._events.read():
            self._take(event)
        if alive or self.behind:
            return RUNNING
        return self._ended()

    @property
    def behind(self):
        """Whether there is more to read right now than one look took in."""
        return self._events.behind or self._log.behind

    @property
    def model(self):
        """The folder of the model so far; empty if there is none."""
        folder = os.path.join(self.folder, "model")
        files = (os.path.join("configs", "metadata.json"), "ensemble.json")
        return folder if any(os.path.isfile(os.path.join(folder, file)) for file in files) else ""

    @property
    def picture(self):
        """The picture of the last validation; empty if there is none."""
        path = os.path.join(self.folder, "validation.png")
        return path if os.path.isfile(path) else ""

    @property
    def timed(self):
        """Whether a time budget may end the training before its steps are done."""
        try:
            return self.request().minutes is not None
        except InputError:
            return False

    @property
    def canResume(self):
        """Whether there is something to go on with."""
        trained = self.step or self._ending == "done"
        return not self.running and not trained and os.path.isfile(self._own("request.json"))

    def _take(self, event):
        kind = event["event"]
        if kind == "started":
            self._ending, self.message, self.hint, self.warnings = None, "", "", []
            self.stage, self.step = "", event.get("step", "")
            self._followed = [*self._followed, self.step] if self.step else []
        elif kind == "stage":
            self.stage, self.done, self.total, self.secondsLeft = event["stage"], 0, event["total"] or 0, None
        elif kind == "progress":
            self.stage, self.done, self.total = event["stage"], event["done"], event["total"]
            self.secondsLeft = event["seconds_left"]
        elif kind == "warning":
            self.warnings.append(event["text"])
        elif kind == "error":
            self._ending = event["kind"]
            where = (event.get("file"), event.get("field"), event["message"])
            self.message, self.hint = ": ".join(part for part in where if part), event.get("hint") or ""
            if self.step and event["kind"] != "cancelled":
                self.notes.append(f"{self.message}; {self.hint}" if self.hint else self.message)
        elif kind == "done":
            self._ending = "done"

    def _ended(self):
        if self.step or self._ending == "done":
            return self._followUp()
        if self._ending == "cancelled" or (self._ending is None and self.stopping):
            return STOPPED
        if self._ending is None:
            self.message = self._lastError() or "The training was killed, most often because memory ran out."
            self.hint = "Resume goes on from the last checkpoint."
        return FAILED

    def _followUp(self):
        """Begin with the next step that follows the training; return RUNNING, or FINISHED where there is none left.

        A step that fails keeps nobody from the model, nor the next step from being done.
        """
        self.message, self.hint = "", ""
        if self.step and self._ending is None and not self.stopping:
            self._ending = "killed"
            self.notes.append(self._lastError() or f"'{self.step}' was killed")
        waiting = [step for step in self._wanted() if step not in self._followed]
        if self.stopping or not waiting:
            return FINISHED
        try:
            self._launch(AfterTraining.arguments(waiting[0], self.request(), self.folder), waiting[0])
        except InputError as error:
            self.notes.append(str(error))
            return FINISHED
        return RUNNING

    def _wanted(self):
        try:
            return self.request().after
        except InputError:
            return []

    def _lastError(self):
        return Crashes.lastError(self._own("errors.txt"), self._own())

    def _launch(self, arguments, step=""):
        with plainErrors(self.folder):
            os.makedirs(self._own(), exist_ok=True)
            if self.stopping:
                os.remove(self._own("stop"))
            with open(self._own("events.jsonl"), "a", encoding="utf-8") as stream:
                stream.write(json.dumps({"event": "started", **({"step": step} if step else {})}) + "\n")
        self._ending = None
        arguments = [*arguments, "--events", "json", "--cancel-file", self._own("stop")]
        pid, start = self._launcher.start(arguments, self._own("events.jsonl"), self._own("errors.txt"))
        self._write("process.json", {"pid": pid, "start": start})

    def _identity(self):
        try:
            with open(self._own("process.json"), encoding="utf-8") as stream:
                content = json.load(stream)
            return content["pid"], content["start"]
        except (OSError, ValueError, KeyError):
            return None, None

    def _write(self, name, content):
        with plainErrors(self.folder):
            os.makedirs(self._own(), exist_ok=True)
            with write_beside(self._own(name)) as temporary:
                temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False), encoding="utf-8")

    def _own(self, *names):
        return os.path.join(self.folder, "process", *names)


def _scores(entry):
    return {name: value for name, value in entry.items() if "/" in name and value is not None}
