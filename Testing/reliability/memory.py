"""Commands with less memory than they need: exit code 0 or 3 with one line, at any limit.

    python Testing/reliability/memory.py [--trials N] [--seed S] [--only NAME]

A trial runs one command on the tiny world of the other tools in a process whose address space is limited
(``RLIMIT_AS``) to what it holds at its start and an amount drawn by seed, from 256 kB to 256 MB, evenly in its
logarithm.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import crash
import world
from trials import Limits, preload, run_forked

_LEAST, _MOST = 1 << 18, 1 << 28


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials; 1 when one ended otherwise than promised."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="one command of crash.py")
    options = parser.parse_args(arguments)
    commands = [each for each in crash.COMMANDS if options.only in (None, each.name) and each.name != "study-two-jobs"]
    preload()
    with tempfile.TemporaryDirectory(prefix="softseg-memory-") as folder:
        good = world.build(Path(folder) / "world")
        shutil.copytree(good / "model", good / "other")
        return _loop(options, commands, good, Path(folder) / "run")


def _loop(options: argparse.Namespace, commands: Sequence[crash.Command], good: Path, run: Path) -> int:
    codes, faults = Counter[int](), 0
    for number in range(options.trials):
        command = commands[number % len(commands)]
        rng = random.Random(f"{options.seed}-{number}")
        extra = round(_LEAST * (_MOST / _LEAST) ** rng.random())
        crash._set_up(command, good, run)
        ending = run_forked(command.newer.split(), run, Limits(seconds=120.0, memory=extra))
        codes[ending.code] += 1
        if ending.code not in (0, 3) or (ending.code == 3 and not _is_plain(ending.text)):
            faults += 1
            print(f"trial {number}: {command.name} with {extra >> 20} MB: exit {ending.code}: {ending.text[-700:]}")
    print(f"{options.trials} trials with seed {options.seed}: exit codes {dict(codes)}, {faults} failures")
    return 1 if faults else 0


def _is_plain(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.startswith("softseg: ")]
    return len(lines) == 1 and "Traceback" not in text


if __name__ == "__main__":
    sys.exit(main())
