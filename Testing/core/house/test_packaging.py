"""What the wheels hold, and that an installed copy finds it from any folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
COPIED = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "core", "Resources")
ASK = """
import sys
from softseg.resources import list_label_trees, list_models, model_path, named_model, resources_folder
from softseg.errors import InputError
print(resources_folder(), *list_models(), len(list_label_trees()))
try:
    print(model_path("brain-134"))
except InputError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Build the wheel of the engine and that of the models that may not be used commercially."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheels")
    skipped = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "Screenshots")
    for name in COPIED:
        if (REPOSITORY / name).is_dir():
            shutil.copytree(REPOSITORY / name, source / name, ignore=skipped)
        else:
            shutil.copy2(REPOSITORY / name, source / name)
    for folder in (source, source / "Resources"):
        pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", built, folder)
    (engine,) = built.glob("softseg-*.whl")
    (models,) = built.glob("softseg_models-*.whl")
    return engine, models


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--no-input", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]


def ask(installed: Path, elsewhere: Path) -> list[str]:
    """Return what an installed copy says about its resources, asked in another folder."""
    environment = {key: value for key, value in os.environ.items() if key != "SOFTSEG_RESOURCES"}
    environment["PYTHONPATH"] = str(installed)
    return subprocess.run(
        [sys.executable, "-c", ASK], cwd=elsewhere, env=environment, capture_output=True, text=True, check=True
    ).stdout.splitlines()


def shipped(model: str) -> set[str]:
    folder = REPOSITORY / "Resources" / "Models" / model
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return {f"{model}/{path.as_posix()}" for path in files if "training" not in path.parts}


def licences() -> dict[str, str]:
    """Return the licence of the weights of each shipped model, as its own folder says it."""
    found = {}
    for folder in (REPOSITORY / "Resources" / "Models").iterdir():
        ensemble, one = folder / "ensemble.json", folder / "configs" / "metadata.json"
        told = json.loads((ensemble if ensemble.is_file() else one).read_text(encoding="utf-8"))
        details = told["details"] if ensemble.is_file() else told["softseg"]["details"]
        found[folder.name] = details["licence"]
    return found


def test_each_tree_and_model_is_in_the_wheel_of_its_licence(wheels: tuple[Path, Path]) -> None:
    engine, models = (set(zipfile.ZipFile(wheel).namelist()) for wheel in wheels)
    trees = {path.name for path in (REPOSITORY / "Resources" / "LabelTrees").glob("*.json")}
    assert {name.rpartition("/")[2] for name in engine if name.startswith("softseg/Resources/LabelTrees/")} == trees
    free = {name for name, licence in licences().items() if licence.startswith("Apache-2.0")}
    restricted = set(licences()) - free
    assert free
    assert restricted
    packed = {name.partition("Models/")[2] for name in engine if "/Models/" in name and not name.endswith("/")}
    assert packed == set().union(*map(shipped, free))
    packed = {name.partition("/")[2] for name in models if name.startswith("softseg_models/") and name[-1] != "/"}
    assert packed == set().union(*map(shipped, restricted))


def test_the_licence_of_each_wheel_is_in_its_metadata(wheels: tuple[Path, Path]) -> None:
    found = []
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
            lines = archive.read(name).decode().splitlines()
        found += [line for line in lines if line.startswith("License-Expression:")]
    assert found == ["License-Expression: Apache-2.0", "License-Expression: LicenseRef-CC-BY-NC"]


def test_an_installed_wheel_finds_its_resources_from_any_folder(wheels: tuple[Path, Path], tmp_path: Path) -> None:
    engine, models = wheels
    pip("install", "--no-index", "--no-deps", "--target", tmp_path / "installed", engine)
    where, missing = ask(tmp_path / "installed", tmp_path)
    trees = len(list((REPOSITORY / "Resources" / "LabelTrees").glob("*.json")))
    assert where.split() == [
        str(tmp_path / "installed" / "softseg" / "Resources"),
        "cord-gm-soft",
        "head-any",
        str(trees),
    ]
    assert missing.startswith("no shipped model 'brain-134'; its weights are not for commercial use")
    pip("install", "--no-index", "--no-deps", "--target", tmp_path / "installed", models)
    where, found = ask(tmp_path / "installed", tmp_path)
    assert where.split()[1:] == ["brain-134", "cord-gm-soft", "head-any", str(trees)]
    assert found == str(tmp_path / "installed" / "softseg_models" / "brain-134")
