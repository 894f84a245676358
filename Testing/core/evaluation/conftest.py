"""A small tree, small heads and files made of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node

SHAPE = (20, 26, 24)


@pytest.fixture(scope="session")
def small_tree() -> LabelTree:
    """Head with background (0), cortex (1, left 11 and right 12 below), deep grey (2) and white matter (3)."""
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", value=0),
            Node("brain", "brain", "head"),
            Node("grey", "grey matter", "brain", value=20),
            Node("cortex", "cortex", "grey"),
            Node("left-cortex", "Left cortex", "cortex", value=11),
            Node("right-cortex", "Right cortex", "cortex", value=12),
            Node("deep", "deep grey", "grey", value=2),
            Node("white", "white matter", "brain", value=3),
        ],
        name="small",
    )


@pytest.fixture(scope="session")
def small_geometry() -> Geometry:
    return Geometry((SHAPE[2], SHAPE[1], SHAPE[0]), spacing=(1.0, 1.2, 2.0), origin=(3.0, -4.0, 5.0))


@pytest.fixture(scope="session")
def small_values() -> np.ndarray:
    """Label values of nested balls, left and right."""
    k, j, i = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    radius = np.sqrt((k * 1.2) ** 2 + j**2 + i**2)
    values = np.zeros(SHAPE, np.uint16)
    values[radius < 10] = 11
    values[(radius < 10) & (i < 0)] = 12
    values[radius < 7] = 3
    values[radius < 3] = 2
    return values


@pytest.fixture(scope="session")
def soften(small_tree: LabelTree) -> Callable[[np.ndarray, float], np.ndarray]:
    """Turn label values into blurred leaf probabilities [C, k, j, i]."""

    def blur(values: np.ndarray, sigma: float) -> np.ndarray:
        crisp = np.stack([values == leaf.value for leaf in small_tree.leaves]).astype(np.float32)
        dense = np.stack([ndimage.gaussian_filter(part, sigma) for part in crisp])
        return (dense / dense.sum(axis=0)).astype(np.float32)

    return blur


@pytest.fixture(scope="session")
def case_files(
    tmp_path_factory: pytest.TempPathFactory,
    small_tree: LabelTree,
    small_geometry: Geometry,
    small_values: np.ndarray,
    soften: Callable[[np.ndarray, float], np.ndarray],
) -> Path:
    """Three cases: predictions/CASE/soft.soft.npz, and CASE.nii.gz in labels, crisp and images."""
    folder = tmp_path_factory.mktemp("cases")
    rng = np.random.default_rng(3)
    for number, case in enumerate(("ada", "ben", "cleo")):
        truth = np.roll(small_values, number, axis=1)
        found = np.roll(small_values, number + 1, axis=2)
        write_image(Image(truth, small_geometry), folder / "labels" / f"{case}.nii.gz")
        write_image(Image(found, small_geometry), folder / "crisp" / f"{case}.nii.gz")
        scan = truth.astype(np.float32) * 10 + rng.random(SHAPE, dtype=np.float32)
        write_image(Image(scan, small_geometry), folder / "images" / f"{case}.nii.gz")
        parcellation = SoftParcellation.from_dense(soften(found, 1.0), small_tree, small_geometry, model="blur")
        parcellation.save(folder / "predictions" / case / "soft.soft.npz")
    return folder


@pytest.fixture(scope="session")
def brain_tree(resources: Path) -> LabelTree:
    return LabelTree.load(resources / "LabelTrees" / "brain-134.json")


@pytest.fixture(scope="session")
def brain_values(shared_data: Path) -> np.ndarray:
    """A real head, every third voxel."""
    return np.ascontiguousarray(read_image(shared_data / "brain" / "labels" / "1000.nii.gz").array[::3, ::3, ::3])
