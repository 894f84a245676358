"""A small model of balls with a rim, scans of four people, and results of two of them that somebody corrected."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from softseg.cli import run
from softseg.data import Dataset
from softseg.image import Geometry, Image, write_image
from softseg.prediction import load_models, predict
from softseg.prediction.ensemble_folder import save_ensemble
from softseg.requests.manifest import SOFT
from softseg.soft.parcellation import SoftParcellation
from softseg.training import Recipe, train
from softseg.tree import LabelTree, Node

TINY = [
    "steps=30",
    "average=0.9",
    "validation.every=30",
    "batch_size=2",
    "optimizer.learning_rate=0.01",
    "plan.precision=float32",
    "plan.spacing=[2, 2, 2]",
    "plan.patch_size=[16, 16, 16]",
    "plan.network={name: DynUNet, options: {filters: [4, 4, 4]}}",
]


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs ``softseg`` with these arguments, in this process."""

    def call(*arguments: object) -> Answer:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        written = capfd.readouterr()
        return Answer(code, written.out, written.err)

    return call


def ball_tree() -> LabelTree:
    return LabelTree(
        [
            Node("root", "root", None),
            Node("background", "background", "root", value=0),
            Node("ball", "ball", "root"),
            Node("core", "core", "ball", value=1),
            Node("rim", "rim", "ball", value=2),
        ],
        "balls",
    )


@dataclass(frozen=True)
class World:
    """What there is: ``data`` (people 0 to 3, the last one a test case), a model, an ensemble, and results."""

    folder: Path
    data: Path
    model: Path
    ensemble: Path
    results: Path


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The model is trained on person 0; the results of 1 and 2 are corrected by the truth, 1 with authors."""
    folder = tmp_path_factory.mktemp("learn")
    ball_tree().save(folder / "tree.json")
    generator = np.random.default_rng(0)
    cases = []
    for number in range(4):
        k, j, i = np.mgrid[:20, :20, :20]
        radius = np.sqrt(
            sum((axis - middle) ** 2 for axis, middle in zip((k, j, i), generator.uniform(8, 12, 3), strict=True))
        )
        labels = np.where(radius < 4, 1, np.where(radius < 7, 2, 0)).astype(np.uint8)
        image = (labels * 100 + 40 * number + generator.normal(0, 25, labels.shape)).astype(np.float32)
        grid = Geometry((20, 20, 20), (2.0, 2.0, 2.0))
        write_image(Image(image, grid), folder / f"{number}.nii.gz")
        write_image(Image(labels, grid), folder / f"{number}-labels.nii.gz")
        split = "test" if number == 3 else "train"
        files = {"images": {"T1": f"{number}.nii.gz"}, "labels": f"{number}-labels.nii.gz"}
        cases.append({"id": f"case{number}", "group": f"person{number}", "split": split, **files})
    content = {"name": "balls", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(content))
    (folder / "first.json").write_text(json.dumps({**content, "cases": cases[:1]}))
    models = []
    for name in ("one", "two"):
        recipe = Recipe.load("tree-ce" if name == "one" else "ce-dice", TINY)
        made = train(Dataset.load(folder / "first.json"), recipe, folder / name, device="cpu", pictures=False)
        models.append(made)
    ensemble = save_ensemble(models, folder / "both", {"name": "both"})
    scans = [str(folder / f"{number}.nii.gz") for number in (1, 2)]
    predict(str(models[0]), scans, folder / "results", device="cpu")
    for number in (1, 2):
        correct(folder, number)
    return World(folder, folder / "DATA.json", models[0], ensemble, folder / "results")


def correct(folder: Path, number: int) -> None:
    """Correct a stored result by the truth, in half of the scan: leaves, a group, and what is not a node."""
    from softseg.image import read_image
    from softseg.requests.manifest import Manifest

    case = Manifest.read(folder / "results").of_images([folder / f"{number}.nii.gz"])
    truth = read_image(folder / f"{number}-labels.nii.gz", labels=True).array
    result = SoftParcellation.load(case.file(SOFT))
    half = np.arange(20)[:, None, None] < 10
    result = result.corrected("core", (truth == 1) & half, author="Ada")
    result = result.corrected("ball", (truth == 2) & half, author="Ada")
    result = result.corrected("rim", (truth == 0) & half, is_node=False, author="Bob")
    result.save(case.file(SOFT))


@pytest.fixture
def loaded() -> Callable[[Path], list]:
    """The networks of a model folder."""
    return load_models


@pytest.fixture
def tiny() -> list[str]:
    """Changes to any recipe that make it a matter of a second."""
    return list(TINY)
