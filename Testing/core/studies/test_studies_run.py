"""Whole studies, through the command, on images of 24 x 24 pixels."""

from __future__ import annotations

import csv
import json
import queue
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from softseg.cli import run
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.studies import Study, run_study
from softseg.studies.plan.jobs import jobs_of
from softseg.studies.work import workers
from softseg.studies.work.running import StudyFolder
from softseg.studies.work.tables import RESULT_COLUMNS, read_results
from softseg.studies.work.workers import _work

StudyFile = Callable[..., Path]


def rows_of(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_comparison_from_file_to_report(study_file: StudyFile, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["study", str(study_file()), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    results = read_results(out / "results.csv")
    assert tuple(rows_of(out / "results.csv")[0]) == RESULT_COLUMNS
    assert {row.variant for row in results} == {"plain", "tree"}
    assert {row.case for row in results} == {"field3"}
    assert {row.unit for row in results} == {"farm3"}
    dice = {(row.variant, row.level): row.value for row in results if row.metric == "dice" and not row.node}
    assert set(dice) == {(variant, level) for variant in ("plain", "tree") for level in (1, 2)}
    compared = [row for row in rows_of(out / "statistics.csv") if row["metric"] == "dice" and row["level"] == "2"]
    assert [row["variant"] for row in compared] == ["tree"]
    expected = dice["tree", 2] - dice["plain", 2]
    assert float(compared[0]["difference"]) == pytest.approx(expected, rel=1e-4)
    mean = [
        row
        for row in rows_of(out / "means.csv")
        if (row["variant"], row["metric"], row["level"]) == ("tree", "dice", "2")
    ]
    assert [(row["units"], float(row["mean"])) for row in mean] == [("1", pytest.approx(dice["tree", 2], rel=1e-4))]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(text in page for text in ("Study: fields", "plain", "tree", "data:image/svg+xml"))
    assert "after Holm's correction over 2 comparisons 1" in page, "two levels"
    assert "no difference can be called significant at 5 %" in page
    assert not any((out / "work").iterdir())

    left = out / "work" / "whole_plain_seed-0_fold-split"  # as after a kill before it was removed
    left.mkdir(parents=True)
    sink = ListSink()  # the same again: nothing is left to do
    run_study(study_file(), out, device="cpu", events=Events(sink))
    assert not left.exists()
    assert "2 trainings, 0 of them to do" in [event["text"] for event in sink.events if event["event"] == "log"]
    changed = study_file(seeds=[0, 1])
    jobs = jobs_of(Study.load(changed), out, Events())
    assert [job.name for job in jobs if not (out / "jobs" / job.name).is_dir()] == [
        "whole_plain_seed-1_fold-split",
        "whole_tree_seed-1_fold-split",
    ]


def test_other_words_in_a_recipe_train_nothing_anew(study_file: StudyFile, tmp_path: Path) -> None:
    digests = []
    for words, weight in (("A first try.", 1.0), ("Explained better.", 1.0), ("Explained better.", 2.0)):
        recipe = tmp_path / "own.yaml"
        text = f"name: own\nexplanation: {words}\nhead: softmax\ntargets: crisp\nsteps: 2\n"
        recipe.write_text(text + f"losses: [{{name: cross-entropy, weight: {weight}}}]\n")
        file = study_file(variants=[{"name": "own", "recipe": str(recipe)}])
        (job,) = jobs_of(Study.load(file), tmp_path / "out", Events())
        digests.append(job.training_digest)
    assert digests[0] == digests[1] != digests[2]


def test_outliers_from_file_to_report(study_file: StudyFile, tmp_path: Path) -> None:
    variants = [{"name": "tree", "recipe": "sparse"}]
    file = study_file(
        kind="outliers", variants=variants, inner=2, scores=["max-softmax", "mahalanobis"], strokes=[{"share": 0.3}]
    )
    out = tmp_path / "out"
    assert run(["study", str(file), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    results = read_results(out / "results.csv")
    assert {row.density for row in results} == {"30%"}
    assert {row.held_out for row in results} == {"", "group-0", "group-1"}
    scores = {row.score for row in results if row.metric == "auroc"}
    assert scores == {"max-softmax", "mahalanobis", "level-max-softmax"}
    assert all(0 <= row.value <= 1 for row in results if row.metric in ("auroc", "aupr", "fpr95", "f1", "accuracy"))
    bounded = [row.value for row in results if row.metric == "accuracy_loss" and row.rule == "bounded"]
    assert bounded
    content = json.loads((out / "jobs" / "30pct_tree_seed-0_fold-split_group-0" / "job.json").read_text())
    assert content["held_nodes"] == ["corn", "oak"]
    assert content["cases"] == ["field2", "field3"]
    assert "Outliers: classes that were held out" in (out / "report.html").read_text(encoding="utf-8")


def test_a_failed_training_does_not_stop_the_others(
    study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "name": "wrong",
        "recipe": "sparse",
        "set": {"plan.network": "NoNet"},
    }
    out = tmp_path / "out"
    file = study_file(variants=[wrong, {"name": "tree", "recipe": "sparse"}])
    assert run(["study", str(file), "--out", str(out), "--device", "cpu", "--quiet"]) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert "1 trainings failed; the first, whole_wrong_seed-0_fold-split" in line
    assert (out / "jobs" / "whole_tree_seed-0_fold-split" / "results.csv").is_file()
    assert (out / "report.html").is_file()


def test_trainings_that_do_not_fit_into_memory_are_told_apart(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = iter([RuntimeError("std::bad_alloc"), MemoryError(), RuntimeError("std::bad_alloc"), ZeroDivisionError()])

    def fail(*_: object) -> None:
        raise next(said)

    monkeypatch.setattr(workers, "run_job", fail)
    out = tmp_path / "out"
    arguments = ["study", str(study_file()), "--out", str(out), "--device", "cpu", "--quiet"]
    assert run(arguments) == 3, "memory was the only reason"
    assert "2 trainings failed; the first, whole_plain_seed-0_fold-split: out of memory: std::bad_alloc" in (
        capsys.readouterr().err
    )
    assert run(arguments) == 2, "the second failed for another reason"


def test_a_finished_model_takes_the_place_of_training(study_file: StudyFile, tmp_path: Path) -> None:
    first = tmp_path / "first"
    file = study_file(variants=[{"name": "tree", "recipe": "sparse"}], keep_models=True)
    run_study(file, first, device="cpu")
    trained = first / "jobs" / "whole_tree_seed-0_fold-split"
    pattern = str(first / "jobs" / "whole_tree_seed-{seed}_fold-{fold}" / "model")
    out = tmp_path / "again"
    arguments = ["study", str(file), "--out", str(out), "--model", f"tree={pattern}", "--device", "cpu", "--quiet"]
    assert run(arguments) == 0
    again = read_results(out / "jobs" / trained.name / "results.csv")
    assert again == read_results(trained / "results.csv") or np.allclose(
        [row.value for row in again], [row.value for row in read_results(trained / "results.csv")], equal_nan=True
    )
    assert run(["study", str(file), "--out", str(out), "--model", "other=x", "--quiet"]) == 2


def errors_of(folder: Path, variant: str) -> list[float]:
    """Return the mean absolute error of every node, case and seed."""
    rows = read_results(folder / "results.csv")
    return [row.value for row in rows if (row.metric, row.variant) == ("mae", variant) and row.node]


def test_an_ensemble_of_variants_is_judged_and_like_a_finished_one(study_file: StudyFile, tmp_path: Path) -> None:
    pair = [{"name": "plain", "recipe": "ce-dice", "set": {"sparse": True}}, {"name": "tree", "recipe": "sparse"}]
    variants = [*pair, {"name": "joint", "members": ["plain", "tree"]}]
    file = study_file(variants=variants, keep_models=True, seeds=[0, 1])
    run_study(file, tmp_path / "first", device="cpu", jobs=2)
    jobs = tmp_path / "first" / "jobs"
    assert not (jobs / "whole_joint_seed-0_fold-split" / "model").exists()
    joint = errors_of(tmp_path / "first", "joint")
    assert len(joint) == len(errors_of(tmp_path / "first", "plain")) > 0

    for seed in (0, 1):
        members = [jobs / f"whole_{name}_seed-{seed}_fold-split" / "model" for name in ("plain", "tree")]
        save_ensemble(members, tmp_path / f"both-{seed}")
    finished = [{"name": "both", "recipe": "sparse", "model": str(tmp_path / "both-{seed}")}]
    run_study(study_file(variants=finished, seeds=[0, 1]), tmp_path / "second", device="cpu")
    assert errors_of(tmp_path / "second", "both") == pytest.approx(joint)


def test_an_ensemble_of_variants_says_the_mean_of_what_they_say(study_file: StudyFile, tmp_path: Path) -> None:
    """One member is made to say corn everywhere, the other wheat: the ensemble is half wrong about both, everywhere."""
    pair = [{"name": name, "recipe": "sparse"} for name in ("corn", "wheat")]
    run_study(study_file(variants=pair, keep_models=True), tmp_path / "out", device="cpu")
    for leaf, name in enumerate(("corn", "wheat")):
        weights = tmp_path / "out" / "jobs" / f"whole_{name}_seed-0_fold-split" / "model" / "models" / "model.pt"
        content = {key: torch.zeros_like(value) for key, value in torch.load(weights).items()}
        (bias,) = (key for key in content if key.endswith("output_block.conv.conv.bias"))
        content[bias][leaf] = 100
        torch.save(content, weights)
    variants = [*pair, {"name": "joint", "members": ["corn", "wheat"]}]
    run_study(study_file(variants=variants, keep_models=True), tmp_path / "out", device="cpu", judge_again=True)
    rows = read_results(tmp_path / "out" / "results.csv")
    found = {(row.variant, row.node): row.value for row in rows if row.metric == "mae"}
    for leaf in ("corn", "wheat"):
        assert found["joint", leaf] == pytest.approx(0.5, abs=0.005)
        assert found[leaf, leaf] > 0.6, "of all voxels, all but those of this leaf are wrong"
        assert found["wheat" if leaf == "corn" else "corn", leaf] == 1
    assert found["joint", "oak"] == found["corn", "oak"] == found["wheat", "oak"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep_models": None}, "members are for kind: compare, and need keep_models: true"),
        ({"members": ["tree", "other"]}, "'other' is no variant above that is trained; there are plain, tree"),
        ({"members": ["tree"]}, "members: expected at least two different variants"),
        ({"recipe": "sparse"}, "members cannot be combined with recipe"),
    ],
)
def test_wrong_members_are_named(study_file: StudyFile, changes: dict[str, object], message: str) -> None:
    keep = changes.pop("keep_models", True)
    pair = [{"name": name, "recipe": "sparse"} for name in ("plain", "tree")]
    variants = [*pair, {"name": "joint", "members": ["plain", "tree"], **changes}]
    with pytest.raises(InputError, match=message):
        Study.load(study_file(variants=variants, keep_models=keep))


def test_a_worker_does_jobs_until_there_are_none(study_file: StudyFile, tmp_path: Path) -> None:
    """The body of a worker process, in this one: what it tells the process that started it."""
    file = study_file(variants=[{"name": "tree", "recipe": "sparse"}, {"name": "other", "recipe": "sparse"}])
    study, place = Study.load(file), StudyFolder(tmp_path / "out", "cpu")
    names = [job.name for job in jobs_of(study, place.out, Events())]
    todo: queue.Queue[str | None] = queue.Queue()
    told: queue.Queue[tuple[str, str, str]] = queue.Queue()
    for name in [names[0], None]:
        todo.put(name)
    _work(study, place, todo, told, str(tmp_path / "stop"), 1)
    heard = [told.get_nowait() for _ in range(told.qsize())]
    assert heard[-1] == ("done", names[0], "")
    assert (place.out / "jobs" / names[0] / "job.json").is_file()
    assert not (place.out / "jobs" / names[1]).exists()

    (tmp_path / "stop").touch()  # the user's wish to stop
    todo.put(names[1])
    _work(study, place, todo, told, str(tmp_path / "stop"), 1)
    assert not (place.out / "jobs" / names[1]).exists()


def test_nothing_to_report_is_said(study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["study", str(study_file()), "--out", str(tmp_path / "out"), "--report-only", "--quiet"]
    assert run(arguments) == 2
    assert "no training is finished" in capsys.readouterr().err


def test_kept_models_are_judged_again_without_training(study_file: StudyFile, tmp_path: Path) -> None:
    """The kept model's last layer is emptied in between: what comes out tells which model was judged."""
    out = tmp_path / "out"
    file = study_file(keep_models=True)
    arguments = ["study", str(file), "--out", str(out), "--device", "cpu", "--quiet"]
    assert run(arguments) == 0
    changed, forgotten = (out / "jobs" / f"whole_{name}_seed-0_fold-split" for name in ("plain", "tree"))
    before = json.loads((changed / "job.json").read_text())
    weights = changed / "model" / "models" / "model.pt"
    torch.save({name: torch.zeros_like(value) for name, value in torch.load(weights).items()}, weights)
    emptied = weights.read_bytes()
    shutil.rmtree(forgotten / "model")
    kept = (forgotten / "job.json").read_text()

    assert run(arguments) == 0
    assert json.loads((changed / "job.json").read_text()) == before, "nothing to do unless asked"
    assert run([*arguments, "--judge-again"]) == 0
    after = json.loads((changed / "job.json").read_text())
    assert weights.read_bytes() == emptied
    assert after["seconds_training"] == before["seconds_training"]
    assert after["finished"] == before["finished"]
    assert "judged" in after
    assert (changed / "metrics.csv").is_file()
    labels = {row.node for row in read_results(changed / "results.csv") if row.metric == "dice" and row.value > 0}
    assert len(labels - {""}) <= 2, "an empty network says the same leaf everywhere"
    assert (forgotten / "job.json").read_text() == kept, "without its model it keeps its numbers"
    assert run([*arguments, "--judge-again", "--report-only"]) == 2


def test_other_questions_to_a_kept_model_need_no_training(study_file: StudyFile, tmp_path: Path) -> None:
    only = [{"name": "tree", "recipe": "sparse"}]
    out = tmp_path / "out"
    run_study(study_file(variants=only, keep_models=True, labelled_only=False), out, device="cpu")
    folder = out / "jobs" / "whole_tree_seed-0_fold-split"
    first = json.loads((folder / "job.json").read_text())
    run_study(study_file(variants=only, keep_models=True, labelled_only=False, surfaces=True), out, device="cpu")
    second = json.loads((folder / "job.json").read_text())
    assert second["digest"] != first["digest"]
    assert second["finished"] == first["finished"]
    hd95 = [row.value for row in read_results(folder / "results.csv") if row.metric == "hd95_mm"]
    assert np.isfinite(hd95).any()
    run_study(study_file(variants=only, keep_models=True, budget={"steps": 3}), out, device="cpu")
    assert "judged" not in json.loads((folder / "job.json").read_text()), "another recipe is trained"


def test_a_study_may_move_and_its_data_may_change(study_file: StudyFile, field_data: Path, tmp_path: Path) -> None:
    """Digests follow what DATA.json says, not where anything lies."""
    content = json.loads(field_data.read_text())
    for case in content["cases"]:
        case["images"] = {name: str(field_data.parent / file) for name, file in case["images"].items()}
        case["labels"] = str(field_data.parent / case["labels"])
    content["tree"] = str(field_data.parent / content["tree"])
    digests = []
    for number, name in enumerate(("one", "two", "three")):
        folder = tmp_path / name
        folder.mkdir()
        if number == 2:
            content["cases"][0]["labels"] = content["cases"][1]["labels"]
        (folder / "DATA.json").write_text(json.dumps(content))
        study = Study.load(study_file(data=str(folder / "DATA.json"), variants=[{"name": "tree", "recipe": "sparse"}]))
        [job] = jobs_of(study, folder / "out", Events())
        digests.append((job.training_digest, job.digest(study)))
    assert digests[0] == digests[1]
    assert digests[2][0] != digests[0][0]
