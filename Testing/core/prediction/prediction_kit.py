"""Small trees, models that need no training, and scans whose content is known, for all tests of prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from softseg.data import Plan
from softseg.image import Geometry, Image
from softseg.network import Head, Model
from softseg.tree import LabelTree, Node

CENTRE = np.array([4.0, -7.0, 11.0])
"""Where the bright ball lies, LPS mm."""

RADIUS = 9.0


class Intensity(nn.Module):
    """Foreground where the weighted sum of the channels is positive; background elsewhere."""

    def __init__(self, weights: Sequence[float] = (1.0,), gain: float = 8.0) -> None:
        super().__init__()
        self.weights, self.gain = weights, gain

    def forward(self, batch: Tensor) -> Tensor:
        bright = sum(weight * batch[:, n] for n, weight in enumerate(self.weights))
        return torch.stack([-self.gain * bright / 2, self.gain * bright / 2], dim=1)


class Sides(nn.Module):
    """Background where dark; else left or right by the position in the window's last axis (i runs to the left)."""

    def forward(self, batch: Tensor) -> Tensor:
        bright = batch[:, 0]
        position = torch.linspace(-1, 1, batch.shape[-1]).expand_as(bright)
        return torch.stack([-8 * bright, 8 * bright + 9 * position, 8 * bright - 9 * position], dim=1)


def two_leaves() -> LabelTree:
    return LabelTree([Node("root", "root", None), Node("bg", "Background", "root", value=0), _ball("root")], "two")


def _ball(parent: str) -> Node:
    return Node("ball", "Ball", parent, value=7, color=(250, 10, 20))


def sided() -> LabelTree:
    return LabelTree(
        [
            Node("root", "root", None),
            Node("bg", "Background", "root", value=0),
            Node("ball", "Ball", "root"),
            Node("ball-left", "Left ball", "ball", value=1),
            Node("ball-right", "Right ball", "ball", value=2),
        ],
        "sided",
    )


def make_plan(**fields: Any) -> Plan:
    channels = fields.setdefault("channels", ("T1",))
    normal = {"kind": "percentile", "lower": 0.0, "upper": 100.0}
    defaults: dict[str, Any] = {
        "spacing": (2.0, 2.0, 2.0),
        "patch_size": (16, 16, 16),
        "normalization": dict.fromkeys(channels, normal),
        "precision": "float32",
    }
    return Plan.model_validate(defaults | fields)


def make_model(network: nn.Module | None = None, tree: LabelTree | None = None, **fields: Any) -> Model:
    tree = two_leaves() if tree is None else tree
    network = Intensity() if network is None else network
    background = None if tree.background is None else tree.leaf_index(tree.background.id)
    head = Head("softmax", len(tree.leaves), background)
    return Model(network.eval(), make_plan(**fields), tree, head, "head: softmax\n", {"name": "test"}, Path("model"))


def grid(axes: np.ndarray[Any, Any], spacing: tuple[float, float, float], size: tuple[int, int, int]) -> Geometry:
    """Return the grid with these index axes (columns, LPS) whose middle is the middle of space."""
    half = (np.asarray(size) - 1) / 2 * np.asarray(spacing)
    origin = -(axes @ half)
    return Geometry(size, spacing, tuple(float(x) for x in origin), tuple(float(x) for x in axes.ravel()))


def positions(geometry: Geometry) -> np.ndarray[Any, Any]:
    """Return the LPS position of each voxel: ``[3, k, j, i]``."""
    k, j, i = np.indices(geometry.shape)
    return np.einsum("ab,bkji->akji", geometry.ijk_to_lps(), np.stack([i, j, k, np.ones_like(i)]))[:3]


def ball(geometry: Geometry, value: float = 100.0, centre: np.ndarray[Any, Any] = CENTRE) -> Image:
    """Return a scan of a bright ball with a soft rim of 2 mm, 0 elsewhere."""
    distance = np.sqrt(((positions(geometry) - centre[:, None, None, None]) ** 2).sum(axis=0))
    return Image((value * np.clip((RADIUS + 1 - distance) / 2, 0, 1)).astype(np.float32), geometry)


STRAIGHT = grid(np.eye(3), (1.5, 1.5, 1.5), (36, 34, 40))
