"""A process with all that it started: who they are, and ending them.

psutil is used where it is installed; otherwise /proc (Linux), ps (macOS) or taskkill (Windows).
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path


class ProcessTree:
    """The processes below one process, as they are when this is made or looked at again.

    A number that the system has given to another process since is recognised by its time of start and left alone.

    Parameters
    ----------
    pid: number of the process at the top.
    """

    def __init__(self, pid):
        self._top = pid
        self._known = {}
        self.look()

    def look(self):
        """Remember who is there now, beside those seen before."""
        if self._top > 0:
            self._known.update(_processes(self._top))

    def alive(self):
        """Return the numbers of those that are still there."""
        started = _startTimes()
        return [pid for pid, start in self._known.items() if started.get(pid) == start]

    def kill(self):
        """End all of them at once, children that came meanwhile included."""
        self.look()
        for pid in self.alive():
            if sys.platform == "win32":
                _run("taskkill", "/PID", str(pid), "/T", "/F")
            else:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)


def _processes(top):
    """Return {pid: start} of ``top`` and all below it."""
    table = _table()
    found, waiting = {}, [top]
    while waiting:
        pid = waiting.pop()
        if pid in table and pid not in found:
            found[pid] = table[pid][1]
            waiting += [child for child, (parent, _) in table.items() if parent == pid]
    return found


def _startTimes():
    return {pid: start for pid, (_, start) in _table().items()}


def _table():
    """Return {pid: (parent, start)} of everything that runs; zombies are left out."""
    try:
        import psutil
    except ImportError:
        if sys.platform == "win32":
            return _tableOfWindows()
        return _tableOfProc() if Path("/proc/self/stat").exists() else _tableOfPs()
    table = {}
    for process in psutil.process_iter(["ppid", "create_time", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            table[process.pid] = (process.info["ppid"], process.info["create_time"])
    return table


def _tableOfProc():
    table = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                # the name in brackets may hold anything; after it: state, parent, ... start time is the 20th
                fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z":
                    table[int(folder.name)] = (int(fields[1]), fields[19])
    return table


def _tableOfPs():
    table = {}
    for line in _run("ps", "-axo", "pid=,ppid=,stat=,lstart=").splitlines():
        pid, parent, state, start = line.split(None, 3)
        if not state.startswith("Z"):
            table[int(pid)] = (int(parent), start)
    return table


def _tableOfWindows():
    table = {}
    fields = "$($_.ProcessId) $($_.ParentProcessId) $($_.CreationDate.Ticks)"
    query = f'Get-CimInstance Win32_Process | ForEach-Object {{ "{fields}" }}'
    for line in _run("powershell", "-NoProfile", "-Command", query).splitlines():
        fields = line.split()
        if len(fields) == 3:
            table[int(fields[0])] = (int(fields[1]), fields[2])
    return table


def _run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
