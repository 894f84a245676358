"""Datasets small enough to study in seconds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from study_kit import field_labels, field_tree

from softseg.data import Dataset
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree

TINY = {
    "batch_size": 1,
    "plan.precision": "float32",
    "plan.dimensions": 2,
    "plan.spacing": [None, 1, 1],
    "plan.patch_size": [8, 8],
    "plan.network": {"name": "DynUNet", "options": {"filters": [4, 4, 4]}},
    "validation.every": 20,
    "average": None,
}


@pytest.fixture(scope="session")
def field_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA.json of four people with one flat image each."""
    folder = tmp_path_factory.mktemp("fields")
    field_tree().save(folder / "tree.json")
    generator = np.random.default_rng(0)
    cases = []
    for number in range(4):
        labels = field_labels(number)
        image = (labels * 10 + generator.normal(0, 2, labels.shape)).astype(np.float32)
        geometry = Geometry((24, 24, 1))
        write_image(Image(image, geometry), folder / f"{number}.nii.gz")
        write_image(Image(labels, geometry), folder / f"{number}-labels.nii.gz")
        cases.append(
            {
                "id": f"field{number}",
                "group": f"farm{number}",
                "split": ("train", "train", "val", "test")[number],
                "images": {"red": f"{number}.nii.gz"},
                "labels": f"{number}-labels.nii.gz",
            }
        )
    content = {"name": "fields", "channels": ["red"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(content))
    return folder / "DATA.json"


@pytest.fixture
def fields(field_data: Path) -> Dataset:
    return Dataset.load(field_data)


@pytest.fixture
def study_file(field_data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Write a STUDY.yaml with some keys changed; a key of None is left out."""

    def write(**changes: Any) -> Path:
        content: dict[str, Any] = {
            "name": "fields",
            "data": str(field_data),
            "budget": {"steps": 2},
            "set": TINY,
            "variants": [
                {"name": "plain", "recipe": "sparse", "set": {"losses": [{"name": "cross-entropy", "weight": 1.0}]}},
                {"name": "tree", "recipe": "sparse"},
            ],
        }
        content |= changes
        file = tmp_path / "STUDY.yaml"
        file.write_text(yaml.safe_dump({key: value for key, value in content.items() if value is not None}))
        return file

    return write


@pytest.fixture(scope="session")
def fields_tree() -> LabelTree:
    return field_tree()
