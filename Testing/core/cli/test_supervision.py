"""The process above the one that works: it ends what holds Python's lock, with what was started and half-written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork and POSIX signals")

CORE = Path(__file__).resolve().parents[3] / "core"
SCRIPT = """
import os, pathlib, signal, subprocess, sys
from softseg import supervision
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may run under nohup
from softseg.events import CancelToken
from softseg.files import finish_abandoned, scratch_beside, write_beside

def hold_the_lock():
    sum(range(10**15))  # one call of C code for hours, which gives Python's lock to nobody

def finish(folders):
    for folder in folders:
        finish_abandoned(folder)

def work():
{body}

{before}
sys.exit(supervision.supervised(work, sys.argv[1:], finish))
"""
COUNTER = """
from softseg.supervision import supervisor
supervisor.kernel_kills = iter({kills}).__next__
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Start]:
    """Starts a supervised script in ``tmp_path`` and returns it once it has said that it is there."""
    started: list[subprocess.Popen[str]] = []

    def call(body: str, *arguments: str, before: str = "") -> subprocess.Popen[str]:
        text = SCRIPT.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()), before=before)
        process = subprocess.Popen(
            [sys.executable, "-c", text, *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(CORE)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield call
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


HOLDS_THE_LOCK = """
CancelToken().install()
with write_beside("result.txt") as temporary, scratch_beside("other.txt") as scratch:
    temporary.write_text("half")
    (scratch / "voxels.npy").write_text("a scan")
    print("ready", flush=True)
    hold_the_lock()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_work_that_holds_the_lock_is_ended_and_cleared(supervise: Start, tmp_path: Path, number: int) -> None:
    (tmp_path / "result.txt").write_text("older")
    process = supervise(HOLDS_THE_LOCK)
    assert len(list(tmp_path.glob(".unfinished-*"))) == 2
    process.send_signal(number)
    _out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "softseg: cancelled on request\n")
    assert [path.name for path in tmp_path.iterdir()] == ["result.txt"]
    assert (tmp_path / "result.txt").read_text() == "older"


@pytest.mark.skipif(sys.platform != "linux", reason="paths of 4,000 bytes")
def test_a_folder_of_the_longest_path_is_cleared(supervise: Start, tmp_path: Path) -> None:
    """What a message cannot hold would not be cleared; half of a path would be another folder."""
    body = """
deep = os.getcwd()
while len(deep) < 4000:  # with the working folder's own name and what is written there: all that a path can be
    deep += "/" + "d" * min(200, max(1, 3999 - len(deep)))
    os.mkdir(deep)
CancelToken().install()
with write_beside(deep + "/r") as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    hold_the_lock()
"""
    process = supervise(body)
    deepest = max((Path(folder) for folder, _names, _files in os.walk(tmp_path) if "/.unf" not in folder), key=_length)
    assert len(str(deepest)) >= 4000
    assert list(deepest.glob(".unfinished-*"))
    process.send_signal(signal.SIGTERM)
    _out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "softseg: cancelled on request\n")
    assert not list(deepest.iterdir())


def _length(path: Path) -> int:
    return len(str(path))


def test_a_cancel_file_is_seen_while_the_lock_is_held(supervise: Start, tmp_path: Path) -> None:
    process = supervise(HOLDS_THE_LOCK, "train", f"--cancel-file={tmp_path / 'stop'}")
    (tmp_path / "stop").touch()
    _out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "softseg: cancelled on request\n")
    assert [path.name for path in tmp_path.iterdir()] == ["stop"]


def test_before_the_work_is_ready_it_is_ended_at_once(supervise: Start) -> None:
    process = supervise('print("ready", flush=True)\nhold_the_lock()')
    process.send_signal(signal.SIGTERM)
    _out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "softseg: cancelled on request\n")


def test_work_that_stops_by_itself_speaks_for_itself(supervise: Start) -> None:
    process = supervise(
        """
token = CancelToken()
token.install()
print("ready", flush=True)
while not token.requested:
    pass
sys.stderr.write("stopped\\n")
supervision.said()
return 130
"""
    )
    process.send_signal(signal.SIGTERM)
    _out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped\n")


def test_children_end_with_it(supervise: Start) -> None:
    process = supervise(
        """
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
supervision.child(child.pid)
CancelToken().install()
print("ready", flush=True)
hold_the_lock()
"""
    )
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) == 2
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    _gone, alive = psutil.wait_procs(family, timeout=60)
    assert not alive


def test_killing_the_supervisor_ends_the_work(supervise: Start) -> None:
    process = supervise('print("ready", flush=True)\nimport time\ntime.sleep(600)')
    family = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.communicate(timeout=60)
    _gone, alive = psutil.wait_procs(family, timeout=60)
    assert len(family) == 1
    assert not alive


@pytest.mark.parametrize("code", [0, 1, 2, 3, 130])
def test_the_exit_code_is_that_of_the_work(supervise: Start, code: int) -> None:
    process = supervise(f'print("ready", flush=True)\nreturn {code}')
    process.communicate(timeout=60)
    assert process.returncode == code


def test_a_crash_stays_a_crash(supervise: Start, tmp_path: Path) -> None:
    process = supervise(HOLDS_THE_LOCK.replace("hold_the_lock()", "os.kill(os.getpid(), 11)"))
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGSEGV
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("kills", "code"), [((0, 1), 3), ((5, 5), -signal.SIGKILL)])
def test_work_that_the_kernel_killed_for_memory(supervise: Start, kills: tuple[int, int], code: int) -> None:
    """The counter of the kernel is played; the kill is real."""
    process = supervise('print("ready", flush=True)\nos.kill(os.getpid(), 9)', before=COUNTER.format(kills=kills))
    _out, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert errors.startswith("softseg: out of memory: the system ended the process") == (code == 3)
