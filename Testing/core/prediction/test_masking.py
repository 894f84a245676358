"""Raw scans: a mask is made by the model that another one needs, or given, and what it does to the result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_kit import CENTRE, RADIUS, STRAIGHT, Intensity, ball, grid, make_plan, positions, two_leaves
from torch import Tensor, nn

from softseg import resources
from softseg.cli import run
from softseg.ensemble_file import EnsembleFile
from softseg.errors import CancelledError, InputError
from softseg.events import CancelToken, Events, ListSink
from softseg.image import Image, read_image, write_image
from softseg.network import ModelFolder, states
from softseg.prediction import load_models, predict
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.prediction.model_summary import ModelSummary
from softseg.prediction.scan_checks import Expected, is_stripped
from softseg.requests.manifest import MASK, Manifest
from softseg.soft.parcellation import SoftParcellation

STRIPPED = {
    "normalization": {"T1": {"kind": "z-score-nonzero"}},
    "crop": {"kind": "nonzero", "margin_mm": 4.0},
    "spacing": (1.5, 1.5, 1.5),
}


class Filled(nn.Module):
    """The ball wherever a stripped scan holds anything: its zeros lie many standard deviations below the rest."""

    def forward(self, batch: Tensor) -> Tensor:
        return torch.stack([-2 * (batch[:, 0] + 3), 2 * (batch[:, 0] + 3)], dim=1)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of shipped models: ``finder`` finds what is bright, ``within`` needs it and segments stripped scans."""

    def build(spec: Any, *_sizes: int) -> nn.Module:
        return Filled() if spec.options["filters"] == [3, 3, 3] else Intensity()

    monkeypatch.setattr(states, "build_network", build)
    folder = tmp_path / "Resources"
    (folder / "LabelTrees").mkdir(parents=True)
    monkeypatch.setenv("SOFTSEG_RESOURCES", str(folder))
    saved(folder / "Models" / "finder", Intensity(), 2)
    saved(folder / "Models" / "within", Filled(), 3, needs={"model": "finder", "node": "ball"}, **STRIPPED)
    return folder / "Models"


def saved(folder: Path, network: nn.Module, filters: int, needs: Any = None, **plan: Any) -> Path:
    made = make_plan(network={"name": "DynUNet", "options": {"filters": [filters] * 3}}, **plan)
    details = {"name": folder.name, "needs": needs}
    return ModelFolder.save(folder, network, made, two_leaves(), "head: softmax\n", details)


def head(noise: float = 2.0) -> Image:
    """The ball in a darker shell, in air that is not quite 0."""
    distance = np.sqrt(((positions(STRAIGHT) - CENTRE[:, None, None, None]) ** 2).sum(axis=0))
    shell = np.where((distance > RADIUS + 4) & (distance < RADIUS + 7), 35, 0)
    air = np.random.default_rng(0).uniform(0.5, noise, STRAIGHT.shape)
    return Image((ball(STRAIGHT).array + shell + air).astype(np.float32), STRAIGHT)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_image(head(), tmp_path / "raw.nii.gz")


def found_in(out: Path, file: Path) -> tuple[SoftParcellation, Path | None]:
    case = Manifest.read(out).of_images([file])
    masks = [one.path for one in case.files if one.role == MASK]
    assert case.folder is not None
    return SoftParcellation.load(case.file("soft")), case.folder / masks[0] if masks else None


def millilitres(found: SoftParcellation) -> float:
    return float(found.probability("ball").sum()) * found.geometry.voxel_volume_ml


TRUE_ML = 4 / 3 * np.pi * RADIUS**3 / 1000


@pytest.mark.usefixtures("shelf")
def test_a_raw_scan_is_masked_by_the_model_that_is_needed(raw: Path, tmp_path: Path) -> None:
    """P(leaf) = P(mask) P(leaf | mask), against the same by hand: a mask, a cut scan, a prediction of that."""
    assert run(["predict", "within", str(raw), "--out", str(tmp_path / "out"), "--device", "cpu", "--quiet"]) == 0
    found, file = found_in(tmp_path / "out", raw)
    assert file is not None
    mask = read_image(file)
    assert mask.geometry.same_grid(STRAIGHT)
    assert mask.array.dtype == np.float32
    assert ((mask.array > 0.05) & (mask.array < 0.95)).sum() > 100
    assert millilitres(found) == pytest.approx(TRUE_ML, rel=0.2)
    made = json.loads((file.parent / "prediction.json").read_text())["settings"]["mask"]
    assert (made["model"], made["node"]) == ("finder", "ball")

    (alone,) = predict("finder", [raw], tmp_path / "finder", nodes=["ball"], device="cpu")
    np.testing.assert_allclose(read_image(alone.written.file("node", "ball")).array, mask.array, atol=2e-3)
    cut = np.where(mask.array >= 0.5, read_image(raw).array, 0)
    stripped = write_image(Image(cut, STRAIGHT), tmp_path / "cut.nii.gz")
    predict("within", [stripped], tmp_path / "cut", mask="none", device="cpu")
    within = found_in(tmp_path / "cut", stripped)[0].probability("ball")
    np.testing.assert_allclose(found.probability("ball"), mask.array * within, atol=0.02)
    assert (within - found.probability("ball")).max() > 0.2


