"""Scores on their way through prediction: blended as MONAI blends, stored in 8 bits, and answers stay as they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.inferers import sliding_window_inference
from outlier_kit import SHAPE, make_model, tree
from scipy.special import logsumexp, softmax
from torch import Tensor, nn

from softseg.backends.torch_backend import TorchBackend
from softseg.data import CaseStore, Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, Image, read_image, write_image
from softseg.network import FittedOutliers, Model
from softseg.outliers import score_case, with_threshold
from softseg.prediction import predict_case
from softseg.prediction.case import Prediction
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.scoring import WindowScorer
from softseg.prediction.sweep import WindowPredictor, sweep
from softseg.prediction.uncertainty import Augmentation
from softseg.soft.blocks import Index
from softseg.soft.resample import resample_image

LAYER = "output_block.conv.conv"
RANDOM = torch.Generator().manual_seed(1)
ESTIMATES = {"means": torch.randn(3, 8, generator=RANDOM), "whitening": torch.randn(8, 8, generator=RANDOM)}
NAMES = ("max-softmax", "energy", "entropy", "odin", "mahalanobis")


def fitted(name: str, threshold: float = 0.0, low: float = -1.0, high: float = 2.0, **options: Any) -> FittedOutliers:
    if name == "mahalanobis":
        return FittedOutliers(name, threshold, low, high, options, ESTIMATES, LAYER)
    return FittedOutliers(name, threshold, low, high, options)


def of_real_range(model: Model, name: str, case: Any) -> FittedOutliers:
    """Return the score with a threshold in the middle of what a case has."""
    values = score_case(model, [fitted(name)], case).scores[0]
    return with_threshold(fitted(name), values.ravel(), float(np.median(values)), {"how": "given"}, model.head)


@pytest.fixture(params=[(2, "float32"), (3, "float32"), (3, "bfloat16")], ids=lambda given: f"{given[0]}D-{given[1]}")
def model(request: pytest.FixtureRequest) -> Model:
    dimensions, precision = request.param
    return make_model(dimensions=dimensions, precision=precision)


@pytest.fixture
def case(model: Model, dataset: Dataset, cache: Path) -> Any:
    return CaseStore(dataset.with_tree(tree(strange=True)), model.plan, cache).load("case2")


@pytest.fixture
def scan(world: Path) -> Path:
    return world.parent / "scan2.nii.gz"


def blended_by_monai(model: Model, name: str, image: np.ndarray) -> np.ndarray:
    """Return a score as MONAI's sliding windows blend it, each window's score written in numpy."""
    means, whitening = ESTIMATES["means"].numpy(), ESTIMATES["whitening"].numpy()
    caught: list[Tensor] = []
    handle = model.network.get_submodule(LAYER).register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))

    def of(windows: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=model.plan.precision == "bfloat16"):
            logits = model.network(windows)
        assert logits.dtype == getattr(torch, model.plan.precision)
        z = logits.float().numpy()
        if name == "mahalanobis":
            features = np.moveaxis(caught[-1].float().numpy(), 1, -1)
            away = (features[..., None, :] - means) @ whitening.T
            value = np.sqrt((away**2).sum(-1)).min(-1)
        else:
            probabilities = softmax(z, 1)
            value = {
                "max-softmax": 1 - probabilities.max(1),
                "energy": -logsumexp(z, 1),
                "entropy": -(probabilities * np.log(probabilities)).sum(1),
            }[name]
        return torch.from_numpy(value.astype(np.float32))[:, None]

    patch, volume = model.plan.patch_size, torch.from_numpy(image)[None]
    try:
        with torch.inference_mode():
            if model.plan.dimensions == 3:
                return sliding_window_inference(volume, patch, 1, of, 0.5, mode="gaussian")[0, 0].numpy()
            rows = [sliding_window_inference(row, patch, 1, of, 0.5, mode="gaussian") for row in volume.unbind(2)]
            return torch.stack(rows, 2)[0, 0].numpy()
    finally:
        handle.remove()


@pytest.mark.parametrize("name", ["max-softmax", "energy", "entropy", "mahalanobis"])
def test_scores_are_blended_as_monai_blends(name: str, model: Model, case: Any) -> None:
    expected = blended_by_monai(model, name, np.array(case.image))
    found = score_case(model, [fitted(name)], case).scores[0]
    np.testing.assert_allclose(found, expected, atol=2e-4)
    assert expected.std() > 1e-3


def test_several_scores_in_one_pass_are_what_each_is_alone(model: Model, case: Any) -> None:
    together = score_case(model, [fitted(name) for name in NAMES], case)
    for name, scores in zip(NAMES, together.scores, strict=True):
        alone = score_case(model, [fitted(name)], case)
        np.testing.assert_array_equal(scores, alone.scores[0])
        np.testing.assert_array_equal(together.probabilities, alone.probabilities)
    np.testing.assert_array_equal(together.probabilities, score_case(model, [], case).probabilities)
    np.testing.assert_allclose(together.probabilities.sum(0), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "uncertainty"), [*((name, None) for name in NAMES), ("odin", "tta:2"), ("mahalanobis", "tta:2")]
)
def test_answers_do_not_change(name: str, uncertainty: str | None, model: Model, case: Any, scan: Path) -> None:
    model = replace(model, outliers=of_real_range(model, name, case))
    plain = predict_case(model, [scan], uncertainty=uncertainty, nodes=["a"])
    scored = predict_case(model, [scan], uncertainty=uncertainty, nodes=["a"], outliers=True)
    assert plain.parcellation.outliers is None
    assert scored.parcellation.outliers is not None
    assert 0 < scored.parcellation.outliers.mask().mean() < 1
    for array in ("counts", "leaves", "shares"):
        np.testing.assert_array_equal(getattr(plain.parcellation, array), getattr(scored.parcellation, array))
    np.testing.assert_array_equal(plain.node_maps["a"].array, scored.node_maps["a"].array)


def stored_degree(found: Prediction) -> np.ndarray:
    assert found.parcellation.outliers is not None
    return found.parcellation.outliers.degree()


@pytest.mark.parametrize("name", ["energy", "mahalanobis"])
def test_the_stored_score_is_the_dense_one_to_half_a_step(name: str, model: Model, case: Any, scan: Path) -> None:
    score = of_real_range(model, name, case)
    stored = stored_degree(predict_case(replace(model, outliers=score), [scan], outliers=True))
    dense = score_case(model, [score], case).scores[0]
    # the grid of the plan is the scan's: nothing is resampled
    np.testing.assert_allclose(
        stored, np.clip(dense, score.low, score.high), atol=(score.high - score.low) / 255 * 0.51
    )


def test_on_another_grid_the_score_is_resampled_like_an_image(scan: Path) -> None:
    model = make_model(spacing=(2.0, 1.7, 1.7))
    own = CaseStore(Dataset.load(scan.parent / "DATA.json"), model.plan, scan.parent / "coarse").load("case2")
    score = of_real_range(model, "energy", own)
    stored = stored_degree(predict_case(replace(model, outliers=score), [scan], outliers=True))
    dense = score_case(model, [score], own).scores[0]
    clipped = Image(np.clip(dense, score.low, score.high), own.geometry)
    expected = resample_image(clipped, read_image(scan).geometry).array
    assert stored.shape == SHAPE
    np.testing.assert_allclose(stored, expected, atol=(score.high - score.low) / 255)


def test_on_an_oblique_grid_the_score_lies_at_its_place(world: Path, tmp_path: Path) -> None:
    model = make_model(crop={"kind": "none"})
    scan = read_image(world.parent / "scan2.nii.gz")
    angle = np.radians(20)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    geometry = Geometry(scan.geometry.size, scan.geometry.spacing, (3, 4, 5), tuple(turn.ravel()))
    file = write_image(Image(scan.array, geometry), tmp_path / "turned.nii.gz")
    model = replace(model, outliers=fitted("energy", threshold=-1.0, low=-1.5, high=0.0))
    straight = stored_degree(predict_case(model, [world.parent / "scan2.nii.gz"], outliers=True))
    np.testing.assert_allclose(stored_degree(predict_case(model, [file], outliers=True)), straight, atol=0.05)


class Pointwise(nn.Module):
    """Looks at single voxels only, so that it says the same of a mirrored picture."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv3d(1, 8, 1), nn.Conv3d(8, 3, 1)

    def forward(self, batch: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(batch)))


