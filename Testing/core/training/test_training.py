from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from softseg import cgroups
from softseg.data import Dataset
from softseg.errors import CancelledError, InputError, OutOfMemoryError
from softseg.events import CancelToken, Events, ListSink
from softseg.network import ModelFolder, build_network, read_weights
from softseg.system import compute, precision
from softseg.training import Recipe, train, trainer
from softseg.training.warm_start import start_from
from softseg.tree import LabelTree


def texts(sink: ListSink, kind: str = "log") -> list[str]:
    return [event["text"] for event in sink.events if event["event"] == kind]


@pytest.fixture(scope="module")
def finished(balls: Dataset, tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ListSink]:
    """A finished training with the recipe soft-tree."""
    out, sink = tmp_path_factory.mktemp("finished") / "run", ListSink()
    assert train(balls, Recipe.load("soft-tree", tiny), out, events=Events(sink)) == out / "model"
    return out, sink


def test_everything_that_was_promised_is_written(finished: tuple[Path, ListSink]) -> None:
    out, _ = finished
    for name in ("recipe.yaml", "plan.json", "tree.json", "log.jsonl", "metrics.csv", "curves.png", "validation.png"):
        assert (out / name).stat().st_size > 0, name
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"last.pt", "best.pt"}
    assert list((out / "tensorboard").glob("events*"))
    assert not list(out.rglob(".unfinished*"))


def test_the_curves_hold_every_step_and_scores_per_level(finished: tuple[Path, ListSink]) -> None:
    out, _ = finished
    rows = list(csv.DictReader((out / "metrics.csv").open()))
    assert [int(row["step"]) for row in rows] == list(range(1, 9))
    names = [
        "dice/level 1",
        "dice/level 2",
        "dice/leaves",
        "soft_dice/level 1",
        "soft_dice/level 2",
        "soft_dice/leaves",
    ]
    assert list(rows[0]) == ["step", "loss", "learning_rate", *names]
    assert [row["step"] for row in rows if row["dice/leaves"]] == ["4", "8"]
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["loss"] for line in lines if line["event"] == "step"] == [float(row["loss"]) for row in rows]


def test_the_log_says_what_the_recipe_set(finished: tuple[Path, ListSink]) -> None:
    _, sink = finished
    said = "\n".join(texts(sink))
    for part in (
        "recipe soft-tree: soft targets, head softmax",
        "tree-wasserstein (weight 1.0) + tree-cross-entropy",
        "our defaults, not a paper's",
        "float32 on cpu",
        "3 training cases, 1 validation cases",
    ):
        assert part in said