@pytest.mark.usefixtures("shelf")
def test_without_a_mask_the_shell_is_taken_for_the_ball(raw: Path, tmp_path: Path) -> None:
    predict("within", [raw], tmp_path / "out", mask="none", device="cpu")
    found, file = found_in(tmp_path / "out", raw)
    assert file is None
    assert millilitres(found) > 3 * TRUE_ML


@pytest.mark.usefixtures("shelf")
def test_a_stripped_scan_needs_no_mask_and_that_is_said(scan: Callable[..., Path], tmp_path: Path) -> None:
    stripped, sink = scan(), ListSink()
    predict("within", [stripped], tmp_path / "out", device="cpu", events=Events(sink))
    assert found_in(tmp_path / "out", stripped)[1] is None
    said = [event["text"] for event in sink.events if event["event"] == "log"]
    assert any("taken for skull-stripped" in text and "--mask made" in text for text in said)
    predict("within", [stripped], tmp_path / "out", mask="made", device="cpu")
    assert found_in(tmp_path / "out", stripped)[1] is not None


@pytest.mark.usefixtures("shelf")
def test_masks_are_given_on_other_grids_crisp_or_soft(raw: Path, tmp_path: Path) -> None:
    turned = grid(np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]]), (2.0, 2.5, 1.8), (40, 30, 44))
    soft = ball(turned, 1.0)
    for name, image in (
        ("soft.nii.gz", soft),
        ("crisp.nrrd", Image((soft.array > 0.5).astype(np.uint8) * 255, turned)),
    ):
        given = write_image(image, tmp_path / name)
        predict("within", [raw], tmp_path / name[:4], mask=str(given), device="cpu")
        found, file = found_in(tmp_path / name[:4], raw)
        assert file is not None
        assert read_image(file).array.max() <= 1
        assert millilitres(found) == pytest.approx(TRUE_ML, rel=0.2)


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize(
    ("values", "said"), [((0, 1, 2), "values go from 0 to 2"), ((0, 0, 0), "no voxel of 0.5"), ((0, 0.4), "no voxel")]
)
def test_what_is_no_mask_is_refused(raw: Path, tmp_path: Path, values: Any, said: str) -> None:
    array = np.resize(np.array(values, np.float32), STRAIGHT.shape)
    given = write_image(Image(array, STRAIGHT), tmp_path / "labels.nii.gz")
    with pytest.raises(InputError, match=said):
        predict("within", [raw], tmp_path / "out", mask=str(given), device="cpu")
    assert not (tmp_path / "out" / "raw").exists()


@pytest.mark.usefixtures("shelf")
def test_a_mask_that_lies_elsewhere_is_refused(raw: Path, tmp_path: Path) -> None:
    far = grid(np.eye(3), (1.5, 1.5, 1.5), (10, 10, 10))
    image = Image(np.ones(far.shape, np.uint8), far.__class__(far.size, far.spacing, (500.0, 0, 0), far.direction))
    with pytest.raises(InputError, match="do mask and scan lie in the same place"):
        predict("within", [raw], tmp_path / "out", mask=str(write_image(image, tmp_path / "far.nrrd")), device="cpu")


@pytest.mark.usefixtures("shelf")
def test_a_changed_mask_is_predicted_again_and_several_scans_take_a_folder(raw: Path, tmp_path: Path) -> None:
    other = write_image(head(4.0), tmp_path / "other.nii.gz")
    out = tmp_path / "out"
    assert not any(case.skipped for case in predict("within", [raw, other], out, device="cpu"))
    assert all(case.skipped for case in predict("within", [raw, other], out, device="cpu"))
    with pytest.raises(InputError, match="one mask, and there are 2 scans"):
        predict("within", [raw, other], out, mask=str(raw), device="cpu")
    before = millilitres(found_in(out, raw)[0])
    masks = tmp_path / "masks"
    masks.mkdir()
    for file, factor in ((raw, 0.5), (other, 1.0)):
        _, mask = found_in(out, file)
        assert mask is not None
        image = read_image(mask)
        array = np.where(image.array > 0.9, factor, 0).astype(np.float32)
        write_image(Image(array, image.geometry), masks / file.name)
    predict("within", [raw, other], out, mask=str(masks), device="cpu")
    found, mask = found_in(out, raw)
    assert mask is not None
    assert read_image(mask).array.max() == 0.5
    assert millilitres(found) < 0.6 * before
    again = predict("within", [raw, other], tmp_path / "again", mask=str(out), device="cpu")  # beside earlier results
    assert again[0].volumes == predict("within", [raw], out, mask=str(masks), device="cpu")[0].volumes


