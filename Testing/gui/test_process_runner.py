"""The runner with real processes: events, failures, cancelling a whole tree of processes."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import qt
import slicer
from SoftSegSlicerLib.Process import ProcessTree as trees
from SoftSegSlicerLib.Process.EventStream import EventStream
from SoftSegSlicerLib.Process.ProcessRunner import PATIENCE, ProcessRunner

PARENT = """
import json, pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"event": "log", "text": str(child.pid)}), flush=True)
file = pathlib.Path(sys.argv[sys.argv.index("--cancel-file") + 1])
while not (file.exists() and OBEDIENT):
    time.sleep(0.05)
sys.exit(130)
"""


class Watcher:
    """Keeps what a runner tells."""

    def __init__(self):
        self.events, self.outcomes = [], []

    def start(self, runner, *arguments):
        self.runner = runner  # kept: a runner that is forgotten ends its process
        runner.start(list(arguments), self.events.append, self.outcomes.append)
        return runner

    @property
    def ended(self):
        return bool(self.outcomes)


@pytest.fixture
def watcher():
    return Watcher()


def python(code):
    """A runner of some Python instead of the engine."""
    return ProcessRunner(sys.executable, ["-c", code])


def gone(pid):
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_events_come_one_by_one_and_the_end_once(watcher, waitUntil):
    code = "import json\nfor n in range(3): print(json.dumps({'event': 'progress', 'done': n}))\nprint('no event')"
    runner = watcher.start(python(code))
    assert runner.running
    waitUntil(lambda: watcher.ended)
    assert [event["done"] for event in watcher.events] == [0, 1, 2]
    assert [outcome.state for outcome in watcher.outcomes] == ["done"]
    assert not runner.running


def test_a_second_start_while_running_is_refused(watcher):
    runner = watcher.start(python("import time; time.sleep(60)"))
    with pytest.raises(RuntimeError, match="already running"):
        runner.start([], print, print)
    runner.kill()


def test_the_engines_error_event_is_the_message(watcher, waitUntil):
    error = {
        "event": "error",
        "kind": "input",
        "message": "no such file",
        "file": "a.nii",
        "field": None,
        "hint": "look",
    }
    watcher.start(python(f"import sys; print({json.dumps(json.dumps(error))}); sys.exit(2)"))
    waitUntil(lambda: watcher.ended)
    (outcome,) = watcher.outcomes
    assert (outcome.state, outcome.exitCode) == ("failed", 2)
    assert "a.nii: no such file" in outcome.message
    assert outcome.hint == "look"


def test_without_an_error_event_the_last_line_says_what_happened(watcher, waitUntil):
    watcher.start(python("raise SystemExit('the library is missing')"))
    waitUntil(lambda: watcher.ended)
    assert "ended with code 1: the library is missing" in watcher.outcomes[0].message


def test_a_program_that_is_not_there_fails_once_and_later(watcher, waitUntil):
    runner = watcher.start(ProcessRunner("/no/such/PythonSlicer"))
    assert not watcher.ended, "never from inside start"
    waitUntil(lambda: watcher.ended)
    slicer.app.processEvents()
    (outcome,) = watcher.outcomes
    assert outcome.state == "failed"
    assert "/no/such/PythonSlicer could not be started" in outcome.message
    assert not runner.running


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_a_killed_process_is_explained(watcher, waitUntil):
    watcher.start(python("import os, signal; os.kill(os.getpid(), signal.SIGKILL)"))
    waitUntil(lambda: watcher.ended)
    assert "was killed" in watcher.outcomes[0].message
    assert "memory" in watcher.outcomes[0].message


CRASH = """
import ctypes, os
from softseg import native_output
native_output.keep_apart()
native_output.show_crashes()
os.write(2, b"libinference: bad pointer in layer 7\\n")
def forward(): ctypes.string_at(0) if KIND else os.abort()
forward()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("kind", "said"), [(1, "Segmentation fault"), (0, "Aborted")])
def test_a_crash_of_native_code_is_told_with_its_last_lines(watcher, waitUntil, kind, said):
    watcher.start(python(CRASH.replace("KIND", str(kind))))
    waitUntil(lambda: watcher.ended)
    (outcome,) = watcher.outcomes
    assert outcome.state == "failed"
    for part in ("crashed in native code", said, "string_at" if kind else "forward", "bad pointer in layer 7"):
        assert part in outcome.message
    assert "Fatal Python error" in outcome.details
    assert "report" in outcome.hint


