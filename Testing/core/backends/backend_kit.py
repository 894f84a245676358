"""Small models with random weights, a scan, and the command line where packages are shut out."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.data import Plan
from softseg.image import Geometry, Image, write_image
from softseg.network import Head, Model, ModelFolder, build_network
from softseg.tree import LabelTree, Node

ENGINE = Path(__file__).parents[3] / "core"
EVERYTHING = (slice(None), slice(None), slice(None))

SMALL = {"filters": [4, 8, 16]}
NETWORKS = [
    ({"name": "DynUNet", "options": SMALL}, 3, "softmax", False),
    ({"name": "DynUNet", "options": SMALL | {"norm": "instance", "res_block": True}}, 2, "godin", True),
    ({"name": "DynUNet", "options": SMALL}, 3, "normrelu", True),
    ({"name": "UNet", "options": {"channels": [4, 8, 16]}}, 2, "softmax", True),
    ({"name": "SegResNet", "options": {"init_filters": 8}}, 3, "softmax", False),
]


def tree_of(leaves: int) -> LabelTree:
    parts = [Node(f"part-{n}", f"Part {n}", "root", value=n) for n in range(1, leaves)]
    return LabelTree([Node("root", "root", None), Node("bg", "Background", "root", value=0), *parts], "parts")


def saved(
    folder: Path,
    network: dict[str, Any],
    dimensions: int = 3,
    head: Any = "softmax",
    leaves: int = 4,
    half: bool = False,
    seed: int = 4,
    orientation: str = "LPS",
) -> Model:
    """A model folder with random weights, also of its normalisation."""
    tree = tree_of(leaves)
    channels = ("T1", "T2") if dimensions == 2 else ("T1",)
    plan = Plan(
        channels=channels,
        dimensions=dimensions,
        spacing=(2.0, 2.0, 2.0),
        patch_size=(32,) * dimensions,
        normalization={channel: {"kind": "z-score"} for channel in channels},
        network=network,
        precision="float32",
        orientation=orientation,
    )
    made = Head(head, leaves, 0)
    torch.manual_seed(seed)
    built = build_network(plan.network, plan.inputs, made.out_channels, dimensions)
    for name, value in built.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.2)
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
    ModelFolder.save(folder, built, plan, tree, f"name: test\nhead: {head}\n", head=made, half=half)
    return ModelFolder.load(folder)


WITHOUT = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[1].split(","):
            raise ImportError(f"{name} is shut out")

sys.meta_path.insert(0, Refused())
from softseg.cli import run
code = run(sys.argv[2:])
print("loaded:", *sorted({"torch", "monai", "onnxruntime", "openvino"} & set(sys.modules)))
sys.exit(code)
"""
"""A program that shuts packages out, runs a command and prints which libraries it has loaded."""


def softseg(*arguments: object, without: Sequence[str] = ("torch", "monai")) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process that cannot import some packages."""
    paths = os.pathsep.join([str(ENGINE), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-c", WITHOUT, ",".join(without), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


def scan(file: Path) -> Path:
    rng = np.random.default_rng(1)
    k, j, i = np.mgrid[:60, :50, :40]
    head = ((k - 30) / 26) ** 2 + ((j - 25) / 21) ** 2 + ((i - 20) / 17) ** 2 < 1
    values = np.where(head, 100 + 40 * np.sin(k / 5) * np.cos(j / 7) + rng.normal(0, 8, k.shape), 0)
    return write_image(Image(values.astype(np.float32), Geometry((40, 50, 60), (1.5, 1.2, 1.0))), file)
