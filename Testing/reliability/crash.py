"""Commands that are killed at any of their file operations: what stands under a result's name is whole, always.

    python dev.py crash [--runs N] [--seconds N] [--seed S] [--only NAME] [--keep FOLDER]
    python dev.py crash --cancel N ...     commands are asked to stop instead (cancel.py)

A run copies a tiny valid world with an older result, starts a command that replaces it, and kills the whole process
group with SIGKILL at one of its file operations, chosen by seed. Then every group of results that belong together must
be the old one, the new one or absent, never mixed or damaged; the same command must succeed when it is started again,
lead to the new results, and leave nothing else behind.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world
from fingerprints import fingerprint
from trials import Limits, preload, run_forked

_LIMITS = Limits(seconds=600.0, memory=None)
_OPERATIONS = (
    "open",
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.truncate",
    "shutil.rmtree",
)
_TRAIN = (
    "train DATA.json --recipe ce-dice --out new --device cpu --set steps=4 --set batch_size=1 --set validation.every=2"
    " --set plan.patch_size=[16,16,16] --set plan.network.options.filters=[4,8,16] --set plan.spacing=[1.5,1.5,1.5]"
)
_EVALUATE = "evaluate --prediction result.soft.npz --reference labels0.nii.gz --tree tree.json --out evaluation"
_DATASET = "DATA.json scan0.nii.gz labels0.nii.gz scan1.nii.gz labels1.nii.gz tree.json"
_JOBS = tuple(f"study/jobs/whole_{name}_seed-0_fold-{fold}" for name in ("plain", "tree") for fold in (0, 1))


@dataclass(frozen=True)
class Command:
    """A command that writes results; all fields but ``name`` and ``results`` are words separated by blanks.

    Attributes
    ----------
    name: for reports and ``--only``.
    needs: files and folders of the world.
    results: groups of files or folders that belong together, each group a text; readers look for the first.
    newer: the command that is killed.
    older: the command that makes an older result first, if there is one.
    again: what is started after the kill; as ``newer`` by default.
    steps: whether whole results of earlier steps (a network that still learns) may stand there after the kill.
    """

    name: str
    needs: str
    results: tuple[str, ...]
    newer: str
    older: str = ""
    again: str = ""
    steps: bool = False


COMMANDS = (
    Command(
        "collapse",
        "result.soft.npz",
        ("labels.nii.gz labels.ctbl",),
        "collapse result.soft.npz --cut leaves --out labels.nii.gz",
        older="collapse result.soft.npz --cut 1 --out labels.nii.gz",
    ),
    Command(
        "statistics",
        "result.soft.npz scan0.nii.gz",
        ("numbers.csv",),
        "statistics result.soft.npz --image t1=scan0.nii.gz --out numbers.csv",
        older="statistics result.soft.npz --cut 1 --out numbers.csv",
    ),
    Command(
        "correct",
        "result.soft.npz labels0.nii.gz",
        ("corrected.soft.npz",),
        "correct result.soft.npz --node core --voxels labels0.nii.gz --out corrected.soft.npz",
        older="correct result.soft.npz --node shell --voxels labels0.nii.gz --out corrected.soft.npz",
    ),
    Command(
        "predict",
        "model scan0.nii.gz",
        ("results/scan0",),
        "predict model scan0.nii.gz --out results --device cpu --cut 1",
        older="predict model scan0.nii.gz --out results --device cpu --nodes core",
    ),
    Command(
        "predict-two",
        "model scan0.nii.gz scan1.nii.gz",
        ("results/scan0", "results/scan1"),
        "predict model scan0.nii.gz scan1.nii.gz --out results --device cpu",
    ),
    Command("train", _DATASET, ("new/model",), _TRAIN, again=f"{_TRAIN} --resume", steps=True),
    Command(
        "outliers-fit",
        f"model {_DATASET}",
        ("model/outliers.json model",),
        "outliers fit model DATA.json --score mahalanobis --device cpu",
        older="outliers fit model DATA.json --score energy --device cpu",
    ),
    Command(
        "calibrate",
        f"model {_DATASET}",
        ("model/calibration.json model",),
        "calibrate model DATA.json --device cpu --seed 1 --voxels 500",
        older="calibrate model DATA.json --device cpu",
    ),
    Command(
        "ensemble",
        "model other",
        ("joint",),
        "ensemble other model --out joint --name both",
        older="ensemble model other --out joint",
    ),
    Command(
        "coarsen",
        _DATASET,
        ("made/DATA.json made",),
        "data coarsen DATA.json --out made --spacing 2",
        older="data coarsen DATA.json --out made --spacing 3",
    ),
    Command(
        "raters",
        _DATASET,
        ("made/DATA.json made",),
        "data raters DATA.json --out made --count 3",
        older="data raters DATA.json --out made --count 2",
    ),
    Command(
        "scribbles",
        _DATASET,
        ("made/DATA.json made",),
        "data scribbles DATA.json --out made --per-structure 3",
        older="data scribbles DATA.json --out made --per-structure 2",
    ),
    Command(
        "fuse",
        "soft_core.nii.gz soft_shell.nii.gz",
        ("fused.nii.gz",),
        "data fuse --method majority soft_core.nii.gz soft_core.nii.gz soft_shell.nii.gz --out fused.nii.gz",
        older="data fuse soft_core.nii.gz soft_shell.nii.gz --out fused.nii.gz",
    ),
    Command("import", "nnunet", ("imported/DATA.json imported",), "data import nnunet nnunet --out imported/DATA.json"),
    Command(
        "evaluate",
        "result.soft.npz labels0.nii.gz tree.json",
        ("evaluation/summary.json evaluation",),
        f"{_EVALUATE} --tolerance 3",
        older=_EVALUATE,
    ),
    Command(
        "convert",
        "tree.json",
        ("converted.csv",),
        "tree convert tree.json converted.csv",
        older="tree convert tree.json converted.csv --level 1",
    ),
    Command("study", f"STUDY.yaml {_DATASET}", _JOBS, "study STUDY.yaml --out study --device cpu --jobs 1"),
    Command(
        "study-two-jobs",
        f"STUDY.yaml {_DATASET}",
        _JOBS,
        "study STUDY.yaml --out study --device cpu --jobs 2",
    ),
)


@dataclass
class Known:
    """What a command's results look like before and after, and how many file operations lie between."""

    before: tuple[tuple[str, ...], ...]
    after: tuple[tuple[str, ...], ...]
    operations: int
    others: frozenset[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill commands until the number of runs is done; 1 when one left something wrong."""
    given = sys.argv[1:] if arguments is None else arguments
    if any(each.split("=")[0] == "--cancel" for each in given):
        import cancel

        return cancel.main(given)
    options = _parser().parse_args(arguments)
    commands = [command for command in COMMANDS if options.only in (None, command.name)]
    preload()
    with tempfile.TemporaryDirectory(prefix="softseg-crash-") as folder:
        good = world.build(Path(folder) / "world")
        shutil.copytree(good / "model", good / "other")
        return _loop(options, commands, good, Path(folder) / "run")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py crash", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100, help="killed runs over all commands [100]")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="of all choices [0]")
    parser.add_argument("--only", choices=[command.name for command in COMMANDS], help="one command")
    parser.add_argument("--keep", type=Path, default=Path("crash-failures"), help="folder for what failures left")
    return parser


def _loop(options: argparse.Namespace, commands: Sequence[Command], good: Path, folder: Path) -> int:
    known: dict[str, Known] = {}
    began, faults, done = time.monotonic(), Counter[str](), Counter[str]()
    for number in range(options.runs):
        if time.monotonic() - began > options.seconds:
            break
        command = commands[number % len(commands)]
        if command.name not in known:
            known[command.name] = learn(command, good, folder)
        rng = random.Random(f"{options.seed}-{number}")
        at = rng.randrange(known[command.name].operations) + 1
        wrong = kill_run(command, known[command.name], at, good, folder)
        done[command.name] += 1
        if sum(done.values()) % 50 == 0:
            print(f"{sum(done.values())} killed runs after {time.monotonic() - began:.0f} s", flush=True)
        for fault in wrong:
            faults[f"{command.name}: {fault.split(':')[0]}"] += 1
            print(
                f"run {number}: {command.name} killed at {at} of {known[command.name].operations}: {fault}", flush=True
            )
        if wrong:
            shutil.rmtree(options.keep / f"{options.seed}-{number}", ignore_errors=True)
            shutil.copytree(folder, options.keep / f"{options.seed}-{number}")
    print(
        f"{sum(done.values())} killed runs with seed {options.seed} in {time.monotonic() - began:.0f} s: {dict(done)}"
    )
    print(f"file operations: { {name: each.operations for name, each in known.items()} }")
    for fault, count in faults.most_common():
        print(f"  {fault}: {count}")
    print(f"{sum(faults.values())} failures")
    return 1 if faults else 0


def learn(command: Command, good: Path, folder: Path) -> Known:
    """Run a command to its end once; return what its results are before and after, and count its file operations."""
    _set_up(command, good, folder)
    before = _state(command, folder)
    counter = folder / ".operations"
    ending = run_forked(command.newer.split(), folder, _LIMITS, _count_operations(folder, counter))
    if ending.code:
        raise SystemExit(f"{command.name} does not work without being killed: {ending.text[-500:]}")
    operations = counter.stat().st_size
    counter.unlink()
    return Known(before, _state(command, folder), operations, _names(folder))


def kill_run(command: Command, known: Known, at: int, good: Path, folder: Path) -> list[str]:
    """Kill a command at its file operation number ``at`` and return what is wrong afterwards."""
    _set_up(command, good, folder)
    run_forked(command.newer.split(), folder, _LIMITS, _die_at(folder, at))
    wrong = [
        f"mixed or damaged: {names}"
        for names, now, old, new in zip(
            command.results, _state(command, folder), known.before, known.after, strict=True
        )
        if now[0] and now not in (old, new) and not command.steps
    ]
    ending = run_forked((command.again or command.newer).split(), folder, _LIMITS)
    if ending.code:
        wrong.append(f"does not start again: exit {ending.code}: {' '.join(ending.text.split())[-300:]}")
        return wrong
    after = _state(command, folder)
    wrong += [
        f"other result after the next start: {names}"
        for names, now, new in zip(command.results, after, known.after, strict=True)
        if now != new
    ]
    left = sorted(_names(folder) - known.others)
    return wrong + ([f"left behind: {', '.join(left[:5])}"] if left else [])


def _set_up(command: Command, good: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in command.needs.split():
        source = good / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        else:
            shutil.copy2(source, folder / name)
    if command.older:
        ending = run_forked(command.older.split(), folder, _LIMITS)
        if ending.code:
            raise SystemExit(f"{command.name}: the older result could not be made: {ending.text[-500:]}")


def _state(command: Command, folder: Path) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(fingerprint(folder / name) for name in names.split()) for names in command.results)


def _names(folder: Path) -> frozenset[str]:
    """Return every file and folder, hidden ones too; each start of a training has its own record for TensorBoard."""
    names = (path.relative_to(folder) for path in folder.rglob("*"))
    return frozenset(str(name) for name in names if "tensorboard" not in name.parts)


# --- the shim that counts ----------------------------------------------------------------------------------------


def _watch(folder: Path, act: Callable[[], None]) -> Callable[[], None]:
    """Return what installs a hook that calls ``act`` before each operation that changes something in ``folder``."""
    inside = str(folder)
    parent = os.getpid()

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event not in _OPERATIONS or os.getpid() == parent:
            return
        paths = [os.fsdecode(value) for value in arguments[:2] if isinstance(value, (str, bytes, os.PathLike))]
        if event == "open" and not _writes(arguments):
            return
        if any(os.path.abspath(path).startswith(inside) for path in paths):  # noqa: PTH100 - links stay
            act()

    return lambda: sys.addaudithook(hook)


def _writes(arguments: tuple[object, ...]) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def _count_operations(folder: Path, counter: Path) -> Callable[[], None]:
    handle = os.open(counter, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    return _watch(folder, lambda: os.write(handle, b"."))


def _die_at(folder: Path, at: int) -> Callable[[], None]:
    """Kill the whole process group at operation ``at``; processes of the group count together."""
    reader, writer = os.pipe()
    os.write(writer, b"." * (at - 1))
    os.set_blocking(reader, False)

    def step() -> None:
        try:
            os.read(reader, 1)
        except BlockingIOError:
            os.killpg(os.getpgid(0), signal.SIGKILL)

    return _watch(folder, step)


if __name__ == "__main__":
    sys.exit(main())
