"""kill -9 at random moments, resume, and compare with a run that nobody disturbed.

``SOFTSEG_KILLS=20`` kills twenty times instead of three.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import runpy
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from softseg.network import read_weights

KILLS = int(os.environ.get("SOFTSEG_KILLS", "3"))

SCRIPT = """
from softseg.data import Dataset
from softseg.events import Events
from softseg.training import Recipe, train

class Pipe:
    def write(self, event):
        if event["event"] == "progress" and event["stage"] == "train":
            PIPE.send(event["done"])

train(Dataset.load(DATA), Recipe.load("soft-tree", SETS), OUT, resume=RESUME, cache=CACHE, events=Events(Pipe()))
"""


class Training:
    """A training in a process of its own that can be killed."""

    def __init__(self, script: Path, data: Path, sets: list[str], out: Path, resume: bool) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["softseg.training.trainer", "torch.utils.tensorboard"])
        self.pipe, theirs = context.Pipe(duplex=False)
        values = {
            "PIPE": theirs,
            "DATA": str(data),
            "SETS": sets,
            "OUT": str(out),
            "RESUME": resume,
            "CACHE": str(out.parent / "cache"),
        }
        self.process = context.Process(target=runpy.run_path, args=(str(script), values))
        self.process.start()
        theirs.close()

    def kill_after(self, steps: int, instant: float) -> bool:
        """Kill it ``instant`` seconds after that many more steps; return whether it was still at work."""
        for _ in range(steps):
            if not _alive(self.pipe):
                break
        self.pipe.poll(instant)
        self.process.kill()
        self.process.join()
        return self.process.exitcode != 0

    def finish(self) -> None:
        while _alive(self.pipe):
            pass
        self.process.join()
        assert self.process.exitcode == 0


def _alive(pipe: Connection) -> bool:
    try:
        pipe.recv()
    except EOFError:
        return False
    return True


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_training_resumes_to_the_same_curve_and_weights(
    precision: str, ball_data: Path, tiny: list[str], tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    sets = [*tiny, f"steps={10 + 3 * KILLS}", "checkpoint_every=2", "validation.every=5"]
    sets.append(f"plan.precision={precision}")
    Training(script, ball_data, sets, tmp_path / "quiet", resume=False).finish()
    dice = random.Random(4)
    kills = 0
    while kills < KILLS:
        training = Training(script, ball_data, sets, tmp_path / "killed", resume=kills > 0)
        if not training.kill_after(dice.randint(1, 6), dice.uniform(0, 0.05)):
            break
        kills += 1
    assert kills >= min(KILLS, 2)
    Training(script, ball_data, sets, tmp_path / "killed", resume=True).finish()
    assert_same(tmp_path / "quiet", tmp_path / "killed")


def assert_same(quiet: Path, killed: Path) -> None:
    assert (quiet / "metrics.csv").read_bytes() == (killed / "metrics.csv").read_bytes()
    first, second = (read_weights(run / "checkpoints" / "last.pt") for run in (quiet, killed))
    assert first["step"] == second["step"]
    for part in ("network", "average"):
        assert all(torch.equal(first[part][name], second[part][name]) for name in first[part])
    assert losses(quiet) == losses(killed)
    one, other = (torch.load(run / "model" / "models" / "model.pt", weights_only=True) for run in (quiet, killed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def losses(run: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines if line["event"] == "step"]
