"""Files that were written before the terms changed open, and hold what they held."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from softseg.cli import run
from softseg.data import Dataset
from softseg.image import read_image
from softseg.soft import SoftParcellation
from softseg.training import Recipe

FIXTURES = Path(__file__).resolve().parents[2] / "fixtures" / "before-terms"


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A copy that may be written into."""
    return Path(shutil.copytree(FIXTURES, tmp_path / "earlier"))


def soft(name: str) -> SoftParcellation:
    return SoftParcellation.load(FIXTURES / name)


def test_a_dataset() -> None:
    dataset = Dataset.load(FIXTURES / "dataset" / "DATA.json")
    assert [case.id for case in dataset.cases] == ["case0", "case1", "case2"]
    assert [case.split for case in dataset.cases] == ["train", "val", "test"]
    assert {case.opinion_weight for case in dataset.cases} == {0.4}
    assert [leaf.id for leaf in dataset.tree.leaves] == ["background", "core", "rim"]


def test_a_recipe_with_old_keys() -> None:
    file = FIXTURES / "model" / "recipe.yaml"
    assert "corrected_share: 0.25" in file.read_text(encoding="utf-8")
    recipe = Recipe.load(file)
    assert (recipe.name, recipe.steps, recipe.corrected_fraction) == ("softseg", 12, 0.25)
    assert recipe.lasting()["corrected_share"] == 0.25, "digests keep the first name of a key"


def test_a_soft_parcellation_has_the_volumes_that_were_written_beside_it() -> None:
    with (FIXTURES / "predicted" / "2" / "volumes.csv").open(newline="", encoding="utf-8") as stream:
        written = {row["id"]: float(row["soft_ml"]) for row in csv.DictReader(stream)}
    predicted = soft("predicted/2/soft.soft.npz")
    found = {id_: float(predicted.probability(id_).sum()) * predicted.geometry.voxel_volume_ml for id_ in written}
    assert len(found) == 5
    assert found == pytest.approx(written, abs=2e-3)


def test_a_correction() -> None:
    corrected, predicted = soft("corrected.soft.npz"), soft("predicted/2/soft.soft.npz")
    (correction,) = corrected.corrections
    assert (correction.node_id, correction.author, correction.time) == ("rim", "A. Reader", "2026-01-31T12:00:00Z")
    assert correction.voxel_count == 3
    assert corrected.probability("rim")[5, 6, 4:7].tolist() == [1.0] * 3
    assert np.array_equal(corrected.predicted.probability("core"), predicted.probability("core"))


def test_a_model_predicts_what_it_predicted(earlier: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="a model folder needs PyTorch")
    scan, out = earlier / "dataset" / "2.nii.gz", tmp_path / "out"
    assert run(["predict", str(earlier / "model"), str(scan), "--out", str(out), "--device", "cpu", "--quiet"]) == 0
    now, before = SoftParcellation.load(out / "2" / "soft.soft.npz"), soft("predicted/2/soft.soft.npz")
    assert now.tree == before.tree
    for leaf in now.tree.leaves:
        np.testing.assert_allclose(now.probability(leaf.id), before.probability(leaf.id), atol=2 / 255)


def test_a_prediction_is_evaluated(earlier: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="a report needs it")
    argv = ["evaluate", "--tree", str(earlier / "dataset" / "tree.json"), "--out", str(tmp_path / "out"), "--quiet"]
    argv += ["--prediction", str(earlier / "predicted"), "--reference", str(earlier / "dataset" / "2-labels.nii.gz")]
    assert run(argv) == 0
    predicted, reference = soft("predicted/2/soft.soft.npz"), read_image(earlier / "dataset" / "2-labels.nii.gz")
    core, true = predicted.labels(predicted.tree.depth) == 1, reference.array == 1
    dice = 2 * (core & true).sum() / (core.sum() + true.sum())
    with (tmp_path / "out" / "metrics.csv").open(newline="", encoding="utf-8") as stream:
        (row,) = [row for row in csv.DictReader(stream) if row["node"] == "core" and row["level"] == "2"]
    assert float(row["dice"]) == pytest.approx(dice, abs=1e-4)


@pytest.mark.slow
def test_a_study_is_finished_and_reported_anew_without_training(earlier: Path) -> None:
    pytest.importorskip("torch", reason="a study needs PyTorch")
    jobs = sorted((earlier / "study" / "jobs").glob("*/job.json"))
    before = [file.read_bytes() for file in jobs]
    assert len(before) == 2
    results = (earlier / "study" / "results.csv").read_bytes()
    out = str(earlier / "study")
    assert run(["study", str(earlier / "STUDY.yaml"), "--out", out, "--device", "cpu", "--quiet"]) == 0
    assert [file.read_bytes() for file in jobs] == before, "nothing was trained again"
    assert (earlier / "study" / "results.csv").read_bytes() == results
    summary = json.loads((earlier / "study" / "summary.json").read_text(encoding="utf-8"))
    assert {"plain", "tree"} <= set(json.dumps(summary).replace('"', " ").split())
    assert "BCa" in (earlier / "study" / "report.html").read_text(encoding="utf-8")
