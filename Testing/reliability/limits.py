"""Commands without room: full disks, little memory, few files, few processes, folders that cannot be written or go.

    python dev.py limits [--trials N] [--seconds N] [--seed S] [--only NAME] [--kind NAME] [--keep FOLDER]

A trial copies a tiny valid world with an older result and starts a command that replaces it, under one limit. It must
end with 0 (there was room), 2 (one line with a path: disk, handles, permissions) or 3 (memory, threads), every result
must be the older or the new one, and the same command without the limit must make the new one and leave nothing else.
As root a small tmpfs is mounted for full disks, and commands run as another user where root is not held by a limit;
otherwise the size of files is limited.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world
from crash import _LIMITS, COMMANDS, Command, Known, _names, _set_up, _state, _watch, learn
from trials import Ending, Limits, preload, run_forked

OTHER_USER = 54_321
"""A user without files or processes: root is not held by permissions and numbers of processes."""
MIB = 1 << 20
_PR_SET_KEEPCAPS, _CAPABILITY_VERSION = 8, 0x20080522
_READ = 1 << 2  # CAP_DAC_READ_SEARCH


@dataclass(frozen=True)
class Kind:
    """A kind of limit.

    Attributes
    ----------
    codes: exit codes that are right, beside 0.
    says: one of these words is in the last line when the code is not 0.
    """

    codes: tuple[int, ...]
    says: tuple[str, ...] = ()


KINDS = {
    "disk": Kind((2,), ("full",)),
    "file-size": Kind((2,), ("full",)),
    "memory": Kind((3,)),
    "handles": Kind((2, 3), ("files", "open", "memory")),
    "threads": Kind((3,)),
    "read-only": Kind((2,), ("permission", "written", "write")),
    "removed": Kind((2,)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials until their number is done; 1 when one ended wrongly."""
    options = _parser().parse_args(arguments)
    commands = [command for command in COMMANDS if options.only in (None, command.name)]
    kinds = [name for name in KINDS if options.kind in (None, name)]
    preload()
    with tempfile.TemporaryDirectory(prefix="softseg-limits-") as temporary:
        base = Path(temporary)
        base.chmod(0o755)
        if "disk" in kinds and not _can_mount(base):
            kinds = [name for name in kinds if name != "disk"] or ["file-size"]
            print("no tmpfs can be mounted here: full disks are limits of the size of files")
        good = world.build(base / "world")
        shutil.copytree(good / "model", good / "other")
        (base / "small").mkdir()
        return _loop(options, commands, kinds, good, base)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py limits", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=100, help="over all commands and limits [100]")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial [0]")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="of all choices; trial N of a seed is always the same [0]")
    parser.add_argument("--only", choices=[command.name for command in COMMANDS], help="one command")
    parser.add_argument("--kind", choices=list(KINDS), help="one kind of limit")
    parser.add_argument("--keep", type=Path, default=Path("limits-failures"), help="folder for what failures left")
    return parser


