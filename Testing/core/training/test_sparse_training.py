"""Positive-only training through the whole loop: recipes, scores of labelled voxels, cases without labels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import Image, read_image, write_image
from softseg.network import ModelFolder
from softseg.training import Recipe, train


@pytest.fixture
def scribbles(ball_data: Path, tmp_path: Path) -> Path:
    """The balls with a few painted voxels: some of the core, some of the rim, some known as ball alone (value 9)."""
    tree = json.loads((ball_data.parent / "tree.json").read_text())
    for node in tree["nodes"]:
        if node["id"] == "ball":
            node["value"] = 9
    (tmp_path / "tree.json").write_text(json.dumps(tree))
    content = json.loads(ball_data.read_text())
    generator = np.random.default_rng(5)
    for number, case in enumerate(content["cases"]):
        labels = read_image(ball_data.parent / case["labels"])
        painted = np.zeros_like(labels.array)
        for value in (1, 2):
            places = generator.choice(np.flatnonzero(labels.array == value), 24, replace=False)
            painted.flat[places] = value
            painted.flat[places[:6]] = 9
        write_image(Image(painted, labels.geometry), tmp_path / f"{number}-strokes.nii.gz")
        case["labels"] = f"{number}-strokes.nii.gz"
        case["images"] = {name: str(ball_data.parent / file) for name, file in case["images"].items()}
    (tmp_path / "DATA.json").write_text(json.dumps(content))
    return tmp_path / "DATA.json"


@pytest.mark.parametrize("name", ["sparse", "tree-wasserstein", "ce-dice", "soft-tree", "softseg"])
def test_every_recipe_learns_from_scribbles_alone(
    scribbles: Path, tiny: list[str], tmp_path: Path, name: str, precision: str
) -> None:
    recipe = Recipe.load(name, [*tiny, "steps=4", "sparse=true", f"plan.precision={precision}"])
    sink = ListSink()
    model = ModelFolder.load(train(Dataset.load(scribbles), recipe, tmp_path / "run", seed=1, events=Events(sink)))
    cannot = {"ce-dice": ("log", "DiceLoss"), "softseg": ("warning", "AdaptiveWingLoss")}.get(name)
    said = [(event["event"], event["text"]) for event in sink.events if "name of a group" in event.get("text", "")]
    assert [kind for kind, _ in said] == ([] if cannot is None else [cannot[0]])
    assert all("36 of 144 labelled voxels" in text and cannot[1] in text for _, text in said)
    assert [leaf.id for leaf in model.tree.leaves] == ["core", "rim"]
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["event"] == "step"]
    assert np.isfinite(losses).all()
    assert min(losses) > 0
    (scores,) = (line for line in lines if line["event"] == "validation")
    assert {f"{score}/{at}" for score in ("accuracy", "f1", "dice") for at in ("level 1", "leaves")} <= set(scores)
    assert scores["accuracy/level 1"] == 1 or name == "softseg"  # without background, only normalised ReLU can say none
    assert 0 <= scores["f1/leaves"] <= 1


def test_a_loss_for_leaves_alone_refuses_scribbles_on_groups_before_it_learns(
    scribbles: Path, tiny: list[str], tmp_path: Path
) -> None:
    losses = "losses=[{name: generalized-wasserstein-dice}, {name: cross-entropy}]"
    recipe = Recipe.load("ce-dice", [*tiny, "sparse=true", losses])
    with pytest.raises(
        InputError, match="36 of 144 labelled voxels carry the name of a group: generalized-wasserstein"
    ):
        train(Dataset.load(scribbles), recipe, tmp_path / "run")


def test_sparse_recipes_are_judged_on_labelled_voxels_unless_told_otherwise() -> None:
    assert Recipe.load("sparse").sparse
    assert Recipe.load("sparse").validation.metric == "f1/leaves"
    assert Recipe.load("tree-ce", ["sparse=true"]).validation.metric == "f1/leaves"
    assert Recipe.load("tree-ce").validation.metric == "dice/leaves"
    told = Recipe.load("sparse", ["validation.metric=accuracy/level 1", "validation.overlap=0.5"])
    assert told.validation.metric == "accuracy/level 1"
    assert told.validation.overlap == 0.5
    assert Recipe.from_dict(json.loads(told.model_dump_json())) == told


def test_a_case_without_labels_is_left_out_and_named(scribbles: Path, tiny: list[str], tmp_path: Path) -> None:
    content = json.loads(scribbles.read_text())
    first = scribbles.parent / content["cases"][0]["labels"]
    image = read_image(first)
    write_image(Image(np.zeros_like(image.array), image.geometry), first)
    sink = ListSink()
    train(Dataset.load(scribbles), Recipe.load("sparse", [*tiny, "steps=2"]), tmp_path / "run", events=Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert any("case0" in text and "no labelled voxel" in text for text in warnings)
