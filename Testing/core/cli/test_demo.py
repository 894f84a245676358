"""The demo from end to end, on the real head made small, with an untrained model and without a network."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import softseg.demo as demo_package
from softseg.demo.scan import Maps, read_maps, write_dataset
from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft.parcellation import SoftParcellation

COARSER = 4


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens a connection fails."""

    def refuse(*_: object) -> None:
        raise AssertionError("the demo must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def _coarse(image: Image) -> Image:
    """Every fourth voxel, as a head of 7 cm."""
    old = image.geometry
    array = np.ascontiguousarray(image.array[::COARSER, ::COARSER, ::COARSER])
    return Image(array, Geometry(array.shape[::-1], (1.5, 1.5, 1.5), old.origin, old.direction))


@pytest.mark.usefixtures("no_network")
def test_demo(cli: Callable, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_coarse(folder: Path) -> Maps:
        whole = read_maps(folder)
        _assert_soft_labels(whole)
        maps = Maps(
            _coarse(whole.t1), {leaf: _coarse(probability) for leaf, probability in whole.probabilities.items()}
        )
        write_image(maps.t1, folder / "T1.nii.gz")
        return maps

    settings = (
        "plan.precision=float32",
        "steps=3",
        "batch_size=1",
        "validation.every=3",
        "plan.spacing=[3,3,3]",
        "plan.patch_size=[16,16,16]",
    )
    small = ("plan.network.options.filters=[4,8,16]", "validation.metric=soft_dice/leaves")
    monkeypatch.setattr(demo_package, "read_maps", read_coarse)
    monkeypatch.setattr(demo_package, "SETTINGS", (*settings, *small))
    out = tmp_path / "demo"
    answer = cli("demo", "--out", out, "--model", model, "--minutes", "5", "--device", "cpu")
    assert answer.code == 0, answer.err
    expected = {
        "report.html",
        "overview.png",
        "segmentation/T1/soft.soft.npz",
        "segmentation/T1/labels_level1.nii.gz",
        "segmentation/T1/labels_level2.nii.gz",
        "segmentation/T1/node_organ.nii.gz",
        "segmentation/T1/volumes.csv",
        "training/run/curves.png",
        "training/soft_labels.png",
        "training/evaluation/report.html",
        "training/run/model",
    }
    for name in expected:
        assert f"{name}: {out / name}\n" in answer.out
        assert (out / name).exists()
    stored = SoftParcellation.load(out / "segmentation" / "T1" / "soft.soft.npz")
    assert stored.geometry.same_grid(read_image(out / "input" / "T1.nii.gz").geometry)
    probability = read_image(out / "segmentation" / "T1" / "node_organ.nii.gz").array
    assert len(np.unique(probability)) > 50


def _assert_soft_labels(maps: Maps) -> None:
    total = sum(probability.array for probability in maps.probabilities.values())
    np.testing.assert_allclose(total, 1, atol=1e-5)
    assert len(np.unique(maps.probabilities["grey-matter"].array)) > 100
    brain = maps.t1.array > 0
    assert maps.probabilities["background"].array[~brain].mean() > 0.99
    assert maps.probabilities["background"].array[brain].mean() < 0.01


def test_front_and_back_probability_no_slice(tmp_path: Path) -> None:
    geometry = Geometry((4, 20, 3))
    t1 = Image(np.arange(240, dtype=np.uint8).reshape(geometry.shape), geometry)
    maps = Maps(t1, {"background": Image(np.ones(geometry.shape, np.float32), geometry)})
    write_dataset(maps, tmp_path)
    front, back = (read_image(tmp_path / f"{name}_T1.nii.gz") for name in ("front", "back"))
    assert front.array.shape[1] + back.array.shape[1] == 20
    np.testing.assert_array_equal(np.concatenate([back.array, front.array], axis=1), t1.array)
    assert front.geometry.origin[1] == back.array.shape[1]