def test_a_process_without_a_word_is_said_to_have_none(watcher, waitUntil):
    watcher.start(python("import os; os._exit(7)"))
    waitUntil(lambda: watcher.ended)
    assert "ended with code 7: No error output." in watcher.outcomes[0].message


@pytest.mark.parametrize("obedient", [True, False])
def test_cancel_ends_the_whole_tree(watcher, waitUntil, obedient):
    runner = watcher.start(python(PARENT.replace("OBEDIENT", str(obedient))))
    waitUntil(lambda: watcher.events)
    child = int(watcher.events[0]["text"])
    assert not gone(child)
    runner.cancel()
    waitUntil(lambda: watcher.ended)
    assert watcher.outcomes[0].state == "cancelled"
    waitUntil(lambda: gone(child))
    assert PATIENCE < 3000  # milliseconds: what a disobedient process gets before it is killed


def test_kill_ends_the_tree_at_once_and_says_nothing(watcher, waitUntil):
    runner = watcher.start(python(PARENT.replace("OBEDIENT", "False")))
    waitUntil(lambda: watcher.events)
    child = int(watcher.events[0]["text"])
    runner.kill()
    waitUntil(lambda: gone(child))
    slicer.app.processEvents()
    assert not watcher.ended
    assert not runner.running


def test_cancelling_before_the_program_began_ends_it(watcher, waitUntil):
    runner = watcher.start(python(PARENT.replace("OBEDIENT", "True")))
    runner.cancel()
    waitUntil(lambda: watcher.ended)
    assert watcher.outcomes[0].state == "cancelled"


def test_the_window_is_never_blocked_while_a_process_talks(watcher, waitUntil):
    code = (
        "import json\nfor n in range(20000): print(json.dumps({'event': 'log', 'text': 'x' * 60}), flush=n % 50 == 0)"
    )
    turns, timer = [0], qt.QTimer()
    timer.timeout.connect(lambda: turns.append(len(watcher.events)))
    timer.start(0)
    watcher.start(python(code))
    waitUntil(lambda: watcher.ended)
    timer.stop()
    assert len(watcher.events) == 20000
    assert max(np.diff([*turns, 20000])) < 4000  # the window gets its turn after every few hundred


@pytest.mark.parametrize("psutil", [True, False])
def test_a_tree_is_found_with_and_without_psutil(watcher, waitUntil, monkeypatch, psutil):
    if not psutil:
        monkeypatch.setitem(sys.modules, "psutil", None)
    runner = watcher.start(python(PARENT.replace("OBEDIENT", "False")))
    waitUntil(lambda: watcher.events)
    child = int(watcher.events[0]["text"])
    tree = trees.ProcessTree(os.getpid())
    assert {os.getpid(), child} <= set(tree.alive())
    runner.kill()
    waitUntil(lambda: gone(child))
    assert child not in tree.alive()


def test_lines_may_come_in_pieces_and_be_no_events():
    stream = EventStream()
    assert stream.feed(b'{"event": "lo') == []
    assert stream.feed('g", "text": "größer"}\nnoise\n[1]\n{"other": 1}\n{"event"'.encode()) == [
        {"event": "log", "text": "größer"}
    ]
    assert stream.feed(b': "done"}') == []
    assert stream.close() == [{"event": "done"}]
