"""Who a process is: its number and when it began, so that it is found again and never mistaken for another.

Looking at one process takes well under a millisecond on Linux and Windows and some on macOS.
"""

import ctypes
import subprocess
import sys

_QUERY = 0x1000  # PROCESS_QUERY_LIMITED_INFORMATION
_STILL_ACTIVE = 259


def startOf(pid):
    """Return when a running process began, as text that no later process of that number has; None if it does not run.

    A process that has ended but was not waited for (a zombie) does not run.
    """
    if not pid or pid <= 0:
        return None
    if sys.platform == "win32":
        return _startOnWindows(pid)
    if sys.platform.startswith("linux"):
        return _startOnLinux(pid)
    return _startByPs(pid)


def _startOnLinux(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stream:
            fields = stream.read().rpartition(")")[2].split()  # the name in brackets may hold anything
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _startByPs(pid):
    command = ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split(None, 1)
    return None if len(answer) < 2 or answer[0].startswith("Z") else answer[1].strip()


def _startOnWindows(pid):
    kernel = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(_QUERY, False, pid))
    if not handle:
        return None
    try:
        code, times = ctypes.c_ulong(), [ctypes.c_ulonglong() for _ in range(4)]
        if not kernel.GetExitCodeProcess(handle, ctypes.byref(code)) or code.value != _STILL_ACTIVE:
            return None
        if not kernel.GetProcessTimes(handle, *(ctypes.byref(one) for one in times)):
            return None
        return str(times[0].value)
    finally:
        kernel.CloseHandle(handle)
