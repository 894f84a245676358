"""A tiny world for the command line: a tree, two scans of two people, soft labels, an untrained model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.cli import run
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node

REPOSITORY = Path(__file__).resolve().parents[3]
SIZE = (20, 22, 24)  # i, j, k


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


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts ``python -m softseg`` as a process of its own; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        started.append(_start(*arguments, **options))
        return started[-1]

    yield call
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def _start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "core"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "softseg", *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def small_tree() -> LabelTree:
    """Root > background, organ > {core, shell}."""
    nodes = [
        Node("body", "body", None),
        Node("background", "background", "body", value=0),
        Node("organ", "organ", "body"),
        Node("core", "core", "organ", value=1),
        Node("shell", "shell", "organ", value=2),
    ]
    return LabelTree(nodes, name="small")


def labels_array() -> np.ndarray:
    """Two nested balls, (k, j, i), values 0, 1, 2."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in SIZE[::-1]], indexing="ij")
    radius = np.sqrt(sum(axis**2 for axis in axes))
    return np.where(radius < 0.4, 1, np.where(radius < 0.75, 2, 0)).astype(np.uint8)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A folder with tree.json, DATA.json and the files it names."""
    small_tree().save(tmp_path / "tree.json")
    geometry = Geometry(SIZE, (1.0, 1.0, 1.5))
    labels = labels_array()
    cases = []
    for number, split in enumerate(("train", "val")):
        noise = np.random.default_rng(number).normal(0, 10, labels.shape)
        write_image(Image((labels * 100 + 50 + noise).astype(np.int16), geometry), tmp_path / f"scan{number}.nii.gz")
        write_image(Image(labels, geometry), tmp_path / f"labels{number}.nii.gz")
        cases.append(
            {
                "id": f"case{number}",
                "group": f"person{number}",
                "split": split,
                "images": {"T1": f"scan{number}.nii.gz"},
                "labels": f"labels{number}.nii.gz",
            }
        )
    for value, leaf in enumerate(("background", "core", "shell")):
        write_image(Image((labels == value).astype(np.float32), geometry), tmp_path / f"soft_{leaf}.nii.gz")
    write_json(tmp_path / "DATA.json", {"name": "small", "channels": ["T1"], "tree": "tree.json", "cases": cases})
    return tmp_path


def write_json(path: Path, content: object) -> Path:
    """Write ``content`` as JSON."""
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


@pytest.fixture
def change_json() -> Callable[[Path, Callable[[Any], None]], Path]:
    """Reads JSON, lets a function edit it, writes it back."""

    def call(path: Path, change: Callable[[Any], None]) -> Path:
        content = json.loads(path.read_text(encoding="utf-8"))
        change(content)
        return write_json(path, content)

    return call


@pytest.fixture
def quick_training() -> list[str]:
    """Settings of a training that takes seconds."""
    values = (
        "plan.precision=float32",
        "plan.patch_size=[16,16,16]",
        "plan.spacing=[1.5,1.5,1.5]",
        "plan.network.options.filters=[4,8,16]",
        "batch_size=1",
        "steps=4",
        "validation.every=4",
    )
    return [part for value in values for part in ("--set", value)]


@pytest.fixture
def model(world: Path) -> Path:
    """An untrained model folder for the tiny world."""
    import torch

    from softseg.data import Plan
    from softseg.network import Head, ModelFolder, build_network

    tree = small_tree()
    plan = Plan(
        channels=("T1",),
        spacing=(1.5, 1.5, 1.5),
        patch_size=(16, 16, 16),
        normalization={"T1": {"kind": "z-score"}},
        network={"name": "DynUNet", "options": {"filters": [4, 8, 16]}},
        precision="float32",
    )
    head = Head("softmax", len(tree.leaves), 0)
    torch.manual_seed(0)
    network = build_network(plan.network, 1, head.out_channels, 3)
    return ModelFolder.save(world / "model", network, plan, tree, "name: test\nhead: softmax\n", head=head)
