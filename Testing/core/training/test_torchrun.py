"""Two processes started by torchrun train as one does; one of them killed, the rest ends and goes on later."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from softseg.data import Dataset
from softseg.network import read_weights
from softseg.training import Recipe, train

CORE = Path(__file__).resolve().parents[3] / "core"
LONGEST = 120  # seconds after which a process that hangs fails its test
STEPS = 50
RECIPE = [
    "optimizer={name: sgd, learning_rate: 0.01, momentum: 0.9, gradient_clip: 5.0}",
    "batch_size=3",  # one process gets one patch, the other two
    "checkpoint_every=10",
    "validation.every=20",
    "plan.network.options.dropout=0",
    f"steps={STEPS}",
]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="gloo and kill -9")


class Launch:
    """``torchrun`` with two processes on this machine, and what they said."""

    def __init__(self, data: Path, sets: list[str], out: Path, *options: str) -> None:
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        command += ["-m", "softseg", "train", str(data), "--recipe", "soft-tree", "--out", str(out)]
        command += ["--device", "cpu", "--events", "json", *options]
        for change in sets:
            command += ["--set", change]
        environment = os.environ | {"PYTHONPATH": str(CORE), "OMP_NUM_THREADS": "1"}
        self.said, self.log = out.parent / f"{out.name}.out", out / "log.jsonl"
        with self.said.open("w") as file:
            self.process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)

    def wait(self) -> int:
        return self.process.wait(LONGEST)

    def wait_for_step(self, step: int) -> None:
        end = time.monotonic() + LONGEST
        while not self.log.is_file() or f'"step": {step},' not in self.log.read_text():
            assert time.monotonic() < end, self.said.read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)
                raise AssertionError(self.said.read_text())

    def rank(self, number: int) -> psutil.Process:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return next(child for child in children if child.environ().get("RANK") == str(number))

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.said.read_text().splitlines() if line.startswith('{"event"')]


def losses(run: Path) -> list[float]:
    return [float(row["loss"]) for row in csv.DictReader((run / "metrics.csv").open())]


def trained_together(data: Path, sets: list[str], out: Path) -> Path:
    """Let two processes train and return the folder of the run."""
    launch = Launch(data, sets, out)
    assert launch.wait() == 0, launch.said.read_text()
    progress = [event["done"] for event in launch.events() if event["event"] == "progress"][-STEPS:]
    assert progress == list(range(1, STEPS + 1))  # told once, by process 0
    assert any("2 processes share them" in str(event.get("text")) for event in launch.events())
    return out


@pytest.fixture(scope="module")
def together(ball_data: Path, tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training by two processes that nobody disturbed."""
    return trained_together(ball_data, [*tiny, *RECIPE], tmp_path_factory.mktemp("together") / "run")


def test_two_processes_learn_what_one_learns_from_the_whole_batch(
    together: Path, balls: Dataset, tiny: list[str], tmp_path: Path
) -> None:
    recipe = Recipe.load("soft-tree", [*tiny, *RECIPE])
    train(balls, recipe, tmp_path / "alone", device="cpu", cache=together / "cache")
    alone, shared = losses(tmp_path / "alone"), losses(together)
    assert len(shared) == STEPS
    assert shared[-1] < 0.5 * shared[0]
    assert max(abs(one - other) for one, other in zip(alone, shared, strict=True)) < 1e-5
    first, second = (read_weights(out / "checkpoints" / "best.pt") for out in (tmp_path / "alone", together))
    assert first["step"] == second["step"]
    # running statistics too; normalisation hides the size of the weights before it, which may drift further apart
    for name, weight in first["network"].items():
        torch.testing.assert_close(second["network"][name], weight, atol=2e-3, rtol=2e-3)


def test_two_processes_learn_in_bfloat16_what_one_learns(
    ball_data: Path, balls: Dataset, tiny: list[str], tmp_path: Path
) -> None:
    """On any processor: bfloat16 is slow where there are no tiles for it, and right everywhere."""
    sets = [*tiny, *RECIPE, "plan.precision=bfloat16"]
    out = trained_together(ball_data, sets, tmp_path / "together")
    assert json.loads((out / "log.jsonl").read_text().splitlines()[0])["precision"] == "bfloat16"
    train(balls, Recipe.load("soft-tree", sets), tmp_path / "alone", device="cpu", cache=out / "cache")
    alone, shared = losses(tmp_path / "alone"), losses(out)
    assert shared[-1] < 0.5 * shared[0]
    # each is rounded to 8 bits on its own way, and every step starts from where the last one led
    assert shared[0] == pytest.approx(alone[0], rel=1e-3)
    assert shared == pytest.approx(alone, rel=0.05)


def test_a_killed_process_ends_the_run_which_resumes_to_the_same_losses(
    together: Path, ball_data: Path, tiny: list[str]
) -> None:
    out = together.parent / "killed"
    launch = Launch(ball_data, [*tiny, *RECIPE], out)
    launch.wait_for_step(17)
    launch.rank(1).send_signal(signal.SIGKILL)
    assert launch.wait() != 0
    assert "lost another process of this training" in launch.said.read_text()
    assert next(event for event in launch.events() if event["event"] == "error")["kind"] == "process"
    assert 17 <= read_weights(out / "checkpoints" / "last.pt")["step"] < STEPS
    again = Launch(ball_data, [*tiny, *RECIPE], out, "--resume")
    assert again.wait() == 0, again.said.read_text()
    assert losses(out) == losses(together)
    first, second = (read_weights(run / "checkpoints" / "last.pt") for run in (together, out))
    assert all(torch.equal(first["network"][name], second["network"][name]) for name in first["network"])
