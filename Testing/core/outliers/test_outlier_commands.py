"""``softseg outliers`` and ``predict --outliers`` on the command line, with what may go wrong there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outlier_kit import make_model, make_plan, save, tree, write_world

from softseg import SoftParcellation
from softseg.cli import run
from softseg.image import read_image, write_image
from softseg.network import Head, ModelFolder, build_network
from softseg.types import OUTLIER_VALUE

Line = Callable[..., tuple[int, str, str]]


@pytest.fixture
def softseg(capfd: pytest.CaptureFixture[str]) -> Line:
    """Runs a command; gives exit code, what it printed, and the one line of its error."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        written = capfd.readouterr()
        return code, written.out, written.err

    return call


@pytest.fixture(scope="session")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA.json in which every leaf is one that models know, with a background."""
    return write_world(tmp_path_factory.mktemp("known"), background=True, strange=False)


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make_model(background=True), tmp_path_factory.mktemp("models") / "plain")


@pytest.fixture
def model(untouched: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(untouched, tmp_path / "model"))


def test_from_fit_to_prediction(known: Path, model: Path, tmp_path: Path, softseg: Line) -> None:
    code, out, _ = softseg("outliers", "show", model)
    assert (code, "no outlier score yet" in out, "mahalanobis" in out) == (0, True, True)
    code, _, err = softseg("outliers", "fit", model, known, "--score", "mahalanobis", "--tpr", 0.6, "--device", "cpu")
    assert (code, err) == (0, "")
    code, out, _ = softseg("outliers", "show", model)
    assert code == 0
    assert "Mahalanobis distance to the nearest class (mahalanobis)" in out
    assert "estimated from 5760 labelled voxels of 1 cases: 4 class means of 8 features" in out
    assert "chosen to keep 0.6: 4896 known voxels of 1 cases, of which it keeps 60.01%" in out
    scan = known.parent / "scan2.nii.gz"
    for folder, *more in (("plain",), ("marked", "--outliers")):
        arguments = ("predict", model, scan, "--out", tmp_path / folder, "--cut", 1, "--device", "cpu")
        assert softseg(*arguments, *more)[0] == 0
    plain, marked = (tmp_path / folder / "scan2" for folder in ("plain", "marked"))
    assert not (plain / "outliers.nii.gz").exists()
    mask = read_image(marked / "outliers.nii.gz").array
    stored = SoftParcellation.load(marked / "soft.soft.npz").outliers
    assert stored is not None
    assert (mask.dtype, set(np.unique(mask))) == (np.uint8, {0, 1})
    np.testing.assert_array_equal(mask == 1, stored.mask())
    before, after = (read_image(folder / "labels_level1.nii.gz").array for folder in (plain, marked))
    np.testing.assert_array_equal(after[mask == 0], before[mask == 0])
    assert (after[mask == 1] == OUTLIER_VALUE).all()
    colors = [line.split() for line in (marked / "labels_level1.ctbl").read_text().splitlines()]
    assert [str(OUTLIER_VALUE), "Outlier", "128", "128", "128", "255"] in colors
    assert (plain / "volumes.csv").read_text() == (marked / "volumes.csv").read_text()


def test_a_copy_leaves_the_model_as_it_was(known: Path, model: Path, tmp_path: Path, softseg: Line) -> None:
    before = {file: file.read_bytes() for file in model.rglob("*") if file.is_file()}
    arguments = ("outliers", "fit", model, known, "--score", "energy", "--set", "temperature=2.5", "--device", "cpu")
    code, _, err = softseg(*arguments, "--out", tmp_path / "copy", "--threshold", -2)
    assert (code, err) == (0, "")
    assert {file: file.read_bytes() for file in model.rglob("*") if file.is_file()} == before
    copied = ModelFolder.load(tmp_path / "copy").outliers
    assert copied is not None
    assert (copied.threshold, dict(copied.options)) == (-2, {"temperature": 2.5})
    weights = Path("models", "model.pt")
    assert (tmp_path / "copy" / weights).read_bytes() == (model / weights).read_bytes()


def test_a_scan_is_predicted_again_when_the_score_changes(
    known: Path, model: Path, tmp_path: Path, softseg: Line
) -> None:
    fit = ("outliers", "fit", model, known, "--score", "entropy", "--device", "cpu", "--threshold")
    predict = ("predict", model, known.parent / "scan2.nii.gz", "--out", tmp_path / "out", "--device", "cpu")
    thresholds = []
    for threshold in (0.5, 0.7):
        assert softseg(*fit, threshold)[0] == 0
        assert softseg(*predict, "--outliers")[0] == 0
        stored = SoftParcellation.load(tmp_path / "out" / "scan2" / "soft.soft.npz").outliers
        thresholds.append(None if stored is None else stored.threshold)
    assert thresholds == [0.5, 0.7]
    assert softseg(*predict)[0] == 0
    assert SoftParcellation.load(tmp_path / "out" / "scan2" / "soft.soft.npz").outliers is None
    record = json.loads((tmp_path / "out" / "scan2" / "prediction.json").read_text())
    assert record["settings"]["outliers"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--score", "guess"), "score: unknown outlier score 'guess'; there are max-softmax, energy, entropy, odin"),
        (("--score", "godin"), "score: godin cannot be had from this model: it needs a head trained for it"),
        (("--score", "energy", "--tpr", "95"), "tpr: expected a fraction above 0, at most 1, got 95.0"),
        (("--score", "energy", "--held-out", "nowhere"), "nowhere"),
        (("--score", "energy", "--cases", "nobody"), "cases: no case has the id 'nobody'"),
        (("--score", "energy", "--set", "temperature"), "--set: expected key=value, got 'temperature'"),
        (("--score", "energy", "--set", "temperature=warm"), "temperature: expected a number of at least 0"),
        (("--score", "energy", "--set", "x=1"), "energy: unknown option 'x'; there are temperature"),
        (("--score", "energy", "--out", "{model}/inside"), "lies inside the model that is to be copied"),
        (("--score", "energy", "--out", "{data}"), "exists already and is not a model folder"),
    ],
)
def test_wrong_requests_are_one_line_and_change_nothing(
    arguments: tuple[str, ...], message: str, known: Path, model: Path, softseg: Line
) -> None:
    filled = [text.format(model=model, data=known) for text in arguments]
    code, _, err = softseg("outliers", "fit", model, known, *filled, "--device", "cpu")
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (model / "outliers.json").exists()


def test_a_shipped_model_is_not_changed(known: Path, softseg: Line) -> None:
    code, _, err = softseg("outliers", "fit", "cord-gm-soft/members/wing", known, "--score", "entropy")
    assert (code, err.count("\n")) == (2, 1)
    assert "'cord-gm-soft/members/wing' is a shipped model, which is not changed; add --out MODEL2" in err


def test_a_model_without_a_score_says_how_to_get_one(known: Path, model: Path, tmp_path: Path, softseg: Line) -> None:
    scan = known.parent / "scan2.nii.gz"
    code, _, err = softseg("predict", model, scan, "--out", tmp_path / "out", "--outliers")
    assert code == 2
    assert "this model carries no outlier score; fit one with softseg outliers fit, or leave --outliers out" in err
    assert not (tmp_path / "out").exists()


def test_other_data_is_refused(model: Path, tmp_path: Path, softseg: Line) -> None:
    data = write_world(tmp_path, background=True)
    assert "the model knows no leaf 'strange'" in softseg("outliers", "fit", model, data, "--score", "energy")[2]
    data = write_world(tmp_path, background=True, strange=False)
    data.write_text(data.read_text().replace('"T1"', '"T2"'))
    err = softseg("outliers", "fit", model, data, "--score", "energy")[2]
    assert "DATA.json: channels: the model needs the channel 'T1'; is it its data?" in err


def test_features_without_variance_are_one_line(known: Path, tmp_path: Path, softseg: Line) -> None:
    """All weights 0: every voxel has the same features, and there is no covariance."""
    base = make_model(background=True)
    network = build_network(base.plan.network, 1, 4, 3)
    for weight in network.parameters():
        weight.data.zero_()
    folder = save(replace(base, network=network.eval()), tmp_path / "dead")
    code, _, err = softseg("outliers", "fit", folder, known, "--score", "mahalanobis")
    assert (code, err.count("\n")) == (2, 1)
    assert "the features do not vary within the classes" in err


def test_a_class_with_one_voxel_and_dead_features_are_mended_aloud(tmp_path: Path, softseg: Line) -> None:
    data = write_world(tmp_path, background=True, strange=False)
    labels = read_image(tmp_path / "labels0.nii.gz")
    few = np.zeros_like(labels.array)
    few[1, 20, 5:9], few[2, 30, 5:9], few[2, 5, 30] = 1, 3, 2
    write_image(replace(labels, array=few), tmp_path / "labels0.nii.gz")
    plain = make_model()  # positive-only: 0 is unlabelled, nine voxels for eight features
    folder = save(plain, tmp_path / "model")
    code, out, err = softseg("outliers", "fit", folder, data, "--score", "mahalanobis", "--events", "json")
    assert (code, err) == (0, "")
    texts = [json.loads(line).get("text", "") for line in out.splitlines()]
    assert any("the covariance of the 8 features is (nearly) singular" in text for text in texts)
    fitted = ModelFolder.load(folder).outliers
    assert fitted is not None
    assert (fitted.estimated["voxels"], fitted.estimated["classes"]) == (9, 3)
    assert fitted.estimated["shrinkage"] > 0


def test_heads_have_their_scores(known: Path, tmp_path: Path, softseg: Line) -> None:
    plan, own = make_plan(), tree(background=True)
    head = Head("normrelu", 4, own.leaf_index("bg"))
    network = build_network(plan.network, 1, head.out_channels, 3).eval()
    recipe = "head: {name: normrelu}\ntargets: soft\n"
    folder = ModelFolder.save(tmp_path / "soft", network, plan, own, recipe, {"name": "soft"})
    code, _, err = softseg("outliers", "fit", folder, known, "--score", "energy")
    assert code == 2
    assert "energy cannot be had from this model: activations of the normrelu head are no logits; this model can" in err
    assert softseg("outliers", "fit", folder, known, "--score", "max-softmax")[0] == 0


def test_a_damaged_score_can_be_fitted_again(known: Path, model: Path, softseg: Line) -> None:
    (model / "outliers.json").write_text("{}", encoding="utf-8")
    code, _, err = softseg("outliers", "show", model)
    assert code == 2
    assert "fit the score again with softseg outliers fit" in err
    assert softseg("outliers", "fit", model, known, "--score", "entropy", "--device", "cpu")[0] == 0
    assert softseg("outliers", "show", model)[0] == 0
