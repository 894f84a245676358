"""``softseg calibrate`` on an ensemble: one set of temperatures, of the mean, in the ensemble's own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.soft.calibration import Calibration
from softseg.soft.parcellation import SoftParcellation


@pytest.fixture(params=[1.5, 2.0], ids=["one grid", "grids of their own"])
def ensemble(request: pytest.FixtureRequest, world: Path, model: Path) -> Path:
    """Two untrained models in one folder; the first has temperatures of its own."""
    import torch

    from softseg.network import ModelFolder, build_network
    from softseg.prediction.ensemble_folder import save_ensemble

    first = ModelFolder.load(model)
    plan = first.plan.model_copy(update={"spacing": (request.param,) * 3})
    torch.manual_seed(5)
    network = build_network(plan.network, 1, 3, 3)
    second = ModelFolder.save(world / "second", network, plan, first.tree, "head: softmax\n", head=first.head)
    Calibration((1.3, 0.7)).save(model / "calibration.json")
    return save_ensemble([model, second], world / "both")


def leaves_of(folder: Path) -> np.ndarray:
    """Return the stored probabilities of the leaves, float32 ``(k, j, i, C)``."""
    found = SoftParcellation.load(folder / "soft.soft.npz")
    return np.stack([found.probability(leaf.id) for leaf in found.tree.leaves], axis=-1)


def test_the_mean_gets_temperatures_and_prediction_applies_them(
    cli: Callable, world: Path, ensemble: Path, predicted: Callable[..., np.ndarray]
) -> None:
    from softseg.calibration import Sample, fit
    from softseg.image import read_image
    from softseg.prediction.model_summary import ModelSummary

    mean = np.mean([predicted(member) for member in sorted((ensemble / "members").iterdir())], axis=0)
    np.testing.assert_allclose(predicted(ensemble), mean, atol=0.01)
    assert not ModelSummary.load(ensemble).calibrated
    before = {path: path.read_bytes() for path in (ensemble / "members").rglob("*") if path.is_file()}
    command = ("calibrate", ensemble, world / "DATA.json", "--voxels", 100_000, "--device", "cpu", "--quiet")
    answer = cli(*command, "--out", world / "curves")
    assert (answer.code, answer.err) == (0, "")
    assert {path: path.read_bytes() for path in (ensemble / "members").rglob("*") if path.is_file()} == before
    assert ModelSummary.load(ensemble).calibrated

    content = json.loads((ensemble / "calibration.json").read_text(encoding="utf-8"))
    labels = read_image(world / "labels1.nii.gz").array
    assert (content["split"], content["cases"], content["voxels"]) == ("val", ["case1"], labels.size)
    assert all(level["log_loss_after"] <= level["log_loss_before"] for level in content["levels"])
    probabilities = np.ascontiguousarray(mean.reshape(-1, 3).T, np.float32)
    judged = Sample(probabilities, labels.reshape(1, -1).astype(np.uint16), np.ones((1, labels.size), np.float32))
    tree = ModelSummary.load(ensemble).tree
    np.testing.assert_allclose(content["temperatures"], fit(judged, tree), rtol=0.03)

    expected = Calibration(tuple(content["temperatures"])).apply(np.ascontiguousarray(mean, np.float32), tree)
    assert np.abs(expected - mean).max() > 0.03
    np.testing.assert_allclose(predicted(ensemble), expected, atol=0.02)
    np.testing.assert_allclose(predicted(ensemble, "--no-calibration"), predicted_without(cli, world, ensemble), atol=0)

    assert cli(*command).code == 0
    again = json.loads((ensemble / "calibration.json").read_text(encoding="utf-8"))
    assert again["temperatures"] == content["temperatures"]


def predicted_without(cli: Callable, world: Path, ensemble: Path) -> np.ndarray:
    """Return what the ensemble says after its temperatures are deleted, without those of its members."""
    stored = (ensemble / "calibration.json").read_bytes()
    (ensemble / "calibration.json").unlink()
    out = world / "deleted"
    scan = world / "scan1.nii.gz"
    assert cli("predict", ensemble, scan, "--out", out, "--device", "cpu", "--quiet", "--no-calibration").code == 0
    (ensemble / "calibration.json").write_bytes(stored)
    (file,) = out.rglob("soft.soft.npz")
    return leaves_of(file.parent)


@pytest.fixture
def predicted(cli: Callable, world: Path) -> Callable[..., np.ndarray]:
    """Predicts the second scan with a model, each time into its own folder, and returns the leaf probabilities."""
    calls = iter(range(100))

    def call(model: Path, *options: str) -> np.ndarray:
        out = world / f"out{next(calls)}"
        answer = cli("predict", model, world / "scan1.nii.gz", "--out", out, "--device", "cpu", "--quiet", *options)
        assert (answer.code, answer.err) == (0, "")
        (file,) = out.rglob("soft.soft.npz")
        return leaves_of(file.parent)

    return call


def test_a_mask_and_several_raters_decide_on_the_scans_grid(
    cli: Callable, world: Path, ensemble: Path, change_json: Callable
) -> None:
    from softseg.image import Image, read_image, write_image

    labels = read_image(world / "labels1.nii.gz")
    mask = np.zeros_like(labels.array)
    mask[5:15] = 1
    write_image(Image(mask, labels.geometry), world / "mask.nii.gz")
    raters = ["labels0.nii.gz", "labels1.nii.gz"]
    change_json(world / "DATA.json", lambda content: content["cases"][1].update(mask="mask.nii.gz", labels=raters))
    command = ("calibrate", ensemble, world / "DATA.json", "--voxels", 100_000, "--device", "cpu", "--quiet")
    assert cli(*command).code == 0
    assert json.loads((ensemble / "calibration.json").read_text(encoding="utf-8"))["voxels"] == mask.sum()


def test_models_that_are_no_ensemble_and_damaged_files_are_refused(cli: Callable, world: Path, ensemble: Path) -> None:
    options = (world / "DATA.json", "--device", "cpu", "--quiet")
    answer = cli("calibrate", f"{world / 'model'},{world / 'second'}", *options)
    assert answer.code == 2
    assert "several models that are no ensemble have no folder to keep this in" in answer.err
    (ensemble / "calibration.json").write_text('{"format_version": 1, "temperatures": [1.0]}', encoding="utf-8")
    answer = cli("predict", ensemble, world / "scan1.nii.gz", "--out", world / "out", "--device", "cpu", "--quiet")
    assert answer.code == 2
    assert f"{ensemble / 'calibration.json'}: temperatures: expected 2 temperatures" in answer.err


def test_a_new_ensemble_in_its_place_starts_without_temperatures(world: Path, ensemble: Path) -> None:
    from softseg.prediction.ensemble_folder import save_ensemble

    Calibration((1.5, 1.5)).save(ensemble / "calibration.json")
    (ensemble / "notes.txt").write_text("mine", encoding="utf-8")
    save_ensemble([world / "second", world / "model"], ensemble)
    assert not (ensemble / "calibration.json").exists()
    assert (ensemble / "notes.txt").read_text(encoding="utf-8") == "mine"