@pytest.mark.parametrize("name", ["energy", "mahalanobis", "odin"])
def test_mirrored_windows_score_what_lies_there(name: str) -> None:
    torch.manual_seed(3)
    model = replace(make_model(), network=Pointwise().eval())
    volume = np.random.default_rng(0).normal(0, 1, (1, *SHAPE)).astype(np.float32)

    def scores_of(change: Augmentation) -> np.ndarray:
        layout = WindowLayout.over([Picture.of(volume, (4, 16, 16), 0.5, False, change, 2)], (0, 0, 0))
        assert layout is not None
        found = np.full(SHAPE, np.nan)

        def take(block: Index, scores: Tensor | None) -> None:
            assert scores is not None
            found[layout.partition.place(block)] = scores[..., 0]

        scorer = WindowScorer.of(model, [replace(fitted(name), layer="last")], take)
        backend = TorchBackend(model.network, model.head, 3, torch.device("cpu"), torch.float32)
        runner = WindowPredictor(backend, model.head, scorer=scorer)
        assert len(list(sweep(runner, layout, np.arange(3), Events()))) > 1
        return found

    straight = scores_of(Augmentation())
    assert straight.std() > 1e-6
    np.testing.assert_allclose(scores_of(Augmentation(mirror=True)), straight, atol=1e-5)
    moved = scores_of(Augmentation(shift=(0, 3, 2)))
    np.testing.assert_allclose(moved, straight, atol=1e-5)


