"""The shipped brain-134 on a whole head beside processes that keep all cores busy, against the same on free cores.

Both without PyTorch (ONNX Runtime) and with it, from a command's start to its end, in turning order. Cores that are
shared evenly make it twice as long; threads that spin while they wait made it many times as long.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench_head import MODEL, PRECISION, scan_file
from measure import Line

from softseg.system import cores

SUITE = "busy"
LIBRARIES = {"onnx": "ONNX Runtime", "torch": "PyTorch"}
MOST = 2.5
BUSY = """
import os
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(1000000):
        pass
"""
"""Keeps one core busy until the process that started it is gone."""


def run(quick: bool) -> list[Line]:
    """Measure; ``quick`` takes 16 slices once."""
    sides = [(library, busy) for library in LIBRARIES for busy in (False, True)]
    taken: dict[tuple[str, bool], list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        scan, named = scan_file(Path(folder), quick)
        for turn in range(1 if quick else 3):
            for library, busy in sides[turn % len(sides) :] + sides[: turn % len(sides)]:
                with busy_cores(cores() if busy else 0):
                    out = Path(folder) / f"{library}-{busy}-{turn}"
                    taken[library, busy].append(_seconds(library, scan, out))
    note = f"{named}, {PRECISION}, beside {cores()} busy processes on {cores()} cores"
    return [
        Line(
            SUITE,
            f"time beside busy processes, {title}",
            median(taken[library, True]),
            median(taken[library, False]),
            "s",
            "free cores",
            MOST,
            note,
        )
        for library, title in LIBRARIES.items()
    ]


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Keep as many cores busy while the block runs."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            process = subprocess.Popen([sys.executable, "-c", BUSY])
            stack.callback(process.wait)
            stack.callback(process.kill)
        yield


def _seconds(library: str, scan: Path, out: Path) -> float:
    """Return the seconds that a prediction takes from its start to its end."""
    command = ["predict", MODEL, str(scan), "--out", str(out), "--backend", library, "--precision", PRECISION]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "softseg", *command, "--device", "cpu"], capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{library} ended with {done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    return seconds
