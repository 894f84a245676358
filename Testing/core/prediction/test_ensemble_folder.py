"""Several models in one folder: made, read, predicted with, shown; refused where one model is needed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from prediction_kit import make_plan, sided, two_leaves

from softseg import resources
from softseg.cli import run
from softseg.ensemble_file import EnsembleFile
from softseg.errors import InputError
from softseg.network import ModelFolder, build_network
from softseg.prediction import load_model, load_models, predict
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.prediction.model_summary import ModelSummary
from softseg.soft.calibration import Calibration
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree

SLICES = {"dimensions": 2, "spacing": (None, 2.0, 2.0), "patch_size": (16, 16)}


def trained(folder: Path, seed: int, tree: LabelTree | None = None, licence: str = "A", **plan: object) -> Path:
    """Write a model folder with random weights."""
    spec = {"name": "DynUNet", "options": {"filters": [2, 2, 2]}}
    made = make_plan(network=spec, **{**SLICES, **plan})
    tree = two_leaves() if tree is None else tree
    torch.manual_seed(seed)
    network = build_network(made.network, 1, len(tree.leaves), made.dimensions)
    details = {"name": folder.name, "licence": licence, "scores": {"dice": 0.5}}
    return ModelFolder.save(folder, network, made, tree, "head: softmax\n", details)


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    """The model of a run, called ``model``, and a folder of its own; one looks from the feet, one from the front."""
    return [trained(tmp_path / "axial" / "model", 0), trained(tmp_path / "front", 1, orientation="LSP", licence="B")]


def test_a_folder_predicts_the_mean_of_its_members(members: list[Path], scan: Callable[..., Path], tmp_path: Path):
    folder = save_ensemble(members, tmp_path / "both", {"name": "two ways", "scores": {"dice": 0.7512}})
    shutil.rmtree(tmp_path / "front")  # it is complete by itself
    models = load_models(folder)
    assert [model.path.name for model in models] == ["axial", "front"]
    file = scan()
    (found,) = predict(folder, [file], tmp_path / "out", nodes=["ball"])
    each = [predict(model, [file], tmp_path / model.path.name)[0].folder for model in models]
    probabilities = [SoftParcellation.load(case / "soft.soft.npz").probability("ball") for case in each]
    joint = SoftParcellation.load(found.folder / "soft.soft.npz")
    assert joint.model == "two ways"
    np.testing.assert_allclose(joint.probability("ball"), np.mean(probabilities, axis=0), atol=0.02)
    assert np.abs(probabilities[0] - probabilities[1]).max() > 0.05
    record = json.loads((found.folder / "prediction.json").read_text())
    assert record["model"]["name"] == "two ways"
    (again,) = predict(str(folder), [file], tmp_path / "out", nodes=["ball"])
    assert again.skipped


def names_best(folder: Path, member: str) -> None:
    """Say in the ensemble's file which member is best by itself."""
    file = folder / "ensemble.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"best": member}))


def test_fast_takes_the_member_that_is_best_by_itself(members: list[Path], scan: Callable[..., Path], tmp_path: Path):
    folder, file = save_ensemble(members, tmp_path / "both"), scan()
    with pytest.raises(InputError, match="does not name its best member"):
        predict(folder, [file], tmp_path / "out", fast=True)
    names_best(folder, "front")
    assert EnsembleFile.load(folder).to_json()["best"] == "front"  # type: ignore[union-attr]
    (fast,) = predict(folder, [file], tmp_path / "fast", fast=True)
    (alone,) = predict(members[1], [file], tmp_path / "alone")
    found, expected = (SoftParcellation.load(case.folder / "soft.soft.npz") for case in (fast, alone))
    assert found.model == expected.model
    np.testing.assert_array_equal(found.shares, expected.shares)
    assert not (fast.folder / "entropy.nii.gz").exists()
    (both,) = predict(folder, [file], tmp_path / "fast")
    assert not both.skipped


def test_fast_of_one_network_is_that_network(members: list[Path], scan: Callable[..., Path], tmp_path: Path) -> None:
    (found,) = predict(members[1], [scan()], tmp_path / "out", fast=True)
    assert SoftParcellation.load(found.folder / "soft.soft.npz").model == "front"
    with pytest.raises(InputError, match="several models are named"):
        predict(",".join(map(str, members)), [scan()], tmp_path / "out", fast=True)


def test_a_best_member_that_there_is_not_is_refused(members: list[Path], tmp_path: Path) -> None:
    folder = save_ensemble(members, tmp_path / "both")
    names_best(folder, "top")
    with pytest.raises(InputError, match="best: expected one of axial, front, got 'top'"):
        load_models(folder)