def test_logits_may_be_blended_and_scores_stay(model: Model, case: Any, scan: Path) -> None:
    for name in ("entropy", "max-softmax"):
        scored = replace(model, outliers=of_real_range(model, name, case))
        one, other = (stored_degree(predict_case(scored, [scan], outliers=True, blend=b)) for b in _BLENDS)
        assert scored.outliers is not None
        np.testing.assert_allclose(one, other, atol=(scored.outliers.high - scored.outliers.low) / 255 * 1.01)


_BLENDS: tuple[Any, Any] = ("probabilities", "logits")


def test_what_no_window_reaches_is_not_strange(tmp_path: Path) -> None:
    model = make_model(background=True, patch_size=(4, 8, 8), crop={"kind": "none"})
    image = np.full((4, 64, 64), -50.0, np.float32)  # the image's minimum: nothing there
    image[:, 40:56, 40:56] = np.random.default_rng(0).normal(80, 20, (4, 16, 16))
    file = write_image(Image(image, Geometry((64, 64, 4), (1.0, 1.0, 2.0))), tmp_path / "scan.nii.gz")
    model = replace(model, outliers=fitted("energy", threshold=-3.0, low=-4.0, high=0.0))
    found = predict_case(model, [file], outliers=True).parcellation
    assert found.outliers is not None
    mask = found.outliers.mask()
    assert mask[:, 40:56, 40:56].all()
    assert not mask[:, :24].any()
    assert (found.probability("bg")[:, :24] == 1).all()


def test_nothing_in_the_image_is_no_outlier(tmp_path: Path) -> None:
    model = make_model(background=True)
    image = np.zeros((4, 40, 36), np.float32)
    image[0, 0, 0] = 1e-3
    file = write_image(Image(image, Geometry((36, 40, 4), (1.0, 1.0, 2.0))), tmp_path / "scan.nii.gz")
    model = replace(model, outliers=fitted("energy", threshold=9.0, low=-4.0, high=20.0))
    found = predict_case(model, [file], outliers=True).parcellation
    assert found.outliers is not None
    assert not found.outliers.mask().any()


def test_smaller_windows_than_the_image_leave_no_seam_unjudged(model: Model, scan: Path) -> None:
    model = replace(model, outliers=fitted("max-softmax", threshold=0.01, low=0.0, high=1.0))
    found = predict_case(model, [scan], outliers=True, overlap=0.0).parcellation
    assert found.outliers is not None
    assert found.outliers.mask().all()


def test_normrelu_models_have_their_scores(scan: Path) -> None:
    model = make_model("normrelu", background=True)
    for name in ("max-softmax", "entropy"):
        score = with_threshold(fitted(name), np.linspace(0, 1, 9, dtype=np.float32), 0.4, {}, model.head)
        found = predict_case(replace(model, outliers=score), [scan], outliers=True).parcellation
        assert found.outliers is not None
        assert found.outliers.steps.size > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layer": "gone.conv"}, "the network has no layer 'gone.conv', from which the score mahalanobis takes its"),
        ({"layer": "input_block.conv1.conv"}, "expected 8 features of each voxel, got 1"),
    ],
)
def test_features_of_another_network_are_refused(change: dict[str, Any], message: str, scan: Path) -> None:
    model = replace(make_model(), outliers=replace(fitted("mahalanobis"), **change))
    with pytest.raises(InputError, match=message):
        predict_case(model, [scan], outliers=True)


def test_models_without_a_score_say_so(scan: Path) -> None:
    with pytest.raises(
        InputError, match="outliers: this model carries no outlier score; fit one with softseg outliers"
    ):
        predict_case(make_model(), [scan], outliers=True)
