"""Damaged input of every format through every command: each must end in one line that names the file.

    python dev.py fuzz [--seconds N] [--trials N] [--seed S] [--keep FOLDER] [--only NAME]

A trial copies a tiny valid world, damages one file by a seeded mutation and runs one command on it. It fails when the
command crashes, hangs, shows a traceback, ends with a code other than 0, 2 or 3, takes over 10 s of processor time or
1 GB, or refuses without naming the file. The input of a failure is kept with its command.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import stat
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import world
from mutations import mutations_for
from places import PLACES, odd_name
from trials import GIB, Ending, Limits, preload, run_forked

SLOW, FAT = 10.0, GIB
ALLOWED = (0, 2, 3)


_MODEL = "model/tree.json model/recipe.yaml model/configs/metadata.json model/models/model.pt"
_DATASET = "DATA.json scan0.nii.gz labels0.nii.gz scan1.nii.gz labels1.nii.gz tree.json"
_COMPLETE = "complete/outliers.json complete/models/outliers.pt complete/calibration.json"
_TREES = " ".join(("tree.json", *world.TREE_FILES))
_TRAIN = (
    "--device cpu --set steps=1 --set batch_size=1 --set plan.patch_size=[16,16,16]"
    " --set plan.network.options.filters=[4,8,16]"
)
_RESUME = (
    "train DATA.json --recipe ce-dice --out run --resume --device cpu --set steps=2 --set batch_size=1"
    " --set plan.patch_size=[16,16,16] --set plan.spacing=[1.5,1.5,1.5] --set plan.network.options.filters=[4,8,16]"
    " --set validation.every=2"
)


@dataclass(frozen=True)
class Target:
    """A command and the files of the world that it reads; all fields but ``name`` are words separated by blanks.

    Attributes
    ----------
    name: for reports and ``--only``.
    damaged: files of which one is damaged; the weight of a target is their number.
    command: ``{file}`` is the damaged file.
    needs: other files and folders of the world that the command reads.
    """

    name: str
    damaged: str
    command: str
    needs: str = ""


TARGETS = (
    Target("tree-check", _TREES, "tree check {file}"),
    Target("tree-convert", _TREES, "tree convert {file} converted.json"),
    Target("tree-diff", "tree.json indented.txt", "tree diff {file} levels.csv", "levels.csv"),
    Target("collapse-labels", "result.soft.npz", "collapse {file} --cut 1 --out labels.nii.gz"),
    Target("collapse-node", "result.soft.npz", "collapse {file} --node organ --out map.nii.gz"),
    Target(
        "statistics",
        "result.soft.npz labels0.nii.gz",
        "statistics result.soft.npz --image t1=labels0.nii.gz --out numbers.json",
        "result.soft.npz labels0.nii.gz",
    ),
    Target("correct-list", "corrected.soft.npz", "correct {file} --list"),
    Target("correct-undo", "corrected.soft.npz", "correct {file} --undo last --out undone.soft.npz"),
    Target(
        "correct-voxels",
        "labels0.nii.gz",
        "correct result.soft.npz --node core --voxels {file} --out corrected2.soft.npz",
        "result.soft.npz",
    ),
    Target(
        "correct-labels",
        "labels0.nii.gz",
        "correct result.soft.npz --labels {file} --cut leaves --out corrected2.soft.npz",
        "result.soft.npz",
    ),
    Target(
        "evaluate",
        "result.soft.npz labels0.nii.gz tree.json",
        "evaluate --prediction result.soft.npz --reference labels0.nii.gz --tree tree.json --out evaluation",
        "result.soft.npz labels0.nii.gz tree.json",
    ),
    Target(
        "import-soft-nnunet",
        "probabilities/case.npz probabilities/case.pkl probabilities/dataset.json",
        "import-soft probabilities/case.npz --out imported.soft.npz",
        "probabilities",
    ),
    Target(
        "import-soft-maps",
        "soft_core.nii.gz tree.json",
        "import-soft soft_core.nii.gz soft_shell.nii.gz --tree tree.json --out imported.soft.npz",
        "soft_core.nii.gz soft_shell.nii.gz tree.json",
    ),
    Target("data-check", _DATASET, "data check DATA.json", _DATASET),
    Target(
        "data-fuse",
        "soft_core.nii.gz labels0.nii.gz",
        "data fuse --method mean {file} soft_shell.nii.gz --out fused.nii.gz",
        "soft_shell.nii.gz",
    ),
    Target(
        "predict-image",
        "scan0.nii.gz plain.nii packed.nrrd apart.nhdr meta.mha apart.mhd",
        "predict model {file} --out results",
        "model apart.raw.gz apart.raw apart.zraw",
    ),
    Target(
        "predict-cube", "cube.hdr cube.img bands.npz", "predict model {file} --out results", "model cube.img cube.hdr"
    ),
    Target("predict-model", _MODEL, "predict model scan0.nii.gz --out results", "model scan0.nii.gz"),
    Target(
        "train-data",
        "DATA.json scan0.nii.gz labels0.nii.gz",
        f"train DATA.json --recipe ce-dice --out new {_TRAIN}",
        _DATASET,
    ),
    Target("train-recipe", "recipe.yaml", f"train DATA.json --recipe recipe.yaml --out new {_TRAIN}", _DATASET),
    Target("train-resume", "run", f"train DATA.json --recipe ce-dice --out run --resume {_TRAIN}", f"{_DATASET} run"),
    Target("study", "STUDY.yaml", "study STUDY.yaml --out study --report-only", _DATASET),
    Target(
        "import-nnunet",
        "nnunet/dataset.json nnunet/labelsTr/case0.nii.gz nnunet/imagesTr/case0_0000.nii.gz",
        "data import nnunet nnunet --out imported/DATA.json",
        "nnunet",
    ),
    Target(
        "import-bids",
        "bids/participants.tsv bids/dataset_description.json bids/derivatives/labels/sub-0/anat/sub-0_T1w_dseg.nii.gz",
        "data import bids bids --out imported/DATA.json",
        "bids",
    ),
    Target("calibrate", f"DATA.json {_MODEL}", "calibrate model DATA.json --device cpu", f"model {_DATASET}"),
    Target("ensemble", _MODEL, "ensemble model model --out joint", "model"),
    Target(
        "predict-formats",
        "volume.mgz second.nii pair.hdr pages.tiff picture.png",
        "predict model {file} --out results",
        "model pair.img pair.hdr",
    ),
    Target("predict-cut", "cut.txt", "predict model scan0.nii.gz --out results --cut cut.txt", "model scan0.nii.gz"),
    Target(
        "predict-complete",
        f"{_COMPLETE} complete",
        "predict complete scan0.nii.gz --out results --outliers --device cpu",
        "complete scan0.nii.gz",
    ),
    Target("outliers-show", f"{_COMPLETE} complete", "outliers show complete", "complete"),
    Target(
        "predict-ensemble",
        "joint/ensemble.json joint",
        "predict joint scan0.nii.gz --out results --device cpu",
        "joint scan0.nii.gz",
    ),
    Target(
        "outliers-fit",
        f"DATA.json {_MODEL}",
        "outliers fit model DATA.json --score energy --device cpu --cases case0",
        f"model {_DATASET}",
    ),
    Target("coarsen", _DATASET, "data coarsen DATA.json --out coarse --spacing 2", _DATASET),
    Target("coarsen-soft", "DATA.json tree.json", "data coarsen DATA.json --out coarse --spacing 2 --soft", _DATASET),
    Target("raters", "DATA.json labels0.nii.gz tree.json", "data raters DATA.json --out raters", _DATASET),
    Target(
        "strokes",
        "DATA.json labels0.nii.gz tree.json",
        "data scribbles DATA.json --out painted --per-structure 2",
        _DATASET,
    ),
    Target(
        "false-colour", "bands.npz cube.hdr", "data false-colour {file} --out colours.png --bands 0,1,2", "cube.img"
    ),
    Target(
        "import-decathlon",
        "decathlon/dataset.json decathlon/labelsTr/case0.nii.gz",
        "data import decathlon decathlon --out imported/DATA.json",
        "decathlon",
    ),
    Target(
        "import-folder",
        "people.csv plainset/labels/case0.nii.gz plainset/images/case0.nii.gz",
        "data import folder plainset --out imported/DATA.json --people people.csv",
        "plainset people.csv",
    ),
    Target(
        "import-splits",
        "splits.json",
        "data import nnunet nnunet --out imported/DATA.json --splits splits.json",
        "nnunet",
    ),
    Target(
        "import-tree",
        "colours.ctbl lut.txt snap.label dseg.tsv",
        "data import nnunet nnunet --out imported/DATA.json --tree {file}",
        "nnunet",
    ),
    Target(
        "evaluate-pairs",
        "pairs.csv result.soft.npz labels0.nii.gz",
        "evaluate --pairs pairs.csv --tree tree.json --out evaluation",
        "pairs.csv result.soft.npz labels0.nii.gz tree.json",
    ),
    Target(
        "evaluate-trees",
        "lut.txt colours.ctbl",
        "evaluate --prediction labels1.nii.gz --reference labels1.nii.gz --tree tree.json --prediction-tree {file}"
        " --out evaluation",
        "labels1.nii.gz tree.json",
    ),
    Target(
        "collapse-cut",
        "cut.txt result.soft.npz",
        "collapse result.soft.npz --cut cut.txt --out labels.nii.gz",
        "result.soft.npz cut.txt",
    ),
    Target(
        "train-cache", "run/cache run/cache run/checkpoints run/log.jsonl run/metrics.csv", _RESUME, f"{_DATASET} run"
    ),
)


@dataclass(frozen=True)
class Trial:
    """One damaged file and the command that reads it."""

    target: Target
    file: str
    mutation: str
    arguments: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials until time or number is used up; 1 when one failed."""
    options = _parser().parse_args(arguments)
    targets = [target for target in TARGETS if options.only in (None, target.name)]
    preload()
    with tempfile.TemporaryDirectory(prefix="softseg-fuzz-") as temporary:
        folder = Path(temporary) / "trial"
        good = Path(temporary) / "world" if options.world is None else options.world.absolute()
        if not good.is_dir():
            world.build(good)
        return _loop(options, targets, _with_own_run(good, folder), folder)