def _loop(
    options: argparse.Namespace, commands: Sequence[Command], kinds: Sequence[str], good: Path, base: Path
) -> int:
    known: dict[str, Known] = {}
    began, faults, endings = time.monotonic(), Counter[str](), Counter[str]()
    for number in range(options.first, options.first + options.trials):
        if time.monotonic() - began > options.seconds:
            break
        command, kind = commands[number % len(commands)], kinds[(number // len(commands) + number) % len(kinds)]
        if command.name not in known:
            known[command.name] = learn(command, good, base / "small" / "run")
        rng = random.Random(f"limits-{options.seed}-{number}")
        said, ending, wrong = run_trial(command, kind, known[command.name], good, base, rng)
        if (number + 1 - options.first) % 25 == 0:
            print(f"{number + 1 - options.first} trials after {time.monotonic() - began:.0f} s", flush=True)
        endings[f"{kind}: exit {ending.code}"] += 1
        for fault in wrong:
            faults[f"{kind}: {fault.split(':')[0]}"] += 1
            print(f"trial {number}: {command.name}, {said}: {fault}", flush=True)
        if wrong:
            kept = options.keep / f"{options.seed}-{number}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / "text").write_text(f"{command.newer}\n{said}\n{ending.text}", encoding="utf-8")
    print(f"{sum(endings.values())} trials with seed {options.seed} in {time.monotonic() - began:.0f} s")
    print("; ".join(f"{ending}: {count}" for ending, count in sorted(endings.items())))
    for fault, count in faults.most_common():
        print(f"  {fault}: {count}")
    print(f"{sum(faults.values())} failures")
    return 1 if faults else 0


def run_trial(
    command: Command, kind: str, known: Known, good: Path, base: Path, rng: random.Random
) -> tuple[str, Ending, list[str]]:
    """Run a command under one limit; return what the limit was, how it ended, and what is wrong."""
    with _room(kind, base) as folder:
        _set_up(command, good, folder)
        limits, prepare, said = _limit(command, kind, known, folder, rng)
        ending = run_forked(command.newer.split(), folder, limits, prepare, base / "log")
        wrong = _wrong_ending(KINDS[kind], ending)
        if kind != "removed":
            wrong += _wrong_results(command, known, folder)
            if kind == "disk":
                _mount(folder.parent, 512 * MIB, "remount,")
            wrong += _wrong_afterwards(command, known, folder, base / "log")
    return f"{kind} {said}", ending, wrong


def _wrong_ending(kind: Kind, ending: Ending) -> list[str]:
    last = ending.text.strip().splitlines()[-1] if ending.text.strip() else ""
    wrong = []
    if ending.timed_out:
        wrong.append("hangs")
    elif ending.code not in (0, *kind.codes):
        wrong.append(f"exit {ending.code}: {' '.join(ending.text.split())[-400:]}")
    elif ending.code:
        if kind.says and not any(word in last for word in kind.says):
            wrong.append(f"does not say what is wrong: {last[-300:]}")
        if (
            ending.code == 2
            and kind is not KINDS["handles"]
            and re.match(r"softseg: (\S*/\S*|[\w.-]+): ", last) is None
        ):
            wrong.append(f"names no path: {last[-300:]}")
    if "Traceback (most recent call last)" in ending.text:
        wrong.append("traceback")
    return wrong


def _wrong_results(command: Command, known: Known, folder: Path) -> list[str]:
    """Return what is wrong with the results: each is the older or the new one; steps and studies may have begun."""
    wrong = []
    for group, now, old, new in zip(command.results, _state(command, folder), known.before, known.after, strict=True):
        begun = (command.steps and now[0]) or ("study" in command.name and not now[0])
        empty = [not any((folder / name).iterdir()) if (folder / name).is_dir() else False for name in group.split()]
        found = tuple("" if nothing else each for nothing, each in zip(empty, now, strict=True))
        if found not in (old, new) and not begun:
            wrong.append(f"neither the older nor the new result: {group}")
    return wrong


def _wrong_afterwards(command: Command, known: Known, folder: Path, log: Path) -> list[str]:
    """Start the command again without a limit, and return what is wrong with its results and beside them."""
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        place.chmod(0o755)
    ending = run_forked((command.again or command.newer).split(), folder, _LIMITS, log=log)
    if ending.code:
        return [f"does not start again: exit {ending.code}: {' '.join(ending.text.split())[-300:]}"]
    same = _state(command, folder) == known.after
    left = sorted(_names(folder) - known.others)
    return ([] if same else ["other result after the next start"]) + (
        [f"left behind: {', '.join(left[:5])}"] if left else []
    )


# --- the limits --------------------------------------------------------------------------------------------------


def _limit(
    command: Command, kind: str, known: Known, folder: Path, rng: random.Random
) -> tuple[Limits, Callable[[], None] | None, str]:
    """Return the limits of the child, what it does before the command, and what that is called."""
    if kind == "disk":
        written = sum(_bytes(folder / name) for group in command.results for name in group.split())
        free = int(rng.random() * (written + 64 * 1024))
        _fill(folder.parent, free)
        return _LIMITS, None, f"with {free} bytes free"
    if kind == "file-size":
        size = int(2 ** rng.uniform(13, 17))
        return _LIMITS, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)), f"{size} bytes a file"
    if kind == "memory":
        size = int(rng.uniform(0, 1) ** 2 * 400 * MIB)
        return replace(_LIMITS, memory=size), None, f"{size >> 20} MiB"
    if kind == "handles":
        count = rng.randrange(4, 40)
        return replace(_LIMITS, files=count), None, str(count)
    if kind == "threads":
        count = rng.randrange(1, 4)
        _open_to_all(folder)
        return _LIMITS, lambda: _few_processes(count), str(count)
    if kind == "read-only":
        _open_to_all(folder)
        for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            place.chmod(0o555)
        return _LIMITS, _be_other_user, ""
    if kind == "removed":
        at = rng.randrange(known.operations) + 1
        return _LIMITS, _remove_at(folder, at), f"at operation {at} of {known.operations}"
    return _LIMITS, None, ""


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else path.rglob("*")
    return sum(file.stat().st_size for file in files if file.is_file())


def _open_to_all(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)


def _be_other_user() -> None:
    """Give up what root may do, but for reading: Python's own files may lie in root's home."""
    if os.geteuid() == 0:
        import ctypes

        libc = ctypes.CDLL(None, use_errno=True)
        os.setgroups([])
        os.setgid(OTHER_USER)
        libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
        os.setuid(OTHER_USER)
        header, data = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)(_READ, _READ, 0, 0, 0, 0)
        if libc.capset(header, data):
            raise OSError(ctypes.get_errno(), "capset")


def _few_processes(count: int) -> None:
    _be_other_user()
    resource.setrlimit(resource.RLIMIT_NPROC, (count, count))


def _remove_at(folder: Path, at: int) -> Callable[[], None]:
    """Remove the whole folder at a file operation, once."""
    done = []

    def step() -> None:
        done.append(1)
        if len(done) == at:
            shutil.rmtree(folder, ignore_errors=True)

    return _watch(folder, step)


@contextmanager
def _room(kind: str, base: Path) -> Iterator[Path]:
    """Return the folder for a trial, on a file system of its own where the disk is to be full."""
    small = base / "small"  # results may tell where they were made
    if kind != "disk":
        yield small / "run"
        return
    _mount(small, 512 * MIB)
    try:
        yield small / "run"
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


def _fill(disk: Path, free: int) -> None:
    """Let a tmpfs be so small that no more than ``free`` bytes are left on it."""
    found = os.statvfs(disk)
    _mount(disk, (found.f_blocks - found.f_bfree) * found.f_frsize + free, "remount,")


def _mount(folder: Path, size: int, how: str = "") -> None:
    options = f"{how}size={size},mode=0777"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)


def _can_mount(base: Path) -> bool:
    folder = base / "mounted"
    folder.mkdir()
    try:
        _mount(folder, MIB)
        subprocess.run(["umount", str(folder)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
