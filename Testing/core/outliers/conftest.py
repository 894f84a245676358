"""Makes the kit importable; one trained model and one written dataset for all tests here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from softseg.data import Dataset
from softseg.network import Model

sys.path.insert(0, str(Path(__file__).parent))

from outlier_kit import make_model, trained, tree, write_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """DATA.json of scans whose validation and test cases hold a leaf that training cases lack."""
    return write_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of prepared cases."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def dataset(world: Path) -> Dataset:
    return Dataset.load(world)


@pytest.fixture(scope="session")
def learnt(world: Path, cache: Path) -> Model:
    """A 3D model that knows every leaf but the strange one."""
    return trained(make_model(), Dataset.load(world, tree(strange=True)), cache)
