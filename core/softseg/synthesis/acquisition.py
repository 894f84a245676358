"""What a scanner does to a picture: uneven gain, thick slices, coarse pixels, noise, gamma."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from softseg.synthesis.settings import SynthesisSpec

LEAST_KNOTS = 2


def noise(shape: tuple[int, ...], generator: np.random.Generator) -> Tensor:
    """Return standard normal numbers, float32."""
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def bias_field(spec: SynthesisSpec, shape: tuple[int, int, int], generator: np.random.Generator) -> Tensor:
    """Return a smooth gain around 1, float32 ``(k, j, i)``."""
    knots = tuple(int(n) for n in generator.integers(LEAST_KNOTS, 6, 3))
    field = noise((1, 1, *knots), generator) * float(generator.uniform(0, spec.bias_field))
    return F.interpolate(field, size=shape, mode="trilinear", align_corners=True)[0, 0].exp_()


def coarser(image: Tensor, axis: int, voxels: float, thick: float) -> Tensor:
    """Return the image ``(k, j, i)`` as slices ``voxels`` apart and ``thick`` voxels thick would show it, on its grid.

    Each slice is the mean over its thickness; between the slices values are interpolated linearly.
    """
    if voxels <= 1 and thick <= 1:
        return image
    moved = image.movedim(axis, -1)
    size = moved.shape[-1]
    count = max(2, math.ceil(size / voxels))
    middles = (torch.arange(count) + 0.5) * (size / count) - 0.5
    column = torch.arange(size, dtype=torch.float32)
    weights = (0.5 + thick / 2 - (column[None] - middles[:, None]).abs()).clamp_(0, 1)
    weights /= weights.sum(dim=1, keepdim=True)
    place = ((column - middles[0]) / (size / count)).clamp_(0, count - 1)
    low = place.floor().long().clamp_(max=count - 2)
    back = torch.zeros(size, count)
    back[torch.arange(size), low] = 1 - (place - low)
    back[torch.arange(size), low + 1] += place - low
    return (moved @ (back @ weights).T).movedim(-1, axis)


def degraded(
    image: Tensor, spec: SynthesisSpec, spacing: tuple[float, float, float], generator: np.random.Generator
) -> Tensor:
    """Return what a scan of random resolution shows of ``image`` ``(k, j, i)``, intensities about 0..1."""
    image = image * bias_field(spec, tuple(image.shape), generator)  # type: ignore[arg-type]
    kind, axis = generator.random(), int(generator.integers(3))
    thickness = generator.uniform(min(spacing), max(spec.thickness_mm, min(spacing)))
    if kind < 0.5:
        gap = generator.uniform(0.6, 1.0)
        image = coarser(image, axis, thickness / spacing[axis], gap * thickness / spacing[axis])
    elif kind < 0.75:
        side = generator.uniform(min(spacing), max(spec.resolution_mm, min(spacing)))
        for along in range(3):
            image = coarser(image, along, side / spacing[along], side / spacing[along])
    low = float(image.min())
    span = max(float(image.max()) - low, 1e-6)
    exponent = math.exp(generator.standard_normal() * spec.gamma)
    image = ((image - low) / span).clamp_(0, 1).pow_(exponent)
    return image + noise(tuple(image.shape), generator) * float(generator.uniform(0, spec.noise))
