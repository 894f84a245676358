"""Generalised ODIN from the recipe to the prediction: a head with one channel more than there are leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from outlier_kit import SHAPE, make_model, write_world
from torch import Tensor, nn

from softseg.backends.torch_backend import TorchBackend
from softseg.cli import run
from softseg.data import Dataset
from softseg.events import Events
from softseg.network import FittedOutliers, Head, ModelFolder
from softseg.outliers import fit_outliers
from softseg.prediction import predict_case
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.probabilities import dense, probabilities_of_blocks
from softseg.prediction.sweep import WindowPredictor
from softseg.prediction.uncertainty import Augmentation
from softseg.training.objective import loss_of
from softseg.training.recipe import Recipe


@pytest.mark.parametrize("recipe", ["tree-ce"])
def test_training_fitting_and_predicting(recipe: str, tmp_path: Path) -> None:
    data = write_world(tmp_path, background=True, strange=False)
    small = (
        "plan.precision=float32",
        "steps=2",
        "head=godin",
        "validation.cases=1",
        "plan.patch_size=[16,16]",
        "batch_size=1",
    )
    small += ("plan.network.options.filters=[4,4,4]",)
    changes = [part for text in small for part in ("--set", text)]
    run_folder = tmp_path / "run"
    assert run(["train", str(data), "--recipe", recipe, "--out", str(run_folder), "--device", "cpu", *changes]) == 0
    model = ModelFolder.load(run_folder / "model")
    assert (model.head.name, model.head.out_channels, len(model.tree.leaves)) == ("godin", 5, 4)
    score = fit_outliers(model, Dataset.load(data), ["case0"], "godin", cache=tmp_path / "cache")
    found = predict_case(replace(model, outliers=score), [tmp_path / "scan2.nii.gz"], outliers=True).parcellation
    assert found.outliers is not None
    assert 0 < found.outliers.mask().mean() < 0.5


def test_losses_see_divided_logits() -> None:
    head, seen = Head("godin", 2), []

    class Looks(nn.Module):
        on = "logits"

        def forward(self, logits: Tensor, target: Tensor, mask: Any) -> Tensor:
            assert target.shape[1] == 1
            assert mask is None
            seen.append(logits)
            return logits.sum()

    raw = torch.tensor([[1.0, -3.0, 0.0]])[..., None, None]
    loss_of(Looks(), head, "batch", raw, torch.zeros(1, 1, 1, 1), None)
    np.testing.assert_allclose(seen[0].ravel(), [2, -6])


def test_the_divisor_learns() -> None:
    """A gradient reaches the channel of g, and raising it lowers the confidence."""
    head = Head("godin", 3)
    raw = torch.tensor([[2.0, 0.0, -1.0, 0.3]], requires_grad=True)
    nn.functional.cross_entropy(head.logits(raw), torch.tensor([1])).backward()
    assert raw.grad is not None
    assert float(raw.grad[0, 3]) < 0  # wrong and sure: more doubt is better
    surer, doubtful = (head.probabilities(torch.tensor([[2.0, 0.0, -1.0, g]])) for g in (-2.0, 2.0))
    assert float(surer.max()) > float(doubtful.max())


def test_mirrored_leaves_change_sides_and_the_divisor_stays() -> None:
    torch.manual_seed(0)
    model = make_model("godin")
    pointwise = nn.Conv3d(1, 4, 1).eval()
    volume = np.random.default_rng(0).normal(0, 1, (1, *SHAPE)).astype(np.float32)
    swapped = np.array([1, 0, 2])

    def probabilities(change: Augmentation) -> np.ndarray:
        layout = WindowLayout.over([Picture.of(volume, (4, 16, 16), 0.5, False, change, 2)], (0, 0, 0))
        assert layout is not None
        runner = WindowPredictor(TorchBackend(pointwise, model.head, 3, torch.device("cpu"), torch.float32), model.head)
        blocks = probabilities_of_blocks(runner, layout, swapped, Events())
        return dense(blocks, layout.partition, 3, SHAPE, None)

    straight = probabilities(Augmentation())
    np.testing.assert_allclose(probabilities(Augmentation(mirror=True)), straight[[1, 0, 2]], atol=1e-5)
    np.testing.assert_allclose(straight.sum(0), 1, atol=1e-5)


def test_recipes_name_the_head() -> None:
    assert Recipe.load("tree-ce", ["head=godin"]).head.name == "godin"
    fitted = FittedOutliers("godin", 0.0, -1.0, 1.0, {"part": "g", "epsilon": 0.1})
    assert fitted.make(Head("godin", 4)).needs == "gradient"
