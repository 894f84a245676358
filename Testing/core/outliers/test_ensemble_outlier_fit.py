"""``softseg outliers`` on an ensemble: fitted to what its members say together, kept in its folder, used by predict."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from outlier_kit import make_model, save, trained, tree, write_world

from softseg import SoftParcellation
from softseg.cli import run
from softseg.data import Dataset
from softseg.image import read_image
from softseg.network import build_network
from softseg.prediction import load_models, predict
from softseg.prediction.ensemble_folder import save_ensemble

SPACINGS = {"one grid": (2.0, 1.0, 1.0), "grids of their own": (2.0, 1.25, 1.5)}
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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA.json whose validation and test scans hold a leaf that nobody was trained on."""
    return write_world(tmp_path_factory.mktemp("strange"), background=True)


@pytest.fixture(scope="module", params=SPACINGS)
def members(request: pytest.FixtureRequest, data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models that learnt the training scans from different starts."""
    import torch

    folder, own = tmp_path_factory.mktemp("members"), Dataset.load(data, tree(background=True))
    first = make_model(background=True)
    second = make_model(background=True, spacing=SPACINGS[request.param])
    torch.manual_seed(7)
    second = replace(second, network=build_network(second.plan.network, 1, second.head.out_channels, 3))
    learnt = [trained(model, own, folder / "cache") for model in (first, second)]
    return [save(model, folder / name) for model, name in zip(learnt, ("one", "two"), strict=True)]


@pytest.fixture
def ensemble(members: list[Path], tmp_path: Path) -> Path:
    return save_ensemble(members, tmp_path / "both")


def fit(softseg: Line, ensemble: Path, data: Path, *more: object) -> tuple[int, str, str]:
    return softseg("outliers", "fit", ensemble, data, "--held-out", "strange", "--device", "cpu", *more)


def judged(ensemble: Path, data: Path, out: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, SoftParcellation]:
    """Return which known voxels of the validation scan are beyond the threshold, which are right, its labels."""
    (found,) = predict(ensemble, [data.parent / "scan1.nii.gz"], out, outliers=True)
    soft = SoftParcellation.load(found.folder / "soft.soft.npz")
    assert soft.outliers is not None
    labels = read_image(data.parent / "labels1.nii.gz").array
    known = (labels > 0) & (labels < 4)
    return soft.outliers.mask()[known], (soft.labels(soft.tree.depth) == labels)[known], labels, soft


@pytest.mark.parametrize("score", ["disagreement", "energy", "mahalanobis"])
def test_what_was_fitted_holds_in_prediction(
    softseg: Line, ensemble: Path, data: Path, tmp_path: Path, score: str
) -> None:
    before = {path: path.read_bytes() for path in (ensemble / "members").rglob("*") if path.is_file()}
    code, out, _ = softseg("outliers", "show", ensemble)
    assert (code, "both: no outlier score yet" in out, "disagreement" in out) == (0, True, True)
    code, _, err = fit(softseg, ensemble, data, "--score", score, "--tpr", 0.9)
    assert (code, err) == (0, "")
    assert {path: path.read_bytes() for path in (ensemble / "members").rglob("*") if path.is_file()} == before

    content = json.loads((ensemble / "outliers.json").read_text(encoding="utf-8"))
    beyond, right, labels, soft = judged(ensemble, data, tmp_path / "out")
    chosen = content["chosen"]
    assert (chosen["cases"], chosen["voxels"], chosen["held_out"]) == (["case1"], beyond.size, ["strange"])
    # the stored score is rounded, and the threshold lies between two of its steps
    assert chosen["known_kept"] == pytest.approx(1 - beyond.mean(), abs=0.01)
    assert chosen["known_kept"] == pytest.approx(0.9, abs=0.01)
    assert chosen["accuracy_before"] == pytest.approx(right.mean(), abs=0.005)
    assert chosen["accuracy_lost"] == pytest.approx((right & beyond).mean(), abs=0.01)
    assert soft.outliers is not None
    assert chosen["held_out_found"] == pytest.approx(soft.outliers.mask()[labels == 4].mean(), abs=0.02)
    if score == "mahalanobis":  # as bright as nothing that was trained
        assert chosen["held_out_found"] > 0.9

    code, out, _ = softseg("outliers", "show", ensemble)
    assert code == 0
    assert f"({score})" in out
    assert "chosen to keep 0.9" in out
    assert out.count("4 class means of 8 features") == (2 if score == "mahalanobis" else 0)


def test_the_members_keep_their_own_scales(softseg: Line, ensemble: Path, data: Path) -> None:
    assert fit(softseg, ensemble, data, "--score", "energy", "--set", "temperature=2")[0] == 0
    joint = load_models(ensemble)[0].ensemble
    assert joint is not None
    assert joint.outliers is not None
    one, two = joint.outliers.members
    assert (one.low, one.high) != (two.low, two.high)
    assert dict(one.options) == dict(two.options) == {"temperature": 2.0}
    assert 0 <= joint.outliers.low < joint.outliers.threshold < joint.outliers.high <= 1.2
    assert joint.outliers.chosen["accuracy_lost"] <= 0.005


def test_a_copy_leaves_the_ensemble_as_it_was(softseg: Line, ensemble: Path, data: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    options = ("--score", "disagreement", "--threshold", 0.05, "--out", copy)
    assert fit(softseg, ensemble, data, *options)[0] == 0
    assert not (ensemble / "outliers.json").exists()
    joint = load_models(copy)[0].ensemble
    assert joint is not None
    assert joint.outliers is not None
    assert (joint.outliers.threshold, joint.outliers.chosen["how"]) == (0.05, "given")
    assert joint.outliers.high <= 1.1 * math.log(4)
    assert fit(softseg, ensemble, data, *options)[0] == 0  # an ensemble may be replaced


def test_a_damaged_score_says_to_fit_it_again_and_that_works(
    softseg: Line, ensemble: Path, data: Path, tmp_path: Path
) -> None:
    assert fit(softseg, ensemble, data, "--score", "mahalanobis")[0] == 0
    (ensemble / "models" / "outliers.pt").write_bytes((ensemble / "models" / "outliers.pt").read_bytes() + b"x")
    code, _, err = softseg("predict", ensemble, data.parent / "scan2.nii.gz", "--out", tmp_path / "out", "--outliers")
    assert (code, err.count("\n")) == (2, 1)
    assert "fit the score again with softseg outliers fit" in err
    assert fit(softseg, ensemble, data, "--score", "mahalanobis")[0] == 0
    load_models(ensemble)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--score", "godin"), "score: godin cannot be had from this ensemble; this ensemble can have disagreement"),
        (("--score", "guess"), "score: guess cannot be had from this ensemble"),
        (("--score", "disagreement", "--set", "temperature=2"), "disagreement: unknown option 'temperature'"),
        (("--score", "disagreement", "--tpr", "95"), "tpr: expected a fraction above 0, at most 1, got 95"),
        (("--score", "disagreement", "--out", "{ensemble}/inside"), "lies inside the model that is to be copied"),
    ],
)
def test_wrong_requests_are_one_line_and_change_nothing(
    softseg: Line, ensemble: Path, data: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, err = fit(softseg, ensemble, data, *(text.format(ensemble=ensemble) for text in options))
    assert (code, err.count("\n")) == (2, 1)
    assert message in err
    assert not (ensemble / "outliers.json").exists()


def test_models_that_are_no_ensemble_are_refused(softseg: Line, members: list[Path], data: Path) -> None:
    code, _, err = fit(softseg, ",".join(map(str, members)), data, "--score", "disagreement")  # type: ignore[arg-type]
    assert code == 2
    assert "put the models into one folder with softseg ensemble" in err
