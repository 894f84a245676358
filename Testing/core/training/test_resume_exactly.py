"""A training that is stopped at any stage and goes on ends as one that nobody disturbed, to the last row and bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from softseg.data import Dataset
from softseg.errors import CancelledError
from softseg.events import CancelToken, Events, ListSink
from softseg.network import read_weights
from softseg.training import Recipe, hooks, train
from softseg.training.run import Run

STEPS = 8  # of the recipe ``tiny``, with validations after 4 and 8


class StopAt(ListSink):
    """Asks to stop when an event arrives that fits."""

    def __init__(self, token: CancelToken, fits: Callable[[dict[str, Any]], bool]) -> None:
        super().__init__()
        self.token, self.fits = token, fits

    def write(self, event: Any) -> None:
        super().write(event)
        if self.fits(event):
            self.token.cancel()


def step(number: int) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "progress" and event["stage"] == "train" and event["done"] == number


def stage(name: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event["event"] == "stage" and event["stage"].startswith(name)


def never(_event: dict[str, Any]) -> bool:
    return False


def before(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, call: int, token: CancelToken) -> None:
    """Ask to stop when a function of the training is called for the ``call``-th time, just before it works."""
    real, calls = getattr(owner, name), []

    def asked(*arguments: Any) -> Any:
        calls.append(name)
        if len(calls) == call:
            token.cancel()
        return real(*arguments)

    monkeypatch.setattr(owner, name, asked)


@pytest.fixture(scope="module")
def quiet(balls: Dataset, tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nobody disturbed."""
    out = tmp_path_factory.mktemp("quiet") / "run"
    train(balls, Recipe.load("soft-tree", tiny), out, device="cpu", pictures=False)
    return out


@pytest.mark.parametrize(
    "where",
    [
        "cases",
        "step 1",
        "step 4",
        "step 7",
        "last step",
        "validation 1",
        "validation 2",
        "model 1",
        "checkpoint 2",
        "checkpoint 4",
    ],
)
def test_a_stop_at_any_stage(
    where: str, quiet: Path, balls: Dataset, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, token, recipe = tmp_path / "run", CancelToken(), Recipe.load("soft-tree", tiny)
    fits: Callable[[dict[str, Any]], bool] = never
    kind, _, number = where.partition(" ")
    if kind == "cases":
        fits = stage("prepare")
    elif kind == "step":
        fits = step(int(number))
    elif kind == "last":
        fits = step(STEPS)
    else:
        owner, name = {"validation": (hooks, "validate"), "model": (hooks, "save_model"), "checkpoint": (Run, "save")}[
            kind
        ]
        before(monkeypatch, owner, name, int(number), token)
    sink = StopAt(token, fits)
    # a wish that comes with or after the last row finds nothing to stop
    try:
        train(balls, recipe, out, device="cpu", pictures=False, events=Events(sink, token))
    except CancelledError:
        assert token.requested
    else:
        assert where in ("last step",)
    assert token.requested
    monkeypatch.undo()
    train(balls, recipe, out, device="cpu", pictures=False, resume=True)
    same(quiet, out)


def same(one: Path, other: Path) -> None:
    assert (one / "metrics.csv").read_bytes() == (other / "metrics.csv").read_bytes()
    for name in ("last.pt", "best.pt"):
        first, second = (read_weights(run / "checkpoints" / name) for run in (one, other))
        assert first["step"] == second["step"]
        assert first["network"].keys() == second["network"].keys()
        assert all(torch.equal(value, second["network"][key]) for key, value in first["network"].items())
    models = [read_weights(run / "model" / "models" / "model.pt") for run in (one, other)]
    assert all(torch.equal(value, models[1][key]) for key, value in models[0].items())
    assert rows(one) == rows(other)


def rows(run: Path) -> list[dict[str, Any]]:
    """The log's steps and validations, without the time they took."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [
        {key: value for key, value in line.items() if key != "seconds"}
        for line in lines
        if line["event"] in ("step", "validation")
    ]
