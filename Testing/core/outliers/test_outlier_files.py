"""The files of a fitted score: a round trip, and one line for everything that may be wrong with them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from outlier_kit import make_model, save

from softseg.errors import InputError
from softseg.network import FittedOutliers, ModelFolder

MEANS, WHITENING = torch.arange(24.0).reshape(3, 8), torch.eye(8) * 2


def distances(**changes: Any) -> FittedOutliers:
    values: dict[str, Any] = {
        "score": "mahalanobis",
        "threshold": 3.5,
        "low": 0.5,
        "high": 9.0,
        "tensors": {"means": MEANS, "whitening": WHITENING},
        "layer": "output_block.conv.conv",
        "chosen": {"how": "tpr", "tpr": 0.95, "cases": ["a"], "voxels": 7},
        "estimated": {"cases": ["b"], "voxels": 12.0},
    }
    return FittedOutliers(**values | changes)


@pytest.fixture(scope="session")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(make_model(), tmp_path_factory.mktemp("models") / "bare")


@pytest.fixture
def folder(bare: Path, tmp_path: Path) -> Path:
    target = tmp_path / "model"
    shutil.copytree(bare, target)
    distances().save(target)
    return target


def test_round_trip_in_a_model_folder(bare: Path, folder: Path) -> None:
    assert ModelFolder.load(bare).outliers is None
    back = ModelFolder.load(folder).outliers
    assert back is not None
    assert back.to_json() == distances().to_json()
    assert back.digest() == distances().digest()
    assert torch.equal(back.tensors["means"], MEANS)


def test_a_score_without_estimates_takes_those_of_another_away(folder: Path) -> None:
    plain = FittedOutliers("energy", -2.0, -9.0, 4.0, {"temperature": 2.0})
    plain.save(folder)
    assert not (folder / "models" / "outliers.pt").exists()
    back = ModelFolder.load(folder).outliers
    assert back is not None
    assert (back.score, dict(back.options), back.layer) == ("energy", {"temperature": 2.0}, None)


def test_everything_that_decides_is_in_the_digest() -> None:
    own = distances().digest()
    changes: list[dict[str, Any]] = [
        {"threshold": 3.6},
        {"low": 0.4},
        {"high": 9.1},
        {"layer": "other"},
        {"options": {"level": 1}},
        {"tensors": {"means": MEANS + 1, "whitening": WHITENING}},
        {"tensors": {"means": MEANS, "whitening": WHITENING * 1.5}},
    ]
    assert len({own, *(distances(**change).digest() for change in changes)}) == 1 + len(changes)
    assert distances(chosen={"how": "given"}).digest() == own


def json_with(**changes: Any) -> Callable[[Path], object]:
    def change(folder: Path) -> object:
        file = folder / "outliers.json"
        content = json.loads(file.read_text())
        return file.write_text(json.dumps({k: v for k, v in {**content, **changes}.items() if v != "gone"}))

    return change


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (lambda f: (f / "outliers.json").write_text("{"), "outliers.json: .*is not valid JSON"),
    "a list": (lambda f: (f / "outliers.json").write_text("[]"), "outliers.json: expected a JSON object"),
    "no version": (json_with(format_version="gone"), "format_version: expected a positive integer, got None"),
    "newer": (json_with(format_version=9), r"newer version \(format 9, this is 1\); update softseg"),
    "no score": (json_with(score="gone"), "outliers.json: is not a sound outlier score: lacks 'score'; fit the score"),
    "unknown score": (json_with(score="guess"), "outliers.json: .*unknown outlier score 'guess'"),
    "other head": (json_with(score="godin", estimates=None), "godin cannot be had from this model: it needs a head"),
    "no threshold": (json_with(threshold=None), "outliers.json: is not a sound outlier score: float"),
    "upside down": (json_with(low=9.0, high=0.5), "expected finite low < high, got 9.0, 0.5"),
    "no layer": (json_with(layer=None), "does not name the layer of the features"),
    "no options": (json_with(options=3), "outliers.json: is not a sound outlier score"),
    "option": (json_with(options={"depth": 1}), "mahalanobis: unknown option 'depth'"),
    "no estimates": (lambda f: (f / "models" / "outliers.pt").unlink(), "models/outliers.pt: no such file"),
    "other estimates": (
        lambda f: torch.save({"means": MEANS}, f / "models" / "outliers.pt"),
        "models/outliers.pt: is not the file that outliers.json refers to; fit the score again",
    ),
    "damaged estimates": (lambda f: (f / "models" / "outliers.pt").write_bytes(b"x" * 99), "models/outliers.pt: "),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_files_are_named(name: str, folder: Path) -> None:
    damage, message = DAMAGE[name]
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        ModelFolder.load(folder)
    assert "\n" not in str(caught.value)


def test_estimates_without_their_description_are_no_score(folder: Path) -> None:
    (folder / "outliers.json").unlink()
    assert ModelFolder.load(folder).outliers is None


def test_pickled_code_is_refused(folder: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "executed",)

    torch.save({"means": Trap()}, folder / "models" / "outliers.pt")
    with pytest.raises(InputError, match="holds pickled Python objects where plain weights belong"):
        ModelFolder.load(folder)
    assert not (tmp_path / "executed").exists()
