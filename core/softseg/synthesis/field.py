"""What of a head is in the picture: skull or none, face or none, and where the field of view ends."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from softseg.synthesis.settings import SynthesisSpec


def without_skull(brain: Tensor, spec: SynthesisSpec, generator: np.random.Generator) -> Tensor | None:
    """Return how much of each voxel stays, 0..1 ``(k, j, i)``, or None where the head is left whole.

    ``brain`` holds the fraction of brain in each voxel. Where the rest is cropped, what lies within some voxels of the
    brain stays, unevenly.
    """
    kind = generator.random()
    if kind < spec.stripped:
        return brain
    if kind >= spec.stripped + spec.cropped:
        return None
    reach = int(generator.integers(1, 5))
    field = brain[None, None]
    for _ in range(reach):
        field = F.max_pool3d(field, 3, stride=1, padding=1)
    return F.avg_pool3d(field, 3, stride=1, padding=1)[0, 0] if generator.random() < 0.5 else field[0, 0]


def face(brain: Tensor, axes: tuple[int, int], generator: np.random.Generator) -> Tensor:
    """Return where the picture stays when the face is taken off: bool ``(k, j, i)``.

    A plane cuts off what lies in front of and below the brain; voxels with any brain always stay.

    Parameters
    ----------
    brain: fraction of brain.
    axes: array axes that run to superior and to posterior.
    """
    inside = torch.nonzero(brain > 0.5)
    if not len(inside):
        return torch.ones(brain.shape, dtype=torch.bool)
    up, back = axes
    height = inside[:, up].float()
    depth = inside[:, back].float()
    bottom, front = float(height.quantile(0.25)), float(depth.min())
    shape = brain.shape
    along = [torch.arange(size, dtype=torch.float32) for size in shape]
    views = [value.view([-1 if n == axis else 1 for n in range(3)]) for axis, value in enumerate(along)]
    slope = float(generator.uniform(0.3, 1.5))
    line = (views[up] - bottom) + slope * (views[back] - front)
    return (line.expand(shape) > float(generator.uniform(-6, 3))) | (brain > 0)


def field_of_view(shape: tuple[int, int, int], spec: SynthesisSpec, generator: np.random.Generator) -> Tensor | None:
    """Return a box of what was scanned, bool ``(k, j, i)``, or None where the field covers the whole patch."""
    if generator.random() >= spec.cut:
        return None
    seen = torch.ones(shape, dtype=torch.bool)
    for axis, size in enumerate(shape):
        for end in (0, 1):
            if generator.random() < 0.4:
                lost = int(generator.uniform(0, 0.3) * size)
                part = seen.narrow(axis, 0 if end == 0 else size - lost, lost)
                part.fill_(False)
    return seen
