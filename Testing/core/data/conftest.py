"""Small datasets on disk, made from arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.data import Dataset
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node


def head_tree() -> LabelTree:
    """Two sides of grey matter, one white matter; grey matter has a value of its own (a coarse label)."""
    return LabelTree(
        [
            Node(id="root", name="head", parent=None),
            Node(id="background", name="background", parent="root", value=0),
            Node(id="brain", name="brain", parent="root"),
            Node(id="grey", name="grey matter", parent="brain", value=9),
            Node(id="grey-left", name="Left grey", parent="grey", value=1),
            Node(id="grey-right", name="Right grey", parent="grey", value=2),
            Node(id="white", name="white matter", parent="brain", value=3),
        ],
        "head",
    )


def flat_tree() -> LabelTree:
    return LabelTree(
        [
            Node(id="root", name="all", parent=None),
            Node(id="background", name="background", parent="root", value=0),
            Node(id="lesion", name="lesion", parent="root", value=1),
        ],
        "lesion",
    )


def head_labels(shape: tuple[int, int, int]) -> np.ndarray:
    """White matter in the middle, grey left (larger i in LPS) and right of it, background around."""
    labels = np.zeros(shape, np.uint8)
    k, j, i = (size // 4 for size in shape)
    labels[k:-k, j:-j, i:-i] = 3
    labels[k:-k, j:-j, -i - 2 : -i] = 1
    labels[k:-k, j:-j, i : i + 3] = 2
    return labels


def head_image(labels: np.ndarray, seed: int) -> np.ndarray:
    brightness = np.zeros(10, np.float32)
    brightness[[1, 2, 3, 9]] = (90, 90, 140, 90)
    noise = np.random.default_rng(seed).normal(0, 5, labels.shape)
    return np.where(labels > 0, brightness[labels] + noise, 0).astype(np.float32)


class Maker:
    """Writes images and DATA.json into one folder."""

    head_tree = staticmethod(head_tree)
    flat_tree = staticmethod(flat_tree)
    head_labels = staticmethod(head_labels)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cases: list[dict[str, Any]] = []

    def write(self, name: str, array: np.ndarray, **grid: Any) -> str:
        geometry = Geometry(size=array.shape[::-1], **grid)
        write_image(Image(array, geometry), self.folder / name)
        return name

    def case(self, name: str, image: Any, labels: Any, split: str = "train", **more: Any) -> dict[str, Any]:
        images = image if isinstance(image, dict) else {"T1": image}
        case = {"id": name, "group": name, "split": split, "images": images, "labels": labels, **more}
        self.cases.append(case)
        return case

    def head(self, name: str, split: str = "train", shape: tuple[int, int, int] = (20, 22, 24), **grid: Any) -> None:
        labels = head_labels(shape)
        image = self.write(f"{name}.nii.gz", head_image(labels, len(self.cases)), **grid)
        self.case(name, image, self.write(f"{name}-labels.nii.gz", labels, **grid), split)

    def save(self, tree: LabelTree | None = None, channels: tuple[str, ...] = ("T1",)) -> Path:
        (head_tree() if tree is None else tree).save(self.folder / "tree.json")
        content = {"name": "test", "channels": list(channels), "tree": "tree.json", "cases": self.cases}
        path = self.folder / "DATA.json"
        path.write_text(json.dumps(content, indent=1), encoding="utf-8")
        return path

    def load(self, tree: LabelTree | None = None, channels: tuple[str, ...] = ("T1",)) -> Dataset:
        return Dataset.load(self.save(tree, channels))


@pytest.fixture
def make(tmp_path: Path) -> Maker:
    folder = tmp_path / "data"
    folder.mkdir()
    return Maker(folder)
