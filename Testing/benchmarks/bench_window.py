"""How long the module keeps the application's window waiting: opening, a process that talks, one that will not end.

The module is the real one, in the stand-in host, and so are the processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from measure import Line

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = "window"
LIMITS = {"open": 500.0, "gap": 200.0, "cancel": 3000.0}
"""Milliseconds."""
MODULE = str(REPOSITORY / "SoftSegSlicer" / "SoftSegSlicer.py")
FOLDERS = [str(REPOSITORY / name) for name in ("Testing/host", "SoftSegSlicer", "core")]
OPEN = f"""
import json, os, sys, time
sys.path[:0] = {FOLDERS!r}
import slicerhost
slicerhost.install()
import slicer
from slicerhost import scene
slicer.modules.softsegslicer = scene.Module("SoftSegSlicer", path={MODULE!r})
begin = time.perf_counter()
import SoftSegSlicer
widget = SoftSegSlicer.SoftSegSlicerWidget()
slicer.app.processEvents()
print(json.dumps(1e3 * (time.perf_counter() - begin)), flush=True)
os._exit(0)
"""
TALKS = "import json\nfor n in range(20000): print(json.dumps({'event': 'log', 'text': 'x' * 60}), flush=n % 50 == 0)"
STAYS = "import json, time\nprint(json.dumps({'event': 'log', 'text': 'here'}), flush=True)\ntime.sleep(600)"


def run(quick: bool) -> list[Line]:
    """Measure each of them; ``quick`` less often. Nothing where slicer-core or PySide6 is not installed."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = FOLDERS
    try:
        import slicerhost

        slicerhost.install()
    except ImportError:
        return []
    rounds = 1 if quick else 5
    return [
        _line("import and first show of the module", [_opening() for _ in range(rounds)], "open", "without PyTorch"),
        _line("longest gap of a 10 ms timer", [_gap() for _ in range(rounds)], "gap", "a process reports 20,000 times"),
        _line("cancel a process that ignores it", [_cancel() for _ in range(rounds)], "cancel", "until it is gone"),
    ]


def _opening() -> float:
    answer = subprocess.run([sys.executable, "-c", OPEN], capture_output=True, text=True, check=True)
    return float(json.loads(answer.stdout.splitlines()[-1]))


def _gap() -> float:
    import qt

    gaps: list[float] = []
    timer, clock = qt.QTimer(), qt.QElapsedTimer()
    timer.timeout.connect(lambda: gaps.append(clock.restart()))
    clock.start()
    timer.start(10)
    _until_ended(TALKS)
    timer.stop()
    return max(gaps)


def _cancel() -> float:
    begun: list[float] = []

    def cancel(runner: Any) -> None:
        begun.append(time.perf_counter())
        runner.cancel()

    _until_ended(STAYS, cancel)
    return 1e3 * (time.perf_counter() - begun[0])


def _until_ended(code: str, at_first_event: Callable[[Any], None] | None = None) -> None:
    """Run Python code as the module runs the engine, and handle the window's events until it has ended."""
    import qt
    import slicer
    from SoftSegSlicerLib.Process.ProcessRunner import ProcessRunner

    runner = ProcessRunner(sys.executable, ["-c", code])
    events: list[dict[str, Any]] = []
    outcomes: list[Any] = []
    runner.start([], events.append, outcomes.append)
    while not outcomes:
        slicer.app.processEvents(qt.QEventLoop.AllEvents | qt.QEventLoop.WaitForMoreEvents, 50)
        if events and at_first_event is not None:
            act, at_first_event = at_first_event, None
            act(runner)


def _line(name: str, times: list[float], limit: str, note: str) -> Line:
    return Line(SUITE, name, median(times), LIMITS[limit], "ms", "limit", 1.0, note)
