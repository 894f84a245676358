"""Commands that are cancelled at any moment: exit code 130 in time, nothing that still runs, nothing left behind.

    python dev.py crash --cancel N [--seconds N] [--seed S] [--only NAME] [--keep FOLDER]

A trial copies a tiny valid world with an older result, starts the real command as a process of its own in a session
of its own, and asks it to stop by SIGTERM, SIGINT or the cancel file, at a moment drawn evenly from the time that the
command took when nobody disturbed it, every fourth time from the first 100 ms. Then the exit code must be 130 (0 where
it had finished), no process of the session may be left, nothing may lie in its folder for temporary files or beside the
results, and each result must be the old one, the new one, or absent.

Python itself needs some 20 ms before it runs the first line of the program. A signal that comes earlier ends it as the
system does (143), or with a traceback of Python's (SIGINT), and nothing has been touched then: such trials are counted
apart.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import crash
import world
from crash import COMMANDS, Command
from trials import end_group, preload

CORE = Path(__file__).resolve().parents[2] / "core"
WAYS = ("SIGTERM", "SIGINT", "file")
SECONDS = 2.0
"""In which a cancelled command has ended, on a machine that is not busy."""

_FIRST = 0.1
_LONGEST = 60.0
_MORE = (
    Command("predict-ensemble", "joint scan0.nii.gz", ("results/scan0",), "predict joint scan0.nii.gz --out results"),
    Command(
        "train-long",
        crash._DATASET,
        ("new/model",),
        crash._TRAIN.replace("steps=4", "steps=40").replace("every=2", "every=10"),
        steps=True,
    ),
)


@dataclass(frozen=True)
class Ending:
    """How a cancelled command ended.

    Attributes
    ----------
    code: exit code, negative for a signal.
    seconds: from the wish to cancel to the end.
    early: whether Python had not begun with the program yet.
    text: what it wrote to standard error.
    left: processes of its session that were still there.
    before: what its results were when it started, see :func:`crash._state`.
    """

    code: int
    seconds: float
    early: bool
    text: str
    left: tuple[str, ...]
    before: tuple[tuple[str, ...], ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Cancel commands until the number of trials is done; 1 when one was late or left something."""
    options = _parser().parse_args(arguments)
    known = (*COMMANDS, *_MORE)
    commands = [command for command in known if options.only in (None, command.name)]
    preload()
    with tempfile.TemporaryDirectory(prefix="softseg-cancel-") as folder:
        good = world.build(Path(folder) / "world")
        shutil.copytree(good / "model", good / "other")
        return _loop(options, commands, good, Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cancel", type=int, default=50, dest="runs", help="cancelled runs over all commands [50]")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="of all choices [0]")
    parser.add_argument("--only", choices=[command.name for command in (*COMMANDS, *_MORE)], help="one command")
    parser.add_argument("--keep", type=Path, default=Path("cancel-failures"), help="folder for what failures left")
    return parser


@dataclass
class _Known:
    seconds: float
    after: tuple[tuple[str, ...], ...]


def _loop(options: argparse.Namespace, commands: Sequence[Command], good: Path, folder: Path) -> int:
    known: dict[str, _Known] = {}
    began, took, done, faults = time.monotonic(), [], Counter[str](), 0
    early = late = 0
    for number in range(options.runs):
        if time.monotonic() - began > options.seconds:
            break
        command = commands[(number + options.seed) % len(commands)]
        if command.name not in known:
            known[command.name] = _learn(command, good, folder)
        rng = random.Random(f"{options.seed}-{number}")
        way = rng.choice(WAYS)
        at = rng.uniform(0, _FIRST if number % 4 == 0 else known[command.name].seconds)
        ending = cancel_run(command, way, at, good, folder)
        wrong = _wrong(command, known[command.name], ending, folder)
        done[command.name] += 1
        early += ending.early
        late += ending.code == 0
        if not ending.early and ending.code:
            took.append((ending.seconds, f"{command.name} by {way} at {at:.2f} s"))
        for fault in wrong:
            faults += 1
            print(f"trial {number}: {command.name} by {way} at {at:.2f} s: {fault}", flush=True)
        if wrong:
            shutil.rmtree(options.keep / f"{options.seed}-{number}", ignore_errors=True)
            shutil.copytree(folder / "run", options.keep / f"{options.seed}-{number}")
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    print(f"{sum(done.values())} cancelled runs, seed {options.seed}, {load}: {dict(done)}")
    print(f"{early} before Python had begun, {late} after the end")
    if took:
        times = sorted(took, reverse=True)
        print(f"seconds to the end: median {statistics.median(t for t, _ in times):.2f}, slowest:")
        for seconds, what in times[:5]:
            print(f"  {seconds:.2f} {what}")
    print(f"{faults} failures")
    return 1 if faults else 0


def _learn(command: Command, good: Path, folder: Path) -> _Known:
    run = folder / "run"
    crash._set_up(command, good, run)
    began = time.monotonic()
    process = _start(command, folder, ())
    _out, errors = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"{command.name} does not work undisturbed: {errors[-500:]}")
    return _Known(time.monotonic() - began, crash._state(command, run))