def test_what_a_person_sees_of_it(members: list[Path], tmp_path: Path) -> None:
    Calibration((1.5,)).save(members[0] / "calibration.json")
    told = {"training": "Ten steps each.", "command": "softseg train A", "scores": {"dice": 0.7512}}
    folder = save_ensemble(members, tmp_path / "both", {"description": "Two ways to look.", **told})
    summary = ModelSummary.load(folder)
    assert (summary.path, summary.name, summary.members) == (folder, "both", ("model", "front"))
    assert (summary.channels, summary.description, summary.licence) == (("T1",), "Two ways to look.", "A; B")
    assert (summary.scores, summary.outlier_score, summary.calibrated) == ({"dice": 0.7512}, "", False)
    assert summary.tree.nodes == two_leaves().nodes
    for text in (
        "# both",
        "slices across the long axis (axial)",
        "slices across front and back (coronal)",
        "| dice | 0",
        "## Training\n\nTen steps each.\n\n```\nsoftseg train A\n```\n",
    ):
        assert text in summary.card
    assert load_models(folder)[0].calibration == Calibration((1.5,))
    assert ModelSummary.load(members[1]).members == ()


def test_shipped_ensembles_are_found_by_name(
    members: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shipped" / "Models").mkdir(parents=True)
    save_ensemble(members, tmp_path / "shipped" / "Models" / "both")
    monkeypatch.setenv("SOFTSEG_RESOURCES", str(tmp_path / "shipped"))
    assert resources.list_models() == ["both"]
    assert ModelSummary.load("both").members == ("model", "front")
    assert [model.ensemble.name for model in load_models("both") if model.ensemble] == ["both", "both"]


def test_where_one_model_is_needed_it_is_refused(
    members: list[Path], scan: Callable[..., Path], tmp_path: Path
) -> None:
    folder = save_ensemble(members, tmp_path / "both")
    message = (
        r"both: holds an ensemble of 2 models, where one model is needed; name one of its members: members/axial, "
    )
    for call in (load_model, ModelFolder.load):
        with pytest.raises(InputError, match=message):
            call(folder)
    with pytest.raises(InputError, match="this ensemble carries no outlier score"):
        predict(folder, [scan()], tmp_path / "out", outliers=True)
    assert load_model(folder / "members" / "front").name == "front"


def test_ensembles_of_ensembles_and_repeated_names(members: list[Path], tmp_path: Path) -> None:
    first = save_ensemble(members, tmp_path / "first")
    third = trained(tmp_path / "other" / "front", 2)
    folder = save_ensemble([first, third], tmp_path / "second")
    assert EnsembleFile.load(folder).members == ("axial", "front", "front-2")
    assert [model.ensemble.name for model in load_models(folder) if model.ensemble] == ["second"] * 3
    again = save_ensemble([first, third], tmp_path / "second", {"name": "newer"})
    assert ModelSummary.load(again).name == "newer"


def test_the_command(members: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["ensemble", *map(str, members), "--out", str(tmp_path / "both"), "--name", "two", "--events", "json"]
    assert run([*command, "--description", "Two ways to look."]) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"event": "result", "name": "model", "path": str(tmp_path / "both")} in events
    summary = ModelSummary.load(tmp_path / "both")
    assert (summary.name, summary.description) == ("two", "Two ways to look.")
    assert run(["ensemble", str(members[0]), "--out", str(tmp_path / "one")]) == 2
    assert "MODEL: an ensemble needs at least two models" in capsys.readouterr().err


def test_what_cannot_be_made_is_refused(members: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "both"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    stranger = trained(tmp_path / "stranger", 3, sided())
    for given, target, message in (
        (members[:1], out, "MODEL: an ensemble needs at least two models"),
        ([members[0], members[0]], out, "MODEL: the same model is given twice"),
        ([members[0], stranger], out, "its label tree is not that of model"),
        ([members[0], tmp_path / "nowhere"], out, "no such model folder"),
        (members, tmp_path / "full", "full: exists already and is no ensemble"),
    ):
        with pytest.raises(InputError, match=message):
            save_ensemble(given, target)
    assert not out.exists()
    folder = save_ensemble(members, out)
    with pytest.raises(InputError, match="a member lies in the folder that would be replaced"):
        save_ensemble([*members, *[folder / "members" / "front"]], out)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "ensemble.json: .*is not valid JSON"),
        ({"members": ["axial", "front"]}, "format_version: expected a positive integer, got None"),
        ({"format_version": 2, "members": []}, "was written by a newer version"),
        ({"format_version": 1, "members": ["axial"]}, "members: expected a list of two or more folder names"),
        ({"format_version": 1, "members": ["axial", "../x"]}, "members: expected a list of two or more folder names"),
        ({"format_version": 1, "members": ["axial", "side"]}, "members/side: the ensemble lacks this member"),
        ({"format_version": 1, "members": ["axial", "front"], "details": 1}, "details: expected an object"),
    ],
)
def test_damaged_folders_are_plain_errors(content: object, message: str, members: list[Path], tmp_path: Path) -> None:
    folder = save_ensemble(members, tmp_path / "both")
    (folder / "ensemble.json").write_text(content if isinstance(content, str) else json.dumps(content))
    for read in (load_models, ModelSummary.load):
        with pytest.raises(InputError, match=message):
            read(folder)
