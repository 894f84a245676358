"""What only a GPU can show, against the CPU of the same machine: ``python dev.py gpu``. Skipped where there is none.

``SOFTSEG_TEST_DEVICE=cpu`` runs the same tests without a GPU, to see that they still work.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import softseg
from softseg.data import Dataset
from softseg.demo.scan import Maps, read_maps, write_dataset
from softseg.image import Geometry, Image
from softseg.losses import build_loss
from softseg.soft import SoftParcellation
from softseg.training import Recipe, train
from softseg.tree import LabelTree

DEVICE = os.environ.get("SOFTSEG_TEST_DEVICE", "cuda")
CUDA = DEVICE.startswith("cuda")
RECIPES = ("ce-dice", "tree-ce", "tree-wasserstein", "tree-wasserstein-dice", "soft-tree", "softseg")
MODEL = "brain-134"
SMALL = ("steps=60", "batch_size=2", "plan.spacing=[3,3,3]", "plan.patch_size=[32,32,32]", "validation.every=30")

pytestmark = pytest.mark.skipif(CUDA and not torch.cuda.is_available(), reason="no GPU that PyTorch can use")


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Maps:
    pytest.importorskip("nilearn")
    return read_maps(tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def part(maps: Maps) -> Image:
    """The middle of the head: 96 x 96 x 64 voxels of 1 mm, on black as in a stripped scan."""
    array = np.zeros_like(maps.t1.array)
    middle = tuple(
        slice(size // 2 - half, size // 2 + half) for size, half in zip(array.shape, (32, 48, 48), strict=True)
    )
    array[middle] = maps.t1.array[middle]
    return Image(array, maps.t1.geometry)


@pytest.mark.parametrize("recipe", RECIPES)
def test_losses_and_gradients_are_those_of_the_cpu(resources: Path, recipe: str) -> None:
    tree = LabelTree.load(resources / "LabelTrees" / "brain-134.json")
    chosen = Recipe.load(recipe)
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((2, len(tree.leaves), 16, 18, 20), generator=generator)
    target = torch.softmax(3 * torch.randn(logits.shape, generator=generator), 1)
    found = []
    for device in ("cpu", DEVICE):
        given = logits.to(device).requires_grad_()
        loss = build_loss(chosen.losses, tree).to(device)
        predicted = given if loss.on == "logits" else torch.softmax(given, 1)
        value = loss(predicted, target.to(device))
        value.backward()
        assert given.grad is not None
        found.append((value.item(), given.grad.cpu()))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-4)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-3, atol=1e-3 * float(found[0][1].abs().max()))


@pytest.mark.parametrize(("precision", "labels", "error"), [("float32", 0.999, 0.01), ("bfloat16", 0.98, 0.15)])
def test_a_scan_is_predicted_as_on_the_cpu(part: Image, precision: str, labels: float, error: float) -> None:
    on_cpu, on_gpu = (
        softseg.predict(part, MODEL, device=device, backend="torch", precision=used)
        for device, used in (("cpu", "float32"), (DEVICE, precision))
    )
    inside = part.array > 0
    same = float((on_cpu.labels(on_cpu.tree.depth) == on_gpu.labels(on_cpu.tree.depth))[inside].mean())
    worst = max(_difference(on_cpu, on_gpu, node) for node in ("grey-matter", "white-matter", "left-hippocampus"))
    print(f"\n{precision} on {DEVICE}: {same:.4%} of the labels as on the CPU, node probability within {worst:.4f}")
    assert same >= labels
    assert worst <= error


@pytest.mark.parametrize("recipe", ["soft-tree", "ce-dice", "softseg"])
def test_it_learns(maps: Maps, tmp_path: Path, recipe: str) -> None:
    dataset = Dataset.load(write_dataset(maps, tmp_path / "data"))
    began = time.perf_counter()
    train(dataset, Recipe.load(recipe, SMALL), tmp_path / "run", device=DEVICE, pictures=False)
    seconds = time.perf_counter() - began
    losses = _losses(tmp_path / "run" / "log.jsonl")
    print(f"\n{recipe} on {DEVICE}: 60 steps in {seconds:.1f} s, loss {losses[0]:.3f} to {np.mean(losses[-10:]):.3f}")
    assert len(losses) == 60
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])
    found = softseg.predict(maps.t1, tmp_path / "run" / "model", device=DEVICE)
    assert found.probability("grey-matter").max() > 0.3


@pytest.mark.skipif(not CUDA, reason="memory of a GPU")
def test_a_whole_head_in_little_memory(maps: Maps) -> None:
    softseg.predict(_cube(maps.t1, 48), MODEL, device=DEVICE, backend="torch")  # the first call loads the libraries
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    softseg.predict(maps.t1, MODEL, device=DEVICE, backend="torch")
    seconds, peak = time.perf_counter() - began, torch.cuda.max_memory_allocated() / 1e9
    print(f"\nwhole head on {torch.cuda.get_device_name()}: {seconds:.1f} s, {peak:.2f} GB of its memory")
    assert peak <= 2


def _difference(one: SoftParcellation, other: SoftParcellation, node: str) -> float:
    return float(np.abs(one.probability(node) - other.probability(node)).max())


def _cube(image: Image, size: int) -> Image:
    return Image(np.ascontiguousarray(image.array[:size, :size, :size]), Geometry((size, size, size)))


def _losses(log: Path) -> list[float]:
    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [event["loss"] for event in events if event["event"] == "step"]
