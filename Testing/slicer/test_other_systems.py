"""Processes on Windows and macOS, with the platform and what only it has put in place of this one's."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from SoftSegSlicerLib.Process import ProcessTree as Trees
from SoftSegSlicerLib.Training import Launcher, ProcessIdentity

WINDOWS_TABLE = "10 1 638000000\n11 10 638000001\n12 11 638000002\n13 1 638000003\nno row\n"
MAC_TABLE = """  10     1 S    Mon Jan 12 10:00:00 2026
  11    10 R+   Mon Jan 12 10:00:01 2026
  12    10 Z    Mon Jan 12 10:00:02 2026
  13     1 S    Mon Jan 12 10:00:03 2026
"""


@pytest.fixture
def commands(monkeypatch):
    """What was run, by programs that answer with the tables above; psutil is not installed."""
    ran = []

    def run(*command):
        ran.append(command)
        return {"powershell": WINDOWS_TABLE, "ps": MAC_TABLE}.get(command[0], "")

    monkeypatch.setattr(Trees, "_run", run)
    monkeypatch.setitem(sys.modules, "psutil", None)
    return ran


def test_on_windows_a_tree_is_found_by_powershell_and_ended_by_taskkill(commands, monkeypatch):
    monkeypatch.setattr(Trees, "sys", SimpleNamespace(platform="win32"))
    tree = Trees.ProcessTree(10)
    assert sorted(tree.alive()) == [10, 11, 12]
    tree.kill()
    ended = [command for command in commands if command[0] == "taskkill"]
    assert sorted(ended) == [("taskkill", "/PID", str(pid), "/T", "/F") for pid in (10, 11, 12)]


def test_on_a_mac_a_tree_is_found_by_ps_without_zombies(commands, monkeypatch):
    ended = []
    monkeypatch.setattr(Trees, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(Trees, "Path", lambda _path: SimpleNamespace(exists=lambda: False))
    monkeypatch.setattr(Trees.os, "kill", lambda pid, signal: ended.append((pid, signal)))
    tree = Trees.ProcessTree(10)
    assert sorted(tree.alive()) == [10, 11]
    tree.kill()
    assert sorted(ended) == [(pid, Trees.signal.SIGKILL) for pid in (10, 11)]
    assert {command[0] for command in commands} == {"ps"}


class Kernel:
    """kernel32: process 7 runs since 42, process 8 has ended with code 1, nobody may look at process 9."""

    def __init__(self):
        self.open = set()
        self.OpenProcess = self._openProcess

    @staticmethod
    def _openProcess(_access, _inherit, pid):
        return None if pid == 9 else pid

    def GetExitCodeProcess(self, handle, code):
        self.open.add(handle.value)
        code._obj.value = 259 if handle.value == 7 else 1
        return 1

    @staticmethod
    def GetProcessTimes(_handle, created, *_others):
        created._obj.value = 42
        return 1

    def CloseHandle(self, handle):
        self.open.discard(handle.value)


def test_on_windows_a_process_is_known_by_when_it_was_created(monkeypatch):
    kernel = Kernel()
    # a function of a library takes a type of its result; a bound method takes no attribute
    kernel.OpenProcess = type("Function", (), {"__call__": lambda _self, *arguments: Kernel._openProcess(*arguments)})()
    monkeypatch.setattr(ProcessIdentity, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(ProcessIdentity.ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    assert ProcessIdentity.startOf(7) == "42"
    assert ProcessIdentity.startOf(8) is None
    assert ProcessIdentity.startOf(9) is None
    assert kernel.open == set(), "every handle is closed"


@pytest.mark.parametrize(
    ("answer", "start"),
    [("S    Mon Jan 12 10:00:00 2026\n", "Mon Jan 12 10:00:00 2026"), ("Z    Mon Jan 12\n", None), ("", None)],
)
def test_on_a_mac_a_process_is_known_by_ps(monkeypatch, answer, start):
    asked = []

    def run(command, **_options):
        asked.append(command)
        return SimpleNamespace(stdout=answer)

    monkeypatch.setattr(ProcessIdentity, "sys", SimpleNamespace(platform="darwin"))
    monkeypatch.setattr(ProcessIdentity, "subprocess", SimpleNamespace(run=run))
    assert ProcessIdentity.startOf(11) == start
    assert asked == [["/bin/ps", "-o", "stat=,lstart=", "-p", "11"]]


def test_a_training_outlives_slicer_on_every_system(monkeypatch):
    monkeypatch.setattr(Launcher, "sys", SimpleNamespace(platform="win32"))
    flags = {"CREATE_NEW_PROCESS_GROUP": 0x200, "CREATE_NO_WINDOW": 0x8000000}
    for name, value in flags.items():
        monkeypatch.setattr(subprocess, name, value, raising=False)
    assert Launcher._detached() == {"creationflags": 0x8000200}
    monkeypatch.setattr(Launcher, "sys", SimpleNamespace(platform="darwin"))
    assert Launcher._detached() == {"start_new_session": True}
