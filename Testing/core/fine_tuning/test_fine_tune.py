"""A model is taught corrections through the command line; the old one stays, and both are judged on other people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from softseg import SoftParcellation
from softseg.data import Dataset
from softseg.errors import CancelledError
from softseg.events import CancelToken, Events, ListSink
from softseg.fine_tuning import fine_tune, fine_tuning_recipe
from softseg.network import ModelFolder
from softseg.prediction.record import model_digest
from softseg.training import Recipe, train
from softseg.tree import LabelTree
from softseg.yaml_text import load_yaml

QUICK = ["--device", "cpu", "--set", "steps=6", "--set", "validation.every=6", "--quiet"]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.fixture(scope="module")
def data(world, tmp_path_factory) -> Path:
    """The corrected results, with the person of the original data who is held out."""
    from softseg.data import import_corrections

    out = tmp_path_factory.mktemp("corrections") / "DATA.json"
    return import_corrections(world.results, out, original=world.data)


def test_results_are_found_by_what_the_prediction_wrote(world, data) -> None:
    cases = {case.id: case for case in Dataset.load(data).cases}
    assert set(cases) == {"1", "2", "case0", "case1", "case2", "case3"}
    assert {name: case.split for name, case in cases.items()}["case3"] == "test"
    assert cases["1"].group == "person1"
    assert cases["1"].images == {"T1": world.folder / "1.nii.gz"}
    assert cases["1"].corrected is not None


def test_a_model_is_fine_tuned_and_judged_before_and_after(cli, world, data, tmp_path) -> None:
    before = digest(world.model)
    answer = cli("train", data, "--from", world.model, "--out", tmp_path / "run", *QUICK)
    assert answer.code == 0, answer.err
    assert digest(world.model) == before
    comparison = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert comparison["held_out"]
    assert [case["case"] for case in comparison["cases"]] == ["case3"]
    assert {"dice/leaves", "soft_dice/leaves", "dice/level 1"} <= set(comparison["scores"])
    (case,) = comparison["cases"]
    assert comparison["scores"]["dice/leaves"]["before"] == pytest.approx(case["before"]["dice/leaves"])
    text = (tmp_path / "run" / "comparison.md").read_text()
    assert "| dice/leaves | 1 |" in text
    assert "| case3 | test | dice/leaves |" in text

    old, new = ModelFolder.load(world.model), ModelFolder.load(tmp_path / "run" / "model")
    assert new.plan == old.plan
    assert new.tree == old.tree
    details = new.metadata["softseg"]["details"]
    assert details["fine_tuned_from"] == {"name": old.name, "digest": model_digest(old)}
    assert {(one["case"], one["node"], one["is_node"], one["author"]) for one in details["corrections"]} == {
        (case, *said)
        for case in ("1", "2")
        for said in (("core", True, "Ada"), ("ball", True, "Ada"), ("rim", False, "Bob"))
    }
    known = {said.id for name in ("1", "2") for said in SoftParcellation.load(results(data)[name]).corrections}
    assert {one["id"] for one in details["corrections"]} == known
    card = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "## Fine-tuned" in card
    assert "| not rim |" in card


def results(data: Path) -> dict[str, Path]:
    return {case.id: case.corrected for case in Dataset.load(data).cases if case.corrected is not None}


def test_the_scores_before_are_those_of_the_old_model(cli, world, data, tmp_path) -> None:
    """An independent look at the held-out case: predict and evaluate it by the other commands."""
    assert cli("train", data, "--from", world.model, "--out", tmp_path / "run", *QUICK).code == 0
    scores = json.loads((tmp_path / "run" / "comparison.json").read_text())["cases"][0]
    for name, model in (("before", world.model), ("after", tmp_path / "run" / "model")):
        out = tmp_path / name
        assert cli("predict", model, world.folder / "3.nii.gz", "--out", out, "--device", "cpu", "--quiet").code == 0
        predicted = SoftParcellation.load(next(out.rglob("*.soft.npz")))
        from softseg.image import read_image

        truth = read_image(world.folder / "3-labels.nii.gz", labels=True).array
        labels = predicted.labels(2)
        dice = [2 * ((labels == v) & (truth == v)).sum() / ((labels == v).sum() + (truth == v).sum()) for v in (1, 2)]
        assert scores[name]["dice/leaves"] == pytest.approx(np.mean(dice), abs=1e-6)


def test_the_recipe_is_the_models_own_with_a_low_rate_and_a_short_schedule(world) -> None:
    model = ModelFolder.load(world.model)
    own, recipe = load_yaml(model.recipe), fine_tuning_recipe(model, ["steps=7"])
    assert recipe.optimizer.learning_rate == pytest.approx(own["optimizer"]["learning_rate"] / 20)
    assert recipe.steps == 7
    assert recipe.losses == own["losses"]
    assert recipe.targets == "soft"
    assert recipe.keep_statistics
    assert fine_tuning_recipe(model).steps < 4000


def test_batch_normalisation_keeps_its_statistics(cli, world, data, tmp_path) -> None:
    assert cli("train", data, "--from", world.model, "--out", tmp_path / "run", *QUICK).code == 0
    old, new = (ModelFolder.load(path).network.state_dict() for path in (world.model, tmp_path / "run" / "model"))
    kept = [name for name in old if name.endswith(("running_mean", "running_var"))]
    assert kept
    assert all(torch.equal(old[name], new[name]) for name in kept)
    assert any(not torch.equal(old[name], new[name]) for name in old if name.endswith("weight"))


def test_it_learns_what_was_said(world, data, tmp_path) -> None:
    """Without any opinion, the network comes to answer as the corrections do."""
    content = json.loads(data.read_text()) | {"opinion_weight": 0}
    content["cases"] = [case for case in content["cases"] if case["id"] in ("1", "2")]
    alone = data.with_name("alone.json")
    alone.write_text(json.dumps(content))
    sink = ListSink()
    sets = ["steps=60", "optimizer.learning_rate=0.01", "validation.every=60"]
    fine_tune(Dataset.load(alone), world.model, tmp_path / "run", sets=sets, device="cpu", events=Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert any("no case is held out" in text for text in warnings)
    comparison = json.loads((tmp_path / "run" / "comparison.json").read_text())
    assert not comparison["held_out"]
    assert [case["corrected"] for case in comparison["cases"]] == [True, True]
    agreement = comparison["scores"]["agreement"]
    assert agreement["after"] > agreement["before"]
    assert "No case was held out" in (tmp_path / "run" / "comparison.md").read_text()


def test_an_ensemble_is_fine_tuned_network_by_network(cli, world, data, tmp_path, loaded: Callable) -> None:
    before = digest(world.ensemble)
    answer = cli("train", data, "--from", world.ensemble, "--out", tmp_path / "run", *QUICK)
    assert answer.code == 0, answer.err
    assert digest(world.ensemble) == before
    assert {place.name for place in (tmp_path / "run" / "members").iterdir()} == {"one", "two"}
    old, new = loaded(world.ensemble), loaded(tmp_path / "run" / "model")
    assert [model.path.name for model in new] == [model.path.name for model in old]
    for one, other in zip(old, new, strict=True):
        pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
        assert any(not torch.equal(a, b) for a, b in pairs)
        assert other.metadata["softseg"]["details"]["fine_tuned_from"]["digest"] == model_digest(one)
    content = json.loads((tmp_path / "run" / "model" / "ensemble.json").read_text())
    assert content["name"] == "both, fine-tuned"
    assert [each["digest"] for each in content["details"]["fine_tuned_from"]["members"]] == list(map(model_digest, old))
    assert json.loads((tmp_path / "run" / "comparison.json").read_text())["new"] == "both, fine-tuned"


@pytest.mark.parametrize("kind", ["model", "ensemble"])
def test_a_stopped_run_goes_on_to_the_same_model(world, data, tmp_path, kind, loaded: Callable) -> None:
    class StopsAt(ListSink):
        def write(self, event) -> None:
            super().write(event)
            if event["event"] == "progress" and event["stage"] == "train" and event["done"] == 3:
                token.cancel()

    model, dataset = getattr(world, kind), Dataset.load(data)
    sets = ["steps=6", "validation.every=6"]
    fine_tune(dataset, model, tmp_path / "whole", sets=sets, device="cpu")
    token = CancelToken()
    with pytest.raises(CancelledError):
        fine_tune(dataset, model, tmp_path / "run", sets=sets, device="cpu", events=Events(StopsAt(), token))
    assert not (tmp_path / "run" / "comparison.json").exists()
    fine_tune(dataset, model, tmp_path / "run", sets=sets, device="cpu", resume=True)
    for one, other in zip(loaded(tmp_path / "whole" / "model"), loaded(tmp_path / "run" / "model"), strict=True):
        for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)
    assert (tmp_path / "run" / "comparison.json").is_file()


def test_losses_that_know_leaves_alone_learn_from_groups_too(world, data, tmp_path, tiny) -> None:
    made = train(
        Dataset.load(world.folder / "first.json"), Recipe.load("softseg", tiny), tmp_path / "wing", device="cpu"
    )
    sink = ListSink()
    sets = ["steps=2", "validation.every=2"]
    fine_tune(Dataset.load(data), made, tmp_path / "run", sets=sets, device="cpu", events=Events(sink))
    said = [event["text"] for event in sink.events if event["event"] in ("log", "warning")]
    assert not any("carry the name of a group" in text for text in said)
    cases = [json.loads(file.read_text()) for file in (tmp_path / "run" / "cache").glob("*/case.json")]
    weighted = [case for case in cases if case["weighted"]]
    assert len(weighted) == 2
    assert all(set(case["class_voxels"]) <= {"0", "1", "2"} for case in weighted)


# -- refusals ----------------------------------------------------------------------------------------------------------


def refused(answer, *words: str) -> None:
    assert answer.code == 2, answer.err
    message = answer.err.strip().splitlines()[-1]
    assert all(word in message for word in words), message


def changed(data: Path, name: str, **more) -> Path:
    path = data.with_name(name)
    path.write_text(json.dumps(json.loads(data.read_text()) | more))
    return path


def test_another_tree_is_refused(cli, world, data, tmp_path) -> None:
    tree = LabelTree.load(world.folder / "tree.json").remove("rim")
    tree.save(data.with_name("other-tree.json"))
    other = changed(world.data, "other.json", tree=str(data.with_name("other-tree.json")))
    answer = cli("train", other, "--from", world.model, "--out", tmp_path / "run", *QUICK)
    refused(answer, "its label tree", "is not", "'rim'", "results teach a model of their own tree")
    answer = cli("train", data, "--from", world.model, "--tree", world.folder / "tree.json", "--out", tmp_path, *QUICK)
    refused(answer, "--tree", "keeps its label tree")


def test_results_that_nobody_corrected_teach_nothing(cli, world, data, tmp_path) -> None:
    name = results(data)["1"]
    SoftParcellation.load(name).predicted.save(tmp_path / "plain.soft.npz")
    entry = {"id": "a", "group": "a", "split": "train", "images": {"T1": str(world.folder / "1.nii.gz")}}
    plain = changed(data, "plain.json", cases=[{**entry, "labels": str(tmp_path / "plain.soft.npz")}])
    answer = cli("train", plain, "--from", world.model, "--out", tmp_path / "run", *QUICK)
    refused(answer, "none of the results of its training cases was corrected", "correct a result first")
    assert not (tmp_path / "run").exists()


def test_the_old_model_is_never_written_over(cli, world, data) -> None:
    before = digest(world.model)
    answer = cli("train", data, "--from", world.model, "--out", world.model.parent, *QUICK)
    refused(answer, "would replace the model it starts from")
    assert digest(world.model) == before


def test_preparation_and_network_stay(cli, world, data, tmp_path) -> None:
    answer = cli(
        "train", data, "--from", world.model, "--out", tmp_path / "run", *QUICK, "--set", "plan.spacing=[1, 1, 1]"
    )
    refused(answer, "plan.spacing", "keeps its preparation and its network")


def test_something_must_be_given_to_train_by(cli, data, tmp_path) -> None:
    refused(cli("train", data, "--out", tmp_path / "run"), "--recipe", "--from")
