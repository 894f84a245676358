"""Scribbles and missing structures made from full labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.data import Dataset
from softseg.data.simulate import hold_out, paint_scribbles, write_scribbles
from softseg.errors import InputError
from softseg.image import Image, read_image, write_image


def dataset(make: Any) -> Dataset:
    for name, split in (("a", "train"), ("b", "val"), ("c", "test")):
        make.head(name, split)
    return make.load()


def block_labels(shape: tuple[int, int, int] = (6, 20, 24)) -> np.ndarray:
    """Three structures: a large, a small, and one of a single voxel."""
    labels = np.zeros(shape, np.uint8)
    labels[1:5, 2:18, 2:12] = 1
    labels[2:4, 4:9, 14:18] = 2
    labels[3, 12, 20] = 3
    return labels


def test_scribbles_lie_within_their_structures_and_within_slices() -> None:
    labels = block_labels()
    painted = paint_scribbles(labels, per_structure=1, seed=3)
    assert np.isin(painted, (0, 1, 2, 3)).all()
    assert (painted[painted > 0] == labels[painted > 0]).all()
    for value in (1, 2):
        voxels = np.argwhere(painted == value)
        assert 2 <= len(voxels) <= 10
        assert (voxels == voxels[0]).all(axis=0).any(), "one scribble lies in one slice"
        steps = np.abs(voxels[:, None] - voxels[None]).max(axis=2)
        np.fill_diagonal(steps, 99)
        assert steps.min(axis=1).max() == 1, "a scribble is one connected curve"
    assert (painted == 3).sum() == 1


@given(fraction=st.floats(0.01, 1), seed=st.integers(0, 5))
@settings(deadline=None, max_examples=20)
def test_a_fraction_is_met_by_voxel(fraction: float, seed: int) -> None:
    labels = block_labels()
    painted = paint_scribbles(labels, fraction=fraction, seed=seed)
    for value in (1, 2, 3):
        assert (painted == value).sum() == max(1, np.ceil(fraction * (labels == value).sum()))


def test_the_same_seed_paints_the_same_and_another_does_not() -> None:
    labels = block_labels()
    first = paint_scribbles(labels, per_structure=3, seed=1)
    assert np.array_equal(first, paint_scribbles(labels, per_structure=3, seed=1))
    assert not np.array_equal(first, paint_scribbles(labels, per_structure=3, seed=2))


@pytest.mark.parametrize(
    "amount", [{}, {"fraction": 0.1, "per_structure": 2}, {"fraction": 0.0}, {"fraction": 1.5}, {"per_structure": 0}]
)
def test_wrong_amounts(amount: dict) -> None:
    with pytest.raises(InputError):
        paint_scribbles(block_labels(), **amount)


def test_only_training_and_validation_labels_change(make: Any, tmp_path: Path) -> None:
    source = dataset(make)
    result = Dataset.load(write_scribbles(source, tmp_path / "strokes", per_structure=2))
    assert [node.id for node in result.tree.nodes] == [node.id for node in source.tree.nodes]
    for case, before in zip(result.cases, source.cases, strict=True):
        assert case.images == before.images
        new, old = read_image(case.labels), read_image(before.labels)
        assert new.geometry == old.geometry
        if case.split == "test":
            assert np.array_equal(new.array, old.array)
        else:
            assert 0 < (new.array > 0).sum() < (old.array > 0).sum() / 4


def test_held_out_branches_are_unlabelled(make: Any, tmp_path: Path) -> None:
    source = dataset(make)
    result = Dataset.load(hold_out(source, ["grey"], tmp_path / "held"))
    for case, before in zip(result.cases, source.cases, strict=True):
        new, old = read_image(case.labels).array, read_image(before.labels).array
        expected = old if case.split == "test" else np.where(np.isin(old, (1, 2, 9)), 0, old)
        assert np.array_equal(new, expected)
    with pytest.raises(InputError, match="no-such-node"):
        hold_out(source, ["no-such-node"], tmp_path / "other")


def test_soft_maps_are_refused(make: Any, tmp_path: Path) -> None:
    dataset(make)
    path = make.folder / "DATA.json"
    content = json.loads(path.read_text())
    case = content["cases"][0]
    image = read_image(path.parent / case["labels"])
    write_image(Image((image.array == 3).astype(np.float32), image.geometry), path.parent / "white.nii.gz")
    case["labels"] = {"white": "white.nii.gz"}
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="soft maps"):
        write_scribbles(Dataset.load(path), tmp_path / "strokes", per_structure=2)
