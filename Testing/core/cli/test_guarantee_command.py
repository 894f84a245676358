"""``softseg guarantee`` and ``predict --guarantee``: found on people, used, refused where it would not hold."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.image import read_image
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.soft.guarantee import Guarantee, Person
from softseg.soft.parcellation import SoftParcellation

CPU = ("--device", "cpu", "--quiet")


@pytest.fixture
def everybody(world: Path, change_json: Callable) -> Path:
    """The dataset with both people in the split test."""

    def change(content: dict) -> None:
        for case in content["cases"]:
            case["split"] = "test"

    change_json(world / "DATA.json", change)
    return world / "DATA.json"


def test_probabilities_of_wrong_answers_are_those_of_the_label_maps(
    cli: Callable, everybody: Path, model: Path
) -> None:
    answer = cli("guarantee", model, everybody, "--split", "test", "--device", "cpu", "--events", "json")
    assert (answer.code, answer.err) == (0, "")
    found = Guarantee.load(model / "guarantee.json")
    assert not found.crossed
    assert len(found.people) == 2
    warnings = [json.loads(line) for line in answer.out.splitlines()]
    assert any("0.667 at most; 0.9 takes 9" in event.get("text", "") for event in warnings)

    out = everybody.parent / "out"
    assert cli("predict", model, everybody.parent / "scan0.nii.gz", "--out", out, *CPU).code == 0
    soft = SoftParcellation.load(next(out.glob("*/soft.soft.npz")))
    values = soft.tree.node_values()
    truth = read_image(everybody.parent / "labels0.nii.gz").array.astype(int)
    counted = (truth > 0) | (soft.labels(soft.tree.depth) > 0) | (soft.probability("background") < 1)
    for position, level in ((0, 0.5), (20, 0.7), (50, 1.0)):
        answers = soft.confident_labels(level).astype(int)
        wrong = np.zeros(truth.shape, bool)
        for node in soft.tree.nodes:
            leaves = [leaf.value for leaf in soft.tree.leaves_under(node.id)]
            wrong |= (answers == values[node.id]) & ~np.isin(truth, leaves)
        ours = found.people[0].wrong[position]
        assert ours == pytest.approx(np.count_nonzero(wrong & counted) / np.count_nonzero(counted), abs=0.02)


def with_people(model: Path, cli: Callable, everybody: Path, people: int, wrong: float) -> None:
    """Give a model a guarantee of many people of whom it is right more often the surer it is."""
    assert cli("guarantee", model, everybody, "--split", "test", *CPU).code == 0
    found = Guarantee.load(model / "guarantee.json")
    curve = wrong * (1 - np.linspace(0, 1, 51))
    many = tuple(Person(str(number), curve * (1 + 0.01 * number)) for number in range(people))
    Guarantee(found.levels, many, found.model, found.crossed).save(model / "guarantee.json")


def test_predict_takes_the_level_from_it(cli: Callable, everybody: Path, model: Path) -> None:
    with_people(model, cli, everybody, 9, 0.2)
    scan, out = everybody.parent / "scan0.nii.gz", everybody.parent / "out"
    answer = cli("predict", model, scan, "--out", out, "--guarantee", "0.05", "--device", "cpu", "--events", "json")
    assert not answer.err
    level = Guarantee.load(model / "guarantee.json").level(0.05)
    assert 0.87 < level < 0.9
    assert next(out.glob(f"*/labels_confidence{level:g}.nii.gz")).is_file()
    record = json.loads(next(out.glob("*/prediction.json")).read_text(encoding="utf-8"))
    assert record["settings"]["guarantee"] == [0.05, 0.9]
    assert "on a new person like the 9 that were asked" in answer.out
    assert cli("predict", model, scan, "--out", out, "--guarantee", "0.05", *CPU).code == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--guarantee", "0.05", "--guarantee-confidence", "0.95"), "9 people cannot vouch for a confidence of 0.95"),
        (("--guarantee", "0.05", "--confidence", "0.9"), "give either --confidence or --guarantee"),
        (("--guarantee", "0.05", "--uncertainty", "tta:2"), "--uncertainty changes the probabilities"),
        (("--guarantee", "0.05", "--overlap", "0.25"), "--overlap changes the probabilities"),
        (("--guarantee", "0.05", "--mask", "none"), "--mask changes the probabilities"),
        (("--guarantee", "0"), "expected a number above 0 and below 1"),
    ],
)
def test_what_is_refused(cli: Callable, everybody: Path, model: Path, options: tuple[str, ...], message: str) -> None:
    with_people(model, cli, everybody, 9, 0.2)
    out = everybody.parent / "out"
    answer = cli("predict", model, everybody.parent / "scan0.nii.gz", "--out", out, *options, *CPU)
    assert answer.code == 2
    assert message in answer.err
    assert answer.err.count("\n") == 1
    assert not list(out.glob("*/soft.soft.npz"))


def test_a_model_without_one_says_how_to_find_it(cli: Callable, world: Path, model: Path) -> None:
    answer = cli("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--guarantee", "0.05", *CPU)
    assert answer.code == 2
    assert "carries no guarantee" in answer.err
    assert "softseg guarantee MODEL DATA.json" in answer.err


def test_it_does_not_outlive_a_new_calibration(cli: Callable, everybody: Path, model: Path) -> None:
    with_people(model, cli, everybody, 9, 0.2)
    assert cli("calibrate", model, everybody, "--split", "test", "--voxels", "2000", *CPU).code == 0
    scan = everybody.parent / "scan0.nii.gz"
    answer = cli("predict", model, scan, "--out", everybody.parent / "out", "--guarantee", "0.05", *CPU)
    assert answer.code == 2
    assert "the model has changed since this was found" in answer.err


def test_an_ensemble_is_asked_as_a_whole(cli: Callable, everybody: Path, model: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    from softseg.network import ModelFolder

    other = ModelFolder.load(model)
    second = tmp_path / "second"
    shutil.copytree(model, second)
    state = other.network.state_dict()
    torch.save(
        {name: value + 0.01 if value.is_floating_point() else value for name, value in state.items()},
        second / "models/model.pt",
    )
    both = save_ensemble([model, second], tmp_path / "both")
    assert cli("guarantee", both, everybody, "--split", "test", *CPU).code == 0
    assert len(Guarantee.load(both / "guarantee.json").people) == 2
    assert not (model / "guarantee.json").exists()
    answer = cli("guarantee", f"{model},{second}", everybody, "--split", "test", *CPU)
    assert answer.code == 2
    assert "several models that are no ensemble have no folder to keep this in" in answer.err


def test_predictions_of_other_models_cross_it(cli: Callable, everybody: Path, model: Path) -> None:
    world = everybody.parent
    out = world / "crossed"
    assert cli("predict", model, world / "scan0.nii.gz", world / "scan1.nii.gz", "--out", out, *CPU).code == 0
    # paired by the names of the label maps
    for number in (0, 1):
        (out / f"scan{number}").rename(out / f"case{number}")
    answer = cli("guarantee", model, everybody, "--split", "test", "--prediction", out, *CPU)
    assert (answer.code, answer.err) == (0, "")
    crossed = Guarantee.load(model / "guarantee.json")
    assert crossed.crossed
    assert cli("guarantee", model, everybody, "--split", "test", *CPU).code == 0
    own = Guarantee.load(model / "guarantee.json")
    for one, other in zip(crossed.people, own.people, strict=True):
        np.testing.assert_allclose(one.wrong, other.wrong)
    (out / "case1" / "soft.soft.npz").unlink()
    answer = cli("guarantee", model, everybody, "--split", "test", "--prediction", out / "case0", *CPU)
    assert answer.code == 2
    assert "predictions of the case 'case1'" in answer.err
