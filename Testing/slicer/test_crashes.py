"""Crashes of native code in processes of the engine, told to people: without a window, and of a training."""

import os
import sys

import pytest
from SoftSegSlicerLib.Process import Crashes
from SoftSegSlicerLib.Process.HeadlessRunner import HeadlessRunner
from SoftSegSlicerLib.Training.Launcher import Launcher
from SoftSegSlicerLib.Training.TrainingRun import FAILED, RunRequest, TrainingRun

CRASH = """
import ctypes, os
from softseg import native_output
native_output.keep_apart()
native_output.show_crashes()
os.write(2, b"libinference: bad pointer\\n")
def forward(): ctypes.string_at(0)
forward()
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals")


def test_a_crash_is_told_with_the_function_and_the_last_native_lines():
    runner = HeadlessRunner(sys.executable, ["-c", CRASH])
    runner.start([], print, lambda _outcome: None)
    outcome = runner.wait()
    assert outcome.state == "failed"
    for part in ("crashed in native code (Segmentation fault)", "string_at", "libinference: bad pointer"):
        assert part in outcome.message


def test_a_training_that_crashed_says_so(tmp_path):
    launcher = Launcher([sys.executable, "-c", CRASH])
    run = TrainingRun(tmp_path / "run", launcher)
    run.start(RunRequest(str(tmp_path / "DATA.json"), "ce-dice"))
    launcher._children[run._identity()[0]].wait()
    assert run.poll() == FAILED
    for part in ("crashed in native code (Segmentation fault)", "libinference: bad pointer"):
        assert part in run.message


@pytest.mark.parametrize(
    ("code", "details", "said"),
    [
        (-11, "", "(SIGSEGV). No error output."),
        (6, "malloc(): corrupted top size", "(SIGABRT). Last output: malloc(): corrupted top size"),
        (0, "a\nb\nc\nd\nFatal Python error: Aborted\n\nCurrent thread 0x1:\n", "(Aborted). Last output: b | c | d"),
    ],
)
def test_what_is_said_of_a_crash(code, details, said):
    assert Crashes.crashed(code, details)
    assert Crashes.summary(code, details).endswith(said)


def test_other_ends_are_no_crashes():
    assert not Crashes.crashed(0, "all is well")
    assert not Crashes.crashed(-9, "")
