"""What a training step costs beside network and loss, with the plans of the shipped models and real scans.

The peer is the same loop with a batch that lies in memory: forward, loss, backward, optimizer, running mean of the
weights. Both sides use the same threads; ours makes its batches in one more, which competes for the same cores.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import torch
from measure import Line, interleaved, timed

from softseg.data import Dataset
from softseg.events import Events
from softseg.training import Recipe
from softseg.training.arguments import TrainingArguments
from softseg.training.hooks import make_hooks
from softseg.training.ranks import Ranks
from softseg.training.setup import Setup, prepare_run
from softseg.training.trainer import _step

ROOT = Path(__file__).resolve().parents[2]
CASES = 4
LONG = ["steps=1000000", "plan.precision=float32"]
MODELS = {
    "brain-134": "a step on volumes (134 leaves, 64 x 64 x 64, DynUNet 32 to 256)",
    "cord-gm-soft": "a step on slices (2 leaves, 8 slices of 128 x 128, DynUNet 16 to 256)",
}
"""The data of these shipped models, trained with ``RECIPES``."""
RECIPES = {
    "brain-134": ROOT / "Testing" / "benchmarks" / "brain-volume.yaml",
    "cord-gm-soft": ROOT / "Testing" / "benchmarks" / "cord-slices.yaml",
}
BARE = "batch in memory"
DISTRIBUTED = [
    "steps=50",
    "average=null",
    "batch_size=3",
    "plan.patch_size=[24, 24, 24]",
    "plan.network.options.filters=[8, 16, 32]",
    "plan.precision=float32",
    "optimizer={name: sgd, learning_rate: 0.01, momentum: 0.9, gradient_clip: 5.0}",
]


def run(quick: bool) -> list[Line]:
    """Measure both models' steps and a training by two processes; nothing where the scans are missing."""
    if not _data("brain-134").is_dir():
        print(f"   no scans in {_data('brain-134')}: nothing is measured (SOFTSEG_TEST_DATA names their folder)")
        return []
    lines: list[Line] = []
    for name, title in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            changes = [*LONG, "plan.patch_size=[32, 32, 32]"] if quick and name == "brain-134" else LONG
            lines += _step_lines(_setup(name, changes, Path(folder)), title, rounds=3 if quick else 15)
    if not quick:
        lines += _two_processes()
    return lines


def _step_lines(setup: Setup, title: str, rounds: int) -> list[Line]:
    run, rate = setup.run, 1e-4
    run.network.train()
    kept = setup.sampler.batch(0)
    hooks = make_hooks(setup, Events())
    with _closing(setup) as batches:

        def ours() -> None:
            _, batch = next(batches)
            run.count_step(_step(run, batch, rate), rate)
            for hook in hooks:
                hook(run)

        def bare() -> None:
            _step(run, kept, rate)

        seconds = interleaved(ours, bare, rounds=rounds, warmups=2)
        cores = _core_seconds({"ours": ours, "bare": bare, "learning": lambda: _learn_only(setup)}, rounds)
    making = _core_seconds({"batch": lambda: setup.sampler.batch(run.step)}, rounds)["batch"]
    saved = timed(run.save)[0]
    note = f"{torch.get_num_threads()} threads, recipe {run.recipe.name}"
    learning = f"{title}: optimizer, clipping, mean of weights"
    return [
        Line("training", f"{title}: all of it", seconds.ours, seconds.peer, "s", BARE, 1.1, note),
        Line("training", f"{title}: all of it, cores' time", cores["ours"], cores["bare"], "s", BARE, 1.1, note),
        Line("training", f"{title}: a batch, cores' time", making, cores["bare"], "s", BARE, None, "made in a thread"),
        Line("training", learning, cores["learning"], cores["bare"], "s", BARE, None, "in both sides; cores' time"),
        Line("training", f"{title}: a checkpoint", saved, 60.0, "s", "a minute", None, "one is written each minute"),
    ]


def _core_seconds(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median time that all threads together compute in each call; other programs do not disturb it."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            found[name].append(time.process_time() - start)
    return {name: median(values) for name, values in found.items()}


def _learn_only(setup: Setup) -> None:
    """Do what follows the backward pass of a step; the gradients are those of the last one."""
    run = setup.run
    torch.nn.utils.clip_grad_norm_(run.network.parameters(), run.recipe.optimizer.gradient_clip or 1.0)
    run.optimizer.step()
    if run.average is not None:
        run.average.update_parameters(run.network)


@contextmanager
def _closing(setup: Setup) -> Iterator[Iterator[tuple[int, object]]]:
    batches = setup.sampler.batches()
    try:
        yield batches
    finally:
        batches.close()  # type: ignore[attr-defined]


def _setup(name: str, changes: Sequence[str], folder: Path) -> Setup:
    recipe = Recipe.load(RECIPES[name], list(changes))
    data = Dataset.load(_described(name, folder))
    request = TrainingArguments(data, recipe, folder, "cpu", 0, False, {}, folder / "cache")
    return prepare_run(request, Ranks(), Events())


def _described(name: str, folder: Path) -> Path:
    """Write DATA.json with the first training cases of a shipped model and return its path."""
    source = ROOT / "Resources" / "Models" / name / "training" / "DATA.json"
    content = json.loads(source.read_text(encoding="utf-8"))
    tree = source.parent / content["tree"]
    content["tree"] = str(tree.resolve()) if tree.is_file() else content["tree"]  # a file, or the name of a shipped one
    content["cases"] = [case for case in content["cases"] if case["split"] == "train"][:CASES]
    text = re.sub(r'"[^"]*shared/data/', f'"{_root()}/', json.dumps(content))
    path = folder / "DATA.json"
    path.write_text(text, encoding="utf-8")
    return path


def _root() -> Path:
    return Path(os.environ.get("SOFTSEG_TEST_DATA", ROOT.parent / "shared" / "data"))


def _data(name: str) -> Path:
    return _root() / ("brain" if name.startswith("brain") else "cord")


def _two_processes() -> list[Line]:
    """Train by one and by two processes on the same patches and compare the losses of 50 steps.

    How far two runs drift apart by rounding alone is measured by one process that adds in another order, with two
    threads.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recipe = RECIPES["brain-134"]
        command = ["-m", "softseg", "train", str(_described("brain-134", folder)), "--recipe", str(recipe), "--quiet"]
        command += ["--device", "cpu", *(part for change in DISTRIBUTED for part in ("--set", change)), "--out"]
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        two = _losses([*launch, *command, str(folder / "two")], folder / "two", threads=1)
        one = _losses([*command, str(folder / "one")], folder / "one", threads=1)
        other = _losses([*command, str(folder / "other")], folder / "other", threads=2)
    apart = max(abs(value - base) for value, base in zip(two, one, strict=True))
    rounding = max(abs(value - base) for value, base in zip(other, one, strict=True))
    note = f"134 leaves, 3 patches of 24 x 24 x 24, SGD; losses {one[0]:.2f} to {one[-1]:.2f}"
    what = "two processes: largest difference of 50 losses from one process with the same batch"
    return [
        Line("training", what, apart, 1e-5, "", "limit", 1.0, note),
        Line("training", f"{what}, against rounding", apart, rounding, "", "one process with two threads", None, note),
    ]


def _losses(command: Sequence[str], run: Path, threads: int) -> list[float]:
    """Train by ``command`` and return the loss of every step."""
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(threads)) | {"PYTHONPATH": str(ROOT / "core")}
    subprocess.run([sys.executable, *command], env=environment, check=True)
    with (run / "metrics.csv").open(encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]