def test_a_model_that_is_missing_is_one_line(
    shelf: Path, raw: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (shelf / "finder").rename(shelf / "lost")
    assert run(["predict", "within", str(raw), "--out", str(tmp_path / "out"), "--device", "cpu", "--quiet"]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert "within needs the model 'finder' to find 'ball'" in line
    assert "--mask FILE" in line
    predict("within", [raw], tmp_path / "out", mask="none", device="cpu")


@pytest.mark.parametrize(
    ("needs", "said"),
    [
        ({"model": "finder", "node": "spleen"}, "to find 'spleen'"),
        ({"model": "within", "node": "ball"}, "itself needs another"),
        ({"model": "finder"}, "expected"),
    ],
)
def test_needs_that_cannot_be_met_are_named(shelf: Path, raw: Path, tmp_path: Path, needs: Any, said: str) -> None:
    file = shelf / "within" / "configs" / "metadata.json"
    content = json.loads(file.read_text())
    content["softseg"]["needs"] = needs
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=said):
        predict("within", [raw], tmp_path / "out", device="cpu")


@pytest.mark.usefixtures("shelf")
def test_a_model_of_whole_scans_has_no_use_for_a_mask(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no use for a mask"):
        predict("finder", [raw], tmp_path / "out", mask=str(raw), device="cpu")
    with pytest.raises(InputError, match="no such mask"):
        predict("within", [raw], tmp_path / "out", mask="nowhere.nii.gz", device="cpu")


@pytest.mark.usefixtures("shelf")
def test_cancelled_while_the_mask_is_made_leaves_nothing(raw: Path, tmp_path: Path) -> None:
    cancel, stages = CancelToken(), []

    class Stops(ListSink):
        def write(self, event: dict[str, Any]) -> None:
            super().write(event)
            if event["event"] == "stage":
                stages.append(event["stage"])
            if event["event"] == "progress" and stages[-1] == "mask":
                cancel.cancel()

    with pytest.raises(CancelledError):
        predict("within", [raw], tmp_path / "out", device="cpu", events=Events(Stops(), cancel))
    assert stages == ["read", "mask"]
    assert not (tmp_path / "out" / "raw").exists()


def test_what_an_ensemble_needs_is_kept_and_used(shelf: Path, raw: Path, tmp_path: Path) -> None:
    saved(shelf / "coarse", Filled(), 3, **{**STRIPPED, "spacing": (2.0, 2.0, 2.0)})
    folder = save_ensemble(["within", "coarse"], tmp_path / "both")
    ensemble = EnsembleFile.load(folder)
    assert ensemble is not None
    assert ensemble.needs is not None
    assert ModelSummary.load(folder).needs == ensemble.needs == ModelSummary.load("within").needs
    assert load_models(folder)[1].needs is None
    for card in (folder / "README.md", shelf / "within" / "README.md"):
        assert "masks raw ones by `ball` of the model `finder` first" in card.read_text(encoding="utf-8")
    assert "masks raw ones" not in (shelf / "coarse" / "README.md").read_text(encoding="utf-8")
    predict(folder, [raw], tmp_path / "out", device="cpu")
    found, mask = found_in(tmp_path / "out", raw)
    assert mask is not None
    assert millilitres(found) == pytest.approx(TRUE_ML, rel=0.2)


def test_real_scans_are_told_apart(shared_data: Path) -> None:
    expected = ModelSummary.load("brain-134").expected
    assert is_stripped(read_image(shared_data / "brain" / "images" / "1000.nii.gz"), *expected)
    for scan in sorted((shared_data / "heads" / "scans").glob("*/study*_T1W.nii.gz")):
        assert is_stripped(read_image(scan), *expected) is None  # more than half of these is exactly 0, too


def test_without_a_usual_size_the_border_decides() -> None:
    plain = Expected(True, None, "LPS", (1.0, 1.0, 1.0))
    assert is_stripped(ball(STRAIGHT), plain)
    assert is_stripped(head(), plain) is None
    neck = ball(STRAIGHT).array
    neck[:20, 5:30, 5:30] = 50
    assert is_stripped(Image(neck, STRAIGHT), plain) is None


def test_shipped_models_name_models_that_are_shipped() -> None:
    for name in resources.list_models():
        needs = ModelSummary.load(name).needs
        assert needs is None or ModelSummary.load(needs.model).tree.find(needs.node)