def _with_own_run(good: Path, folder: Path) -> Path:
    """Return a copy of the world whose training run was made where trials run, so that its cache is taken there."""
    own = folder.with_name("own")
    shutil.copytree(good, own)
    _lay_out(own, folder, _DATASET.split())
    ending = run_forked([part for part in _RESUME.split() if part != "--resume"], folder, Limits(seconds=120))
    if ending.code:
        raise SystemExit(f"no run could be trained: {ending.text}")
    shutil.rmtree(own / "run")
    shutil.copytree(folder / "run", own / "run")
    return own


def _lay_out(good: Path, folder: Path, names: Sequence[str]) -> None:
    """Make ``folder`` hold nothing but these files and folders of the world."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in dict.fromkeys(names):
        _copy(good / name, folder / name)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py fuzz", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="stop after so long [60]")
    parser.add_argument("--trials", type=int, default=1_000_000, help="stop after so many")
    parser.add_argument("--seed", type=int, default=0, help="of all choices; trial N of a seed is always the same [0]")
    parser.add_argument("--first", type=int, default=0, help="number of the first trial [0]")
    parser.add_argument("--only", choices=[target.name for target in TARGETS], help="one command")
    parser.add_argument("--world", type=Path, help="folder of the valid files; built where it is missing")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for the inputs of failures")
    return parser


def _loop(options: argparse.Namespace, targets: Sequence[Target], good: Path, folder: Path) -> int:
    began, done, failures, endings = time.monotonic(), 0, Counter[str](), Counter[int]()
    slowest = fattest = 0.0
    while done < options.trials and time.monotonic() - began < options.seconds:
        number = options.first + done
        trial, ending, faults = run_trial(options.seed, number, targets, good, folder)
        done += 1
        if done % 250 == 0:
            print(f"{done} trials after {time.monotonic() - began:.0f} s", flush=True)
        endings[ending.code] += 1
        slowest, fattest = max(slowest, ending.seconds), max(fattest, ending.peak)
        for fault in faults:
            failures[fault] += 1
        if faults:
            _keep(options.keep / f"{options.seed}-{number}", trial, ending, faults, folder)
            first = " ".join(ending.text.split())[-300:]
            print(
                f"trial {number}: {', '.join(faults)}: {trial.target.name} {trial.file} ({trial.mutation}): {first}",
                flush=True,
            )
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(endings.items()))
    print(f"{done} trials with seed {options.seed} in {time.monotonic() - began:.0f} s; exit codes {codes}")
    print(f"slowest {slowest:.1f} s, most memory {fattest / 2**20:.0f} MB")
    for fault, count in failures.most_common():
        print(f"  {fault}: {count}")
    print(f"{sum(failures.values())} failures" + (f", kept in {options.keep}" if failures else ""))
    return 1 if failures else 0


def run_trial(
    seed: int, number: int, targets: Sequence[Target], good: Path, folder: Path
) -> tuple[Trial, Ending, list[str]]:
    """Run trial ``number`` of a seed in ``folder``, which is replaced, and say what is wrong with its ending."""
    rng = random.Random(f"{seed}-{number}")
    target = rng.choices(targets, [len(each.damaged.split()) for each in targets])[0]
    file = rng.choice(target.damaged.split())
    _lay_out(good, folder, (file, *target.needs.split()))
    if (folder / file).is_dir():
        file = rng.choice(
            sorted(str(path.relative_to(folder)) for path in (folder / file).rglob("*") if path.is_file())
        )
    named, mutation = _damage(folder, file, "{file}" in target.command, rng)
    arguments = [part.replace("{file}", named) for part in target.command.split()]
    ending = run_forked(arguments, folder, Limits())
    trial = Trial(target, file, mutation, arguments)
    return trial, ending, faults_of(ending, named, folder)


def _damage(folder: Path, file: str, renamed: bool, rng: random.Random) -> tuple[str, str]:
    """Damage a file, or what stands in its place; return how it is named now, and the name of the mutation."""
    damaged, chance = folder / file, rng.random()
    if chance < 0.08:
        place = rng.choice(PLACES)
        place(damaged, rng)
        return file, place.__name__
    if renamed and chance < 0.2:
        return str(odd_name(damaged, rng).relative_to(folder)), odd_name.__name__
    mutation = rng.choice(mutations_for(file))
    damaged.write_bytes(mutation(damaged.read_bytes(), rng))
    return file, mutation.__name__


def faults_of(ending: Ending, file: str, folder: Path) -> list[str]:
    """Return what is wrong with how a command ended on a damaged ``file`` of ``folder``."""
    faults = []
    if ending.timed_out or ending.seconds > SLOW:
        faults.append("slow")
    elif ending.code < 0:
        faults.append("crash")
    elif ending.code not in ALLOWED:
        faults.append(f"exit {ending.code}")
    if "Traceback (most recent call last)" in ending.text:
        faults.append("traceback")
    if ending.peak > FAT:
        faults.append("memory")
    if ending.code == 2 and not _names_a_file(ending.text, file, folder):
        faults.append("no file named")
    if len(ending.text) > 20_000:
        faults.append("long message")
    return faults


def _names_a_file(text: str, file: str, folder: Path) -> bool:
    """Whether the refusal names the damaged file, the folder or description through which it is read, or an option."""
    last = text.strip().splitlines()[-1] if text.strip() else ""
    names = {Path(file).name, *(path.name for path in folder.iterdir())}
    names = {"odd" if name.startswith("odd") else name for name in names}  # the rest of it is written as escapes
    return any(name in last for name in names if not name.startswith(".")) or bool(re.search(r"--[a-z][a-z-]+", last))


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
    elif source.exists():
        shutil.copy2(source, target)  # with its times, by which prepared cases are known


def _pipes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if stat.S_ISFIFO(os.lstat(os.path.join(folder, name)).st_mode)]  # noqa: PTH118


def _keep(kept: Path, trial: Trial, ending: Ending, faults: Sequence[str], folder: Path) -> None:
    shutil.rmtree(kept, ignore_errors=True)
    shutil.copytree(folder, kept / "input", symlinks=True, ignore=_pipes)
    facts = {
        "target": trial.target.name,
        "arguments": [ascii(part)[1:-1] for part in trial.arguments],
        "file": trial.file,
        "mutation": trial.mutation,
        "faults": list(faults),
        "code": ending.code,
        "seconds": round(ending.seconds, 2),
        "peak_mb": ending.peak >> 20,
        "text": ending.text[-3000:],
    }
    (kept / "trial.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
