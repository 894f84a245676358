"""A small painted world for tests of outlier scores: scans on disk, label trees, and networks that learn them fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from softseg.data import CaseStore, Dataset, Plan
from softseg.image import Geometry, Image, write_image
from softseg.network import Head, Model, ModelFolder, build_network
from softseg.tree import LabelTree, Node

SHAPE = (4, 40, 36)
BRIGHTNESS = {0: 0.0, 1: 40.0, 2: 70.0, 3: 100.0, 4: 200.0}
"""By label value; 4 is what a model may never have seen."""


def tree(background: bool = False, strange: bool = False) -> LabelTree:
    """a > {a1, a2}, b, and as asked background and the leaf that models are not trained on."""
    nodes = [Node("root", "root", None)]
    nodes += [Node("bg", "Background", "root", value=0)] * background
    nodes += [Node("a", "A", "root", value=10), Node("a1", "A 1", "a", value=1), Node("a2", "A 2", "a", value=2)]
    nodes += [Node("b", "B", "root", value=3)]
    nodes += [Node("strange", "Strange", "root", value=4)] * strange
    return LabelTree(nodes, "painted")


def painted(seed: int, strange: bool = False, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Return a label map ``(k, j, i)`` of rectangles, unlabelled (0) around them."""
    _, j, i = np.indices(shape)
    shift = seed % 3
    labels = np.where(j < 18 + shift, np.where(i < 16 + shift, 1, 2), 3).astype(np.uint8)
    labels[:, :3], labels[:, -3:] = 0, 0
    if strange:
        labels[1:3, 22:32, 6:20] = 4
    return labels


def write_world(folder: Path, *, background: bool = False, strange: bool = True, cases: int = 3) -> Path:
    """Write DATA.json: all training cases but the last two, which are for validation and test (with strange parts)."""
    tree(background, strange).save(folder / "tree.json")
    entries: list[dict[str, Any]] = []
    for number in range(cases):
        split = ["test", "val"][cases - 1 - number] if number >= cases - 2 else "train"
        labels = painted(number, strange=strange and split != "train")
        noise = np.random.default_rng(number).normal(0, 5, labels.shape)
        scan = np.vectorize(BRIGHTNESS.get)(labels) + noise
        grid = Geometry(labels.shape[::-1], (1.0, 1.0, 2.0))
        write_image(Image(scan.astype(np.float32), grid), folder / f"scan{number}.nii.gz")
        write_image(Image(labels, grid), folder / f"labels{number}.nii.gz")
        entries.append(
            {
                "id": f"case{number}",
                "group": f"person{number}",
                "split": split,
                "images": {"T1": f"scan{number}.nii.gz"},
                "labels": f"labels{number}.nii.gz",
            }
        )
    content = {"name": "painted", "channels": ["T1"], "tree": "tree.json", "cases": entries}
    (folder / "DATA.json").write_text(json.dumps(content))
    return folder / "DATA.json"


def make_plan(dimensions: int = 3, **fields: Any) -> Plan:
    """Return a plan on the scans' own grid; brightness 0..200 becomes -1..1."""
    values: dict[str, Any] = {
        "dimensions": dimensions,
        "channels": ("T1",),
        "spacing": (2.0, 1.0, 1.0),
        "patch_size": (24, 24) if dimensions == 2 else (4, 24, 24),
        "normalization": {"T1": {"kind": "ct", "lower": -50, "upper": 300, "mean": 100, "sd": 100}},
        "network": {"name": "DynUNet", "options": {"filters": [8, 8, 8], "strides": [1, [1, 2, 2], [1, 2, 2]]}},
        "precision": "float32",
    }
    if dimensions == 2:
        values["network"] = {"name": "DynUNet", "options": {"filters": [8, 8, 8]}}
    return Plan.model_validate(values | fields)


def make_model(
    head: str = "softmax", dimensions: int = 3, background: bool = False, path: Path = Path("model"), **fields: Any
) -> Model:
    """Return an untrained model of the world without its strange part; always the same weights."""
    own, plan = tree(background), make_plan(dimensions, **fields)
    of = Head(head, len(own.leaves), own.leaf_index("bg") if background else None)  # type: ignore[arg-type]
    torch.manual_seed(0)
    network = build_network(plan.network, 1, of.out_channels, dimensions)
    return Model(network.eval(), plan, own, of, f"head: {head}\n", {"name": "painted"}, path)


def trained(model: Model, dataset: Dataset, cache: Path, steps: int = 40) -> Model:
    """Teach a model the training cases as whole images, with plain cross-entropy on labelled voxels."""
    from dataclasses import replace

    store = CaseStore(replace(dataset, tree=model.tree), model.plan, cache)
    images, targets = [], []
    for case in dataset.split("train"):
        prepared = store.load(case.id)
        images.append(torch.from_numpy(np.array(prepared.image)))
        target = prepared.labels.indices[0].astype(np.int64)
        target[prepared.labels.total() < 0.5] = -1
        targets.append(torch.from_numpy(target))
    batch, target = torch.stack(images), torch.stack(targets)
    if model.plan.dimensions == 2:
        batch, target = batch.movedim(2, 1).flatten(0, 1), target.flatten(0, 1)
    optimizer = torch.optim.Adam(model.network.parameters(), 0.02)
    model.network.train()
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model.head.logits(model.network(batch))
        torch.nn.functional.cross_entropy(logits, target, ignore_index=-1).backward()
        optimizer.step()
    model.network.eval()
    return model


def save(model: Model, folder: Path) -> Path:
    """Write the model folder."""
    return ModelFolder.save(folder, model.network, model.plan, model.tree, model.recipe, {"name": "painted"})