@pytest.mark.parametrize(("tiles", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_precision_auto_takes_what_the_processor_is_good_at(
    tiles: bool,
    expected: str,
    balls: Dataset,
    tiny: list[str],
    finished: tuple[Path, ListSink],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "cpu_has_bfloat16_tiles", lambda: tiles)
    sink = ListSink()
    recipe = Recipe.load("soft-tree", [*tiny, "plan.precision=auto", "steps=1"])
    train(balls, recipe, tmp_path / "run", device="cpu", cache=finished[0] / "cache", events=Events(sink))
    assert f"computing in {expected} on cpu" in "\n".join(texts(sink))
    first = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    assert first["precision"] == expected


def test_progress_tells_the_time_left(finished: tuple[Path, ListSink]) -> None:
    _, sink = finished
    progress = [e for e in sink.events if e["event"] == "progress" and e["stage"] == "train"]
    assert [event["done"] for event in progress] == list(range(1, 9))
    assert all(event["seconds_left"] >= 0 for event in progress)


def test_the_log_says_why_the_training_ended(finished: tuple[Path, ListSink]) -> None:
    out, _ = finished
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    best = read_weights(out / "checkpoints" / "best.pt")["step"]
    assert [line for line in lines if line["event"] == "end"] == [
        {"event": "end", "step": 8, "reason": "steps", "best_step": best}
    ]


def test_the_model_is_the_best_network(finished: tuple[Path, ListSink]) -> None:
    out, _ = finished
    best = read_weights(out / "checkpoints" / "best.pt")
    model = ModelFolder.load(out / "model")
    for name, value in model.network.state_dict().items():
        torch.testing.assert_close(value, best["network"][name])
    assert [leaf.name for leaf in model.tree.leaves] == ["background", "core", "rim"]


def test_the_same_seed_gives_the_same_network(
    precision: str, balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    recipe = Recipe.load("soft-tree", [*tiny, f"plan.precision={precision}"])
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        train(balls, recipe, tmp_path / name, seed=seed, cache=finished[0] / "cache")
    one, again, other = ((tmp_path / name / "metrics.csv").read_bytes() for name in ("one", "again", "other"))
    assert one == again
    assert one != other


@pytest.mark.parametrize("name", ["softseg", "tree-wasserstein", "tree-wasserstein-dice", "tree-ce", "ce-dice"])
def test_every_recipe_learns(
    name: str, precision: str, balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    changes = [*tiny, "steps=30", "validation.every=30", "optimizer.learning_rate=0.01", "optimizer.warmup=0.2"]
    changes.append(f"plan.precision={precision}")
    train(balls, Recipe.load(name, changes), tmp_path / "run", cache=finished[0] / "cache")
    losses = [float(row["loss"]) for row in csv.DictReader((tmp_path / "run" / "metrics.csv").open())]
    assert np.mean(losses[-5:]) < 0.85 * np.mean(losses[:5])


def test_bfloat16_stays_close_to_float32(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    recipe = Recipe.load("soft-tree", [*tiny, "plan.precision=bfloat16"])
    train(balls, recipe, tmp_path / "run", cache=finished[0] / "cache")
    half, full = (
        [float(row["loss"]) for row in csv.DictReader((out / "metrics.csv").open())]
        for out in (tmp_path / "run", finished[0])
    )
    assert half != full
    np.testing.assert_allclose(half, full, rtol=0.05)


def test_a_tree_without_background_gets_one_and_says_so(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    sink, bare = ListSink(), balls.tree.remove("background")
    train(balls, Recipe.load("tree-ce", [*tiny, "steps=1"]), tmp_path / "run", tree=bare, events=Events(sink))
    assert "the tree has no background leaf: one was added under the root" in texts(sink)
    assert LabelTree.load(tmp_path / "run" / "tree.json").background is not None


def test_a_sparse_recipe_has_no_background(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    sink = ListSink()
    train(balls, Recipe.load("soft-tree", [*tiny, "sparse=true", "steps=2"]), tmp_path / "run", events=Events(sink))
    assert any(text.startswith("sparse: the background leaf is taken out") for text in texts(sink))
    model = ModelFolder.load(tmp_path / "run" / "model")
    assert [leaf.name for leaf in model.tree.leaves] == ["core", "rim"]
    assert model.head.background is None


def test_early_stop(balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path) -> None:
    sink = ListSink()
    changes = [*tiny, "steps=50", "validation.every=1", "validation.patience=2", "optimizer.learning_rate=1e-12"]
    train(
        balls,
        Recipe.load("soft-tree", [*changes, "average=null"]),
        tmp_path / "run",
        cache=finished[0] / "cache",
        events=Events(sink),
    )
    assert any("stopped early at step" in text for text in texts(sink))
    step = read_weights(tmp_path / "run" / "checkpoints" / "last.pt")["step"]
    assert step < 50
    end = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["step"], end["reason"]) == ("end", step, "early stopping")


def test_a_time_budget_ends_the_training_and_is_announced(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    sink = ListSink()
    recipe = Recipe.load("soft-tree", [*tiny, "steps=1000000", "minutes=0.001"])
    train(balls, recipe, tmp_path / "run", cache=finished[0] / "cache", events=Events(sink))
    assert any("not repeatable" in text for text in texts(sink))
    last = read_weights(tmp_path / "run" / "checkpoints" / "last.pt")
    assert last["step"] < 1000
    assert last["step"] in last["curve"]["scores"]  # validated at the end
    progress = [event for event in sink.events if event["event"] == "progress" and event["stage"] == "train"]
    assert [event["done"] for event in progress] == list(
        range(1, last["step"] + 1)
    )  # true steps, not the time's fraction
    assert all(event["done"] <= event["total"] for event in progress)
    assert progress[-1]["total"] == last["step"]
    end = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert (end["event"], end["reason"]) == ("end", "time")


def test_without_validation_cases_the_last_network_is_saved(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    from dataclasses import replace

    alone = replace(balls, cases=balls.split("train"))
    train(alone, Recipe.load("soft-tree", [*tiny, "steps=2"]), tmp_path / "run")
    last = read_weights(tmp_path / "run" / "checkpoints" / "last.pt")["average"]
    saved = ModelFolder.load(tmp_path / "run" / "model").network.state_dict()
    assert all(torch.equal(value, last[f"module.{name}"]) for name, value in saved.items())


def test_fine_tuning_starts_from_a_model(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    sink = ListSink()
    recipe = Recipe.load("soft-tree", [*tiny, "steps=1", f"init={finished[0] / 'model'}"])
    train(balls, recipe, tmp_path / "run", cache=finished[0] / "cache", events=Events(sink))
    assert any("weight tensors start from" in text for text in texts(sink))


def test_only_weights_that_fit_are_taken_from_a_model(finished: tuple[Path, ListSink]) -> None:
    model = ModelFolder.load(finished[0] / "model")
    channels, leaves = len(model.plan.channels), model.head.out_channels
    wider = build_network(model.plan.network, channels, leaves + 4, model.plan.dimensions)
    copied, total = start_from(finished[0] / "model", wider)
    assert 0 < total - copied <= 2  # all but the last layer
    with pytest.raises(InputError, match=r"init: no weight in it fits the network"):
        start_from(finished[0] / "model", torch.nn.Linear(1, 1))


def test_fine_tuning_starts_from_the_mean_weights_of_a_run(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    left = read_weights(finished[0] / "checkpoints" / "last.pt")["average"]
    recipe = Recipe.load("soft-tree", [*tiny, "steps=1", "optimizer.learning_rate=1e-30", f"init={finished[0]}"])
    train(balls, recipe, tmp_path / "run", cache=finished[0] / "cache")
    network = read_weights(tmp_path / "run" / "checkpoints" / "last.pt")["network"]
    learned = {name: value for name, value in network.items() if name.endswith("weight")}
    assert learned
    for name, value in learned.items():
        torch.testing.assert_close(value, left[f"module.{name}"])


class CancelAt(ListSink):
    """Asks to stop when the training has done some steps."""

    def __init__(self, token: CancelToken, step: int) -> None:
        super().__init__()
        self.token, self.step = token, step

    def write(self, event) -> None:
        super().write(event)
        if event["event"] == "progress" and event["stage"] == "train" and event["done"] == self.step:
            self.token.cancel()


def test_cancelling_leaves_a_run_that_can_be_resumed_exactly(
    precision: str, balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    token, out = CancelToken(), tmp_path / "run"
    recipe = Recipe.load("soft-tree", [*tiny, f"plan.precision={precision}"])
    train(balls, recipe, tmp_path / "quiet", cache=finished[0] / "cache")
    with pytest.raises(CancelledError):
        train(balls, recipe, out, cache=finished[0] / "cache", events=Events(CancelAt(token, 5), token))
    assert read_weights(out / "checkpoints" / "last.pt")["step"] in (5, 6)
    with pytest.raises(InputError, match=r"run: holds a training already; add --resume to go on"):
        train(balls, recipe, out, cache=finished[0] / "cache")
    with pytest.raises(InputError, match=r"was trained with seed 0, not 7; resume with --seed 0"):
        train(balls, recipe, out, seed=7, resume=True, cache=finished[0] / "cache")
    with pytest.raises(InputError, match=r"last.pt: was trained with another recipe"):
        train(balls, Recipe.load("tree-ce", tiny), out, resume=True, cache=finished[0] / "cache")
    assert Recipe.load(out / "recipe.yaml") == recipe  # the hint of that error names it
    train(balls, recipe, out, resume=True, cache=finished[0] / "cache")
    assert (out / "metrics.csv").read_bytes() == (tmp_path / "quiet" / "metrics.csv").read_bytes()


def test_running_out_of_memory_is_said_plainly(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(trainer, "_step", fail)
    with pytest.raises(
        OutOfMemoryError, match=r"1 patches of 16 x 16 x 16 voxels does not fit .*; try --set batch_size=1"
    ):
        train(balls, Recipe.load("soft-tree", tiny), tmp_path / "run", cache=finished[0] / "cache")


def test_on_the_cpu_of_a_machine_with_a_gpu_the_cpus_memory_is_planned_with(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute, "gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (80 * 2**30, 80 * 2**30))
    monkeypatch.setattr(cgroups, "memory_limits", lambda: [cgroups.MemoryLimit(4 * 2**30, 2 * 2**30)])
    sink = ListSink()
    recipe = Recipe.load("soft-tree", [*tiny, "steps=1"])
    train(balls, recipe, tmp_path / "run", device="cpu", cache=finished[0] / "cache", events=Events(sink))
    assert any(text.startswith("plan for 2 GB of CPU memory: ") for text in texts(sink))


def test_other_errors_of_the_network_are_not_called_memory(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(trainer, "_step", fail)
    with pytest.raises(RuntimeError, match=r"^shapes do not match$"):
        train(balls, Recipe.load("soft-tree", tiny), tmp_path / "run", cache=finished[0] / "cache")


def test_a_diverged_training_is_said_plainly(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    changes = [*tiny, "optimizer.learning_rate=1e30", "optimizer.warmup=0", "optimizer.gradient_clip=null"]
    with pytest.raises(InputError, match=r"loss: the loss is .* the training has diverged; resume from an earlier"):
        train(balls, Recipe.load("ce-dice", changes), tmp_path / "run", cache=finished[0] / "cache")


def test_one_switch_of_softseg_alone_trains_with_a_warning(
    balls: Dataset, tiny: list[str], finished: tuple[Path, ListSink], tmp_path: Path
) -> None:
    sink = ListSink()
    changes = [*tiny, "losses=[{name: dice, on: probabilities}]", "head=normrelu", "targets=crisp", "steps=1"]
    train(balls, Recipe.load("ce-dice", changes), tmp_path / "run", cache=finished[0] / "cache", events=Events(sink))
    assert any("normrelu belongs with soft targets" in str(event) for event in sink.events)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["head=normrelu"], "losses: the normrelu head has no logits for these losses; use adaptive-wing"),
        (
            ["losses=[{name: generalized-wasserstein-dice}]"],
            "targets: generalized-wasserstein-dice needs one label per",
        ),
        (["losses=[{name: nonsense}]"], "'nonsense' is not a loss"),
        (["augmentation.wobble=1"], "augmentation.wobble: unknown key; the keys here are rotation_degrees"),
        (["plan.network.name=ResNet"], "network.name: unknown network 'ResNet'; there are DynUNet, UNet"),
        (["init=/nowhere"], "/nowhere: no such model folder"),
        (["plan.precision=float16"], "precision: float16 is for GPUs"),
        (["plan.network.options.norm=bach"], "network.options: DynUNet refuses its options"),
        (
            ["validation.metric=dice/level 3"],
            "validation.metric: 'dice/level 3' is no score of a tree of 2 levels; choose from dice/leaves, "
            "dice/level 1, dice/level 2, soft_dice/leaves",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused_before_any_work(
    changes: list[str], message: str, balls: Dataset, tiny: list[str], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(balls, Recipe.load("soft-tree", [*tiny, *changes]), tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "cache").exists()


def test_the_output_must_be_a_folder(balls: Dataset, tiny: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file: expected a folder, got a file"):
        train(balls, Recipe.load("soft-tree", tiny), tmp_path / "file")