def cancel_run(command: Command, way: str, at: float, good: Path, folder: Path) -> Ending:
    """Start a command, ask it to stop ``at`` seconds later, and see how it ends."""
    run, wish = folder / "run", folder / "wish"
    crash._set_up(command, good, run)
    before = crash._state(command, run)
    wish.unlink(missing_ok=True)
    process = _start(command, folder, ("--cancel-file", str(wish)) if way == "file" else ())
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(at)
    early = way != "file" and process.poll() is None and not _hears(process.pid, getattr(signal, way))
    asked = time.monotonic()
    if way == "file":
        wish.touch()
    elif process.poll() is None:
        process.send_signal(getattr(signal, way))
    try:
        _out, errors = process.communicate(timeout=_LONGEST)
    except subprocess.TimeoutExpired:
        end_group(process.pid)
        _out, errors = process.communicate()
    seconds = time.monotonic() - asked
    left = _session(process.pid)
    end_group(process.pid)
    return Ending(process.returncode, seconds, early and process.returncode not in (0, 130), errors, left, before)


def _start(command: Command, folder: Path, more: Sequence[str]) -> subprocess.Popen[str]:
    place = folder / "temporary"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(CORE), "TMPDIR": str(place), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "softseg", *command.newer.split(), *(more if _takes_file(command) else ())],
        cwd=folder / "run",
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def _takes_file(command: Command) -> bool:
    return not command.newer.startswith("tree ")


def _hears(pid: int, number: int) -> bool:
    """Whether a process has its own handler for a signal by now."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return True
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt")), 0)
    # Python itself catches SIGINT from its start; the program catches SIGTERM
    return bool(caught >> (signal.SIGTERM - 1) & 1) if number == signal.SIGINT else bool(caught >> (number - 1) & 1)


def _session(leader: int) -> tuple[str, ...]:
    """Return the processes of a session that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                name, _, rest = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            except OSError:
                continue
            fields = rest.split()
            if fields[0] != "Z" and int(fields[3]) == leader:
                found.append(f"{name})")
    return tuple(found)


def _wrong(command: Command, known: _Known, ending: Ending, folder: Path) -> list[str]:
    if ending.early:
        expected = (-signal.SIGTERM, -signal.SIGINT, 1)
        return [] if ending.code in expected else [f"exit {ending.code} before the program began"]
    wrong = []
    if ending.code not in (130, 0):
        wrong.append(f"exit {ending.code}: {' '.join(ending.text.split())[-300:]}")
    if ending.code == 130 and ending.text.strip().splitlines()[-1:] != ["softseg: cancelled on request"]:
        wrong.append(f"other words: {ending.text[-300:]}")
    if ending.seconds > SECONDS * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1)):
        wrong.append(f"took {ending.seconds:.2f} s")
    if ending.left:
        wrong.append(f"still runs: {', '.join(ending.left)}")
    names = [str(p.relative_to(folder / "temporary")) for p in (folder / "temporary").rglob("*")]
    names += [str(p.relative_to(folder / "run")) for p in (folder / "run").rglob(".unfinished-*")]
    if names:
        wrong.append(f"left behind: {', '.join(names[:5])}")
    now = crash._state(command, folder / "run")
    for group, state, old, new in zip(command.results, now, ending.before, known.after, strict=True):
        if state[0] and state not in (old, new) and not command.steps:
            wrong.append(f"mixed or damaged: {group}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
