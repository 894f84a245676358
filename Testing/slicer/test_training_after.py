"""What follows a training: steps one after the other, whatever becomes of them; the processes are stand-ins."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "SoftSegSlicer") not in sys.path:
    sys.path.insert(0, str(ROOT / "SoftSegSlicer"))

from SoftSegSlicerLib.Training.AfterTraining import CALIBRATE, outlierStep  # noqa: E402
from SoftSegSlicerLib.Training.TrainingRun import FINISHED, RUNNING, STOPPED, RunRequest, TrainingRun  # noqa: E402

from softseg.requests import CalibrateRequest  # noqa: E402


class Launcher:
    """Starts nothing: the test says what the process would."""

    def __init__(self):
        self.started, self.files, self.pid = [], [], 0

    def start(self, arguments, outputFile, errorFile):
        Path(errorFile).write_text("")
        self.started.append(list(map(str, arguments)))
        self.files = [outputFile, errorFile]
        self.pid = len(self.started)
        return self.pid, "now"

    def alive(self, pid, start):  # noqa: ARG002 - the protocol
        return pid == self.pid

    def kill(self, pid, start):
        """Do nothing."""

    def end(self, event=None, words=""):
        """Let the process say its last event, or die with some words."""
        if event is not None:
            with Path(self.files[0]).open("a") as stream:
                stream.write(json.dumps(event) + "\n")
        Path(self.files[1]).write_text(words)
        self.pid = 0


DONE = {"event": "done"}


def failure(kind, message):
    return {"event": "error", "kind": kind, "message": message, "file": None, "field": None, "hint": "add some"}


@pytest.fixture
def launcher():
    return Launcher()


@pytest.fixture
def run(launcher, tmp_path):
    run = TrainingRun(tmp_path / "run", launcher)
    run.start(RunRequest("DATA.json", "sparse", device="cpu", after=[CALIBRATE, outlierStep("energy")]))
    assert run.poll() == RUNNING
    return run


def test_the_steps_follow_each_other_and_change_the_model_in_place(run, launcher):
    launcher.end(DONE)
    assert run.poll() == RUNNING
    assert run.poll() == RUNNING
    assert run.step == CALIBRATE
    launcher.end(DONE)
    assert run.poll() == RUNNING
    launcher.end(DONE)
    assert run.poll() == FINISHED
    assert not run.canResume
    model = str(Path(run.folder) / "model")
    train, calibrate, outliers = launcher.started
    assert train[:2] == ["train", "DATA.json"]
    asked = CalibrateRequest.from_argv(calibrate[: calibrate.index("--events")])
    plots = Path(run.folder) / "calibration"
    assert asked == CalibrateRequest(model, "DATA.json", split="val", out=plots, device="cpu")
    assert outliers[:6] == ["outliers", "fit", model, "DATA.json", "--score", "energy"]
    assert all("--cancel-file" in arguments and "--events" in arguments for arguments in launcher.started)
    assert (run.poll(), len(launcher.started)) == (FINISHED, 3)


def test_a_step_that_fails_is_noted_and_the_next_one_is_done(run, launcher):
    launcher.end(DONE)
    run.poll()
    launcher.end(failure("input", "no labelled voxel in the validation cases"))
    assert run.poll() == RUNNING
    launcher.end(None, "Killed")
    assert run.poll() == FINISHED
    assert run.notes == ["no labelled voxel in the validation cases; add some", "Killed"]
    assert run.message == ""


def test_stopping_leaves_out_what_has_not_begun(run, launcher):
    launcher.end(DONE)
    run.poll()
    run.requestStop()
    launcher.end(failure("cancelled", "cancelled on request"))
    assert run.poll() == FINISHED
    assert len(launcher.started) == 2
    assert run.notes == []


def test_a_training_that_was_stopped_is_followed_only_after_its_end(run, launcher):
    run.requestStop()
    launcher.end(failure("cancelled", "cancelled on request"))
    assert run.poll() == STOPPED
    assert run.canResume
    run.resume()
    launcher.end(DONE)
    assert run.poll() == RUNNING
    assert launcher.started[-1][0] == CALIBRATE


def test_what_is_still_to_do_is_picked_up_after_a_restart(run, launcher):
    launcher.end(DONE)  # while Slicer was closed
    again = TrainingRun(run.folder, launcher)
    assert again.poll() == RUNNING
    assert launcher.started[-1][0] == CALIBRATE
    launcher.end(failure("memory", "too little memory"))
    third = TrainingRun(run.folder, launcher)
    assert third.poll() == RUNNING
    assert launcher.started[-1][:2] == ["outliers", "fit"]
    launcher.end(DONE)
    assert third.poll() == FINISHED
    assert third.notes == ["too little memory; add some"]
