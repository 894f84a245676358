"""How the benchmarks measure: interleaved medians of time, peak memory in a process of its own.

Run as a script it is that process: ``python measure.py FILE FUNCTION ARGUMENTS`` prints the bytes as JSON.
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any, NamedTuple

import psutil

_ENGINE = Path(__file__).resolve().parents[2] / "core"
_LARGE = "65536"


@dataclass(frozen=True)
class Line:
    """One line of the table: this product against a named peer, both measured in the same run.

    Attributes
    ----------
    suite, name: where the line belongs and what was measured.
    ours, peer: both in ``unit``; smaller is better.
    unit: "s", "ms", "MB", or what the numbers count.
    peer_name: what people would use instead; "limit" where ``peer`` is a fixed bound.
    target: the ratio that is to be reached, None where the line only informs.
    note: sizes, or the reason for a missed target.
    """

    suite: str
    name: str
    ours: float
    peer: float
    unit: str
    peer_name: str
    target: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float:
        """Ours divided by the peer's; infinite where the peer's is 0 and ours is not."""
        if self.peer == 0:
            return 1.0 if self.ours == 0 else float("inf")
        return self.ours / self.peer

    @property
    def met(self) -> bool | None:
        """Whether the ratio is at most the target; None without a target."""
        return None if self.target is None else self.ratio <= self.target


@dataclass(frozen=True)
class Curve:
    """How cost grows with one size, for a plot on logarithmic axes.

    Attributes
    ----------
    suite, name: where it belongs; together the name of the picture.
    title: above the picture.
    x_label, y_label: with units.
    series: points (x, y) by the name of who was measured.
    linear: name of the series beside which a line of exactly linear growth is drawn; empty: none.
    """

    suite: str
    name: str
    title: str
    x_label: str
    y_label: str
    series: Mapping[str, list[tuple[float, float]]]
    linear: str = ""


class Medians(NamedTuple):
    """Median seconds of both sides of an interleaved run."""

    ours: float
    peer: float


def interleaved(ours: Callable[[], object], peer: Callable[[], object], rounds: int = 7, warmups: int = 1) -> Medians:
    """Return the median seconds of both; see :func:`interleaved_all`."""
    medians = interleaved_all({"ours": ours, "peer": peer}, rounds, warmups)
    return Medians(medians["ours"], medians["peer"])


def interleaved_all(calls: Mapping[str, Callable[[], object]], rounds: int = 7, warmups: int = 1) -> dict[str, float]:
    """Return the median seconds of each call, all of them once per round, in an order that turns from round to round.

    A machine that slows down or is busy for a while thus slows all sides alike. What a call returns is freed outside
    the measured time; the garbage collector waits until the end of a call.
    """
    for _ in range(warmups):
        for call in calls.values():
            call()
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(rounds):
        start = turn % len(names)
        for name in names[start:] + names[:start]:
            seconds[name].append(timed(calls[name])[0])
    return {name: median(values) for name, values in seconds.items()}


def timed(call: Callable[[], object]) -> tuple[float, object]:
    """Return the seconds of one call and what it returned."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        result = call()
        return time.perf_counter() - start, result
    finally:
        if was_enabled:
            gc.enable()


def peak_memory(prepare: Callable[..., Callable[[], object]], *arguments: Any) -> int:
    """Return by how many bytes the resident memory rises at most during a call, in a fresh process.

    Parameters
    ----------
    prepare: a function at the top of a file; given ``arguments`` it makes the inputs, runs what is loaded or compiled
        at the first use on something small, and returns the call to be measured. The memory in use after it is the
        baseline.
    arguments: values that JSON can hold.

    Raises
    ------
    RuntimeError: the process failed; the message ends with its last words.
    """
    file = inspect.getsourcefile(prepare)
    if file is None or prepare.__qualname__ != prepare.__name__:
        raise ValueError(f"{prepare!r} is not a function at the top of a file")
    # large blocks are mapped one by one, so that freed memory goes back at once and is not counted into the baseline
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": _LARGE, "MALLOC_TRIM_THRESHOLD_": _LARGE}
    environment["PYTHONPATH"] = os.pathsep.join([str(_ENGINE), str(Path(__file__).parent)])
    command = [sys.executable, __file__, file, prepare.__name__, json.dumps(arguments)]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if answer.returncode:
        last = answer.stderr.strip().splitlines()[-1:]
        raise RuntimeError(f"{prepare.__name__}{arguments} ended with {answer.returncode}: {' '.join(last)}")
    return int(json.loads(answer.stdout.strip().splitlines()[-1]))


def memory_rise(call: Callable[[], object]) -> int:
    """Return by how many bytes the resident memory of this process rises at most during ``call``."""
    gc.collect()
    process = psutil.Process()
    before = process.memory_info().rss
    if _forget_peak():
        call()
        return max(0, _peak() - before)
    return max(0, _sampled_peak(call, process) - before)


def _forget_peak() -> bool:
    """Set the kernel's record of the largest resident memory back to the present one; False where it cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return _peak() <= psutil.Process().memory_info().rss * 1.05


def _peak() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return sys.maxsize


def _sampled_peak(call: Callable[[], object], process: psutil.Process) -> int:
    """Return the largest resident memory that a thread saw, looking every millisecond."""
    done = threading.Event()
    seen = [process.memory_info().rss]

    def watch() -> None:
        while not done.wait(0.001):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        result = call()
        seen.append(process.memory_info().rss)
        del result
    finally:
        done.set()
        watcher.join()
    return max(seen)


def load_file(file: Path) -> ModuleType:
    """Import a Python file under its own name."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _measure_here(file: str, function: str, arguments: str) -> None:
    prepare = getattr(load_file(Path(file)), function)
    print(json.dumps(memory_rise(prepare(*json.loads(arguments)))))


if __name__ == "__main__":
    _measure_here(*sys.argv[1:])
