"""A dataset that trains in a second: noisy balls with a rim, in a tree of two levels."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node

TINY = [
    "steps=8",
    "checkpoint_every=3",
    "average=0.9",
    "validation.every=4",
    "batch_size=1",
    "plan.precision=float32",
    "plan.spacing=[2, 2, 2]",
    "plan.patch_size=[16, 16, 16]",
    "plan.network={name: DynUNet, options: {filters: [4, 4, 4], dropout: 0.1}}",
]


def ball_tree(background: bool = True) -> LabelTree:
    nodes = [
        Node(id="root", name="root", parent=None),
        Node(id="ball", name="ball", parent="root"),
        Node(id="core", name="core", parent="ball", value=1),
        Node(id="rim", name="rim", parent="ball", value=2),
    ]
    if background:
        nodes.insert(1, Node(id="background", name="background", parent="root", value=0))
    return LabelTree(nodes, name="balls")


@pytest.fixture(scope="session")
def ball_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA.json of four cases: three to train on, one to validate."""
    folder = tmp_path_factory.mktemp("balls")
    ball_tree().save(folder / "tree.json")
    generator = np.random.default_rng(0)
    geometry = Geometry((26, 24, 22), (2.0, 2.0, 2.0))
    cases = []
    for number in range(4):
        k, j, i = np.mgrid[:22, :24, :26]
        middle = generator.uniform(9, 14, 3)
        radius = np.sqrt((k - middle[0]) ** 2 + (j - middle[1]) ** 2 + (i - middle[2]) ** 2)
        labels = np.where(radius < 4, 1, np.where(radius < 7, 2, 0)).astype(np.uint8)
        image = (labels * 100 + generator.normal(0, 20, labels.shape)).astype(np.float32)
        write_image(Image(image, geometry), folder / f"{number}.nii.gz")
        write_image(Image(labels, geometry), folder / f"{number}-labels.nii.gz")
        cases.append(
            {
                "id": f"case{number}",
                "group": f"person{number}",
                "split": "val" if number == 3 else "train",
                "images": {"T1": f"{number}.nii.gz"},
                "labels": f"{number}-labels.nii.gz",
            }
        )
    content = {"name": "balls", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(content))
    return folder / "DATA.json"


@pytest.fixture(scope="session")
def balls(ball_data: Path) -> Dataset:
    return Dataset.load(ball_data)


@pytest.fixture(scope="session")
def balls_tree() -> LabelTree:
    return ball_tree()


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Changes to any recipe that make it a matter of a second, in float32."""
    return list(TINY)
