"""Bundles run by MONAI in a process that cannot import this product, and a small image to run them on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from softseg.data import Plan, preprocess_images
from softseg.image import Geometry, Image, write_image
from softseg.network import Head, set_output_bias
from softseg.soft.resample import resample_image
from softseg.tree import LabelTree, Node

RUN = """
import sys
sys.modules["softseg"] = None  # not importable
from monai.bundle import run
run(config_file="configs/inference.json", meta_file="configs/metadata.json", bundle_root=".", dataset_dir=sys.argv[1],
    output_dir=sys.argv[2], save_probabilities="true")
"""


def run_by_monai(folder: Path, images: Path, out: Path) -> None:
    """Run a bundle in a process that cannot import this product."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(images), str(out)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


TREE = LabelTree(
    [
        Node(id="root", name="root", parent=None),
        Node(id="background", name="background", parent="root", value=0),
        Node(id="core", name="core", parent="root", value=7),
        Node(id="rim", name="rim", parent="root", value=3),
    ],
    name="balls",
)


def scan(path: Path) -> Image:
    """A ball with a rim, turned, finer than the plan."""
    k, j, i = np.mgrid[:40, :44, :36]
    radius = np.sqrt((k - 18) ** 2 + (j - 24) ** 2 + (i - 16) ** 2)
    noise = np.random.default_rng(0).normal(0, 10, k.shape)
    array = np.where(radius < 7, 300, np.where(radius < 12, 200, 100)) + noise
    geometry = Geometry((36, 44, 40), (1.0, 1.2, 1.1), (5.0, -7.0, 3.0), (-1, 0, 0, 0, 1, 0, 0, 0, -1))
    image = Image(array.astype(np.float32), geometry)
    write_image(image, path)
    return image


def labels_of(image: Image) -> np.ndarray:
    """Class indices: background, core, rim."""
    return np.select([image.array > 250, image.array > 150], [1, 2], 0).astype(np.uint8)


def fit(network: torch.nn.Module, head: Head, plan: Plan, image: Image) -> None:
    """Teach the network its one image: a network that knows something does not amplify noise."""
    array, grid = preprocess_images([image], plan)
    labels = torch.from_numpy(
        resample_image(Image(labels_of(image), image.geometry), grid, "nearest").array.astype(int)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    if head.name == "normrelu":
        set_output_bias(network, torch.full((3,), 0.2))  # as training does: nothing learns where all is below zero
    network.train()
    for step in range(50):
        where = (slice(2, 18), slice(5 + step % 6, 21 + step % 6), slice(step % 3, 16 + step % 3))
        patch = torch.from_numpy(array)[(None, slice(None), *where)]
        probabilities = head.probabilities(network(patch)).clamp(min=1e-4)
        loss = torch.nn.functional.nll_loss(probabilities.log(), labels[where][None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
