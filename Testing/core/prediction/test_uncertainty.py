"""Repeated predictions: their mean, their spread, and that every change of the image is undone exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_kit import Intensity, Sides, make_model, make_plan, sided, two_leaves

from softseg.backends.torch_backend import TorchBackend, dropout_on
from softseg.data import NetworkSpec
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Image, read_image, write_image
from softseg.network import Head, Model, build_network
from softseg.prediction import Uncertainty, predict_case, sliding_probabilities
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.probabilities import SpreadMaps, dense, probabilities_of_blocks
from softseg.prediction.sweep import WindowPredictor
from softseg.prediction.uncertainty import Augmentation, Spread, entropy
from softseg.system import resolve_precision
from softseg.tree import LabelTree, Node

SHAPE = (5, 6, 7)
CPU = torch.device("cpu")


def unsided() -> LabelTree:
    """Return the tree of :func:`sided` with names that say nothing of sides."""
    names = {"ball-left": ("one", "One"), "ball-right": ("two", "Two")}
    nodes = [Node(*names.get(n.id, (n.id, n.name)), n.parent, value=n.value) for n in sided().nodes]
    return LabelTree(nodes, "unsided")


def distribution(seed: int, concentration: float = 1.0) -> np.ndarray[Any, Any]:
    drawn = np.random.default_rng(seed).dirichlet([concentration] * 3, SHAPE)
    return drawn.astype(np.float32)


@pytest.mark.parametrize("text", ["tta", "tta:1", "tta:x", "tta:-3", "ensemble:4", "dropout:", "tta:2.5", "tta:²"])
def test_what_is_not_an_uncertainty_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"uncertainty: expected tta:N or dropout:N with N from 2 to 1000"):
        Uncertainty.parse(text)


def test_parse() -> None:
    assert Uncertainty.parse("tta:8") == Uncertainty("tta", 8)
    assert Uncertainty.parse("dropout:20") == Uncertainty("dropout", 20)


def test_entropy_against_scipy() -> None:
    from scipy.stats import entropy as reference

    probabilities = distribution(1)
    probabilities[0, 0, 0] = (1, 0, 0)
    np.testing.assert_allclose(entropy(probabilities), reference(probabilities, axis=-1), atol=1e-5)


def test_spread_of_predictions_that_agree_is_their_entropy() -> None:
    spread = Spread.of([distribution(1)] * 3)
    np.testing.assert_allclose(spread.mean, distribution(1), atol=1e-6)
    np.testing.assert_allclose(spread.entropy, entropy(distribution(1)), atol=1e-5)
    np.testing.assert_allclose(spread.mutual_information, 0, atol=1e-5)


def test_spread_of_sure_predictions_that_disagree_is_all_mutual_information() -> None:
    sure = np.zeros((*SHAPE, 3), np.float32)
    one, other = sure.copy(), sure.copy()
    one[..., 0], other[..., 1] = 1, 1
    spread = Spread.of([one, other])
    np.testing.assert_allclose(spread.entropy, np.log(2), rtol=1e-5)
    np.testing.assert_allclose(spread.mutual_information, np.log(2), rtol=1e-5)


def undone(change: Augmentation, dense: np.ndarray[Any, Any], axis: int, leaves: Any) -> np.ndarray[Any, Any]:
    """Bring a dense prediction ``[C, k, j, i]`` of a changed image back, the plain way."""
    k, j, i = change.shift
    back = dense[:, k:, j:, i:]
    return np.flip(back, 1 + axis)[leaves] if change.mirror else back


def swept(
    model: Model, image: np.ndarray[Any, Any], changes: tuple[Augmentation, ...], axis: int, skip: bool = True
) -> tuple[np.ndarray[Any, Any], SpreadMaps]:
    """Return mean and spread of streamed predictions of the changed images."""
    patch = model.plan.patch_kji
    pictures = [Picture.of(image, patch, 0.5, skip, change, axis) for change in changes]
    layout = WindowLayout.over(pictures, (0, 0, 0))
    assert layout is not None
    dtype = resolve_precision(model.plan.precision, CPU)
    runner = WindowPredictor(TorchBackend(model.network, model.head, model.plan.dimensions, CPU, dtype), model.head)
    maps = SpreadMaps(image.shape[1:])
    permutation = model.tree.mirror_permutation()
    blocks = probabilities_of_blocks(runner, layout, permutation, Events(), maps)
    return dense(blocks, layout.partition, model.head.classes, image.shape[1:], model.head.background), maps


def test_first_picture_is_the_image_itself_and_the_seed_repeats_the_rest() -> None:
    assert Augmentation.several(4, 3)[0] == Augmentation()
    assert Augmentation.several(4, 3, seed=0) == Augmentation.several(4, 3, seed=0)
    assert Augmentation.several(4, 3, seed=0) != Augmentation.several(4, 3, seed=1)
    assert [change.mirror for change in Augmentation.several(4, 3)] == [False, True, False, True]
    assert {change.shift[0] for change in Augmentation.several(9, 2)} == {0}


@settings(max_examples=15, deadline=None)
@given(mirror=st.booleans(), shift=st.tuples(*[st.integers(0, 4)] * 3), axis=st.integers(0, 2))
def test_a_streamed_change_equals_the_dense_one(mirror: bool, shift: tuple[int, int, int], axis: int) -> None:
    model = make_model(Sides(), sided(), patch_size=(8, 12, 8))
    image = np.random.default_rng(0).uniform(0.1, 1, (1, 13, 20, 11)).astype(np.float32)
    change = Augmentation(mirror, shift, 1.1, -0.05)
    expected = sliding_probabilities(model.network, model.head, change.apply(image, axis), model.plan)
    found, _ = swept(model, image, (change,), axis)
    np.testing.assert_allclose(found, undone(change, expected, axis, [0, 2, 1]), atol=1e-5)


@pytest.mark.parametrize("head", ["softmax", "normrelu", "single"])
@pytest.mark.parametrize("content", [False, True])
def test_many_pictures_streamed_together_equal_the_dense_mean(head: str, content: bool, precision: str) -> None:
    """Windows of all pictures are interleaved; each voxel must still be the mean of separately blended pictures."""
    tree = two_leaves() if head == "single" else sided()
    torch.manual_seed(0)
    channels = Head("softmax" if head == "softmax" else "normrelu", len(tree.leaves))
    network = build_network(NetworkSpec(options={"filters": [4, 8, 8]}), 1, channels.out_channels, 3).eval()
    plan = make_plan(patch_size=(8, 8, 8), precision=precision)
    model = Model(network, plan, tree, channels, "", {"name": "test"}, Path("model"))
    image = np.random.default_rng(0).normal(size=(1, 14, 17, 21)).astype(np.float32)
    if content:
        inside = image[:, 4:12, 3:9, 8:20].copy()
        image[:] = -9
        image[:, 4:12, 3:9, 8:20] = inside
    changes = Augmentation.several(4, 3)
    if head == "single":  # its maximum is that of the image, which a shift would enlarge
        changes = tuple(replace(change, shift=(0, 0, 0)) for change in changes)
    leaves = model.tree.mirror_permutation()
    samples = []
    for change in changes:
        picture = change.apply(image, 2)
        samples.append(undone(change, sliding_probabilities(network, channels, picture, plan), 2, leaves))
    expected = Spread.of([np.moveaxis(sample, 0, -1) for sample in samples])
    found, maps = swept(model, image, changes, 2)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), expected.mean, atol=1e-5)
    np.testing.assert_allclose(maps.entropy, expected.entropy, atol=1e-4)
    np.testing.assert_allclose(maps.mutual_information, expected.mutual_information, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mirrored_picture_swaps_left_and_right_leaves(axis: int) -> None:
    """The network calls the side by the position along an axis: without the swap a mirror would turn it round."""
    image = np.random.default_rng(0).uniform(0.1, 1, (1, 20, 20, 20)).astype(np.float32)
    image = np.moveaxis(image, 3, 1 + axis)

    class Along(Sides):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch.movedim(2 + axis, 4)).movedim(4, 2 + axis)

    model = make_model(Along(), sided(), patch_size=(20, 20, 20))
    plain, _ = swept(model, image, (Augmentation(),), axis)
    back, _ = swept(model, image, (Augmentation(mirror=True),), axis)
    np.testing.assert_allclose(back, plain, atol=1e-5)
    wrong, _ = swept(replace(model, tree=unsided()), image, (Augmentation(mirror=True),), axis)
    assert np.abs(wrong - plain).max() > 0.5


def test_a_mirrored_prediction_is_the_mean_with_that_of_the_mirrored_scan(
    tmp_path: Path, scan: Callable[..., Path]
) -> None:
    """By hand: the array is flipped, predicted, flipped back, and left and right are exchanged."""
    torch.manual_seed(0)
    network = torch.nn.Conv3d(1, 3, 3, padding=1)
    model = make_model(network, sided(), spacing=(1.5, 1.5, 1.5), patch_size=(40, 40, 40))
    image = read_image(scan())
    flipped = write_image(Image(image.array[..., ::-1].copy(), image.geometry), tmp_path / "flipped.nii.gz")

    def answer(file: Path, **asked: Any) -> np.ndarray[Any, Any]:
        found = predict_case(model, [file], nodes=["ball-left", "ball-right"], **asked)
        return np.stack([found.node_maps[node].array for node in ("ball-left", "ball-right")])

    plain, there = answer(tmp_path / "scan.nii.gz"), answer(flipped)
    expected = (plain + there[::-1, ..., ::-1]) / 2
    assert np.abs(plain - expected).max() > 0.02
    np.testing.assert_allclose(answer(tmp_path / "scan.nii.gz", mirror=True), expected, atol=1e-5)


def test_mirroring_and_repeated_predictions_exclude_each_other(scan: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="mirrors every other one"):
        predict_case(make_model(), [scan()], uncertainty="tta:4", mirror=True)


def test_maps_of_uncertainty_lie_on_the_rim(scan: Callable[..., Path]) -> None:
    found = predict_case(make_model(), [scan()], uncertainty="tta:4", nodes=["ball"])
    assert found.entropy is not None
    assert found.mutual_information is not None
    probability = found.node_maps["ball"].array
    assert found.entropy.geometry == found.parcellation.geometry
    rim = (probability > 0.1) & (probability < 0.9)
    assert found.entropy.array[rim].mean() > 10 * found.entropy.array[~rim].mean()
    assert 0 < found.mutual_information.array.max() <= found.entropy.array.max()
    assert found.mutual_information.array.min() >= 0


def test_dropout_varies_and_is_switched_off_again(scan: Callable[..., Path]) -> None:
    class Dropping(Intensity):
        def __init__(self) -> None:
            super().__init__(gain=2.0)
            self.drop = torch.nn.Dropout3d(0.5)
            self.norm = torch.nn.BatchNorm3d(1)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(self.norm(self.drop(batch)))

    network = Dropping()
    torch.manual_seed(0)
    found = predict_case(make_model(network), [scan()], uncertainty="dropout:6")
    assert found.mutual_information is not None
    assert found.mutual_information.array.max() > 0.01
    assert not any(module.training for module in network.modules())
    with dropout_on(network):
        assert network.drop.training
        assert not network.norm.training
    assert not network.drop.training


def test_a_network_without_dropout_is_refused() -> None:
    with pytest.raises(InputError, match="no dropout layers; use tta:N"), dropout_on(Intensity()):
        pass
