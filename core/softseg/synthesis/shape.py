"""Deformed label maps: the exact fractions of every class in the voxels of a coarser grid."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from softseg.synthesis.maps import LabelMap
from softseg.synthesis.settings import SynthesisSpec

FINEST = 1.3
"""A voxel is sampled at points not further apart than this times the label map's spacing (our default)."""


def random_matrix(spec: SynthesisSpec, generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Return a random rotation, zoom and shear, ``[3, 3]``, in mm of ``(k, j, i)``."""
    matrix = np.diag(generator.uniform(*spec.scale, 3)) + generator.uniform(-spec.shear, spec.shear, (3, 3)) * (
        1 - np.eye(3)
    )
    for axes, angle in zip(
        ((0, 1), (0, 2), (1, 2)), generator.uniform(-1, 1, 3) * math.radians(spec.rotation_degrees), strict=True
    ):
        turn = np.eye(3)
        turn[np.ix_(axes, axes)] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        matrix = turn @ matrix
    return matrix


def random_elastic(
    spec: SynthesisSpec, shape: tuple[int, int, int], spacing: tuple[float, ...], generator: np.random.Generator
) -> Tensor:
    """Return a smooth displacement in mm, float32 ``[3, k, j, i]``."""
    knots = [max(3, round(size * side / spec.elastic_knot_mm) + 1) for size, side in zip(shape, spacing, strict=True)]
    strength = generator.uniform(0, spec.elastic_mm)
    field = torch.from_numpy((generator.standard_normal((1, 3, *knots)) * strength).astype(np.float32))
    return F.interpolate(field, size=shape, mode="trilinear", align_corners=True)[0]


def positions(
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    matrix: npt.NDArray[np.float64],
    elastic: Tensor | None,
    middle_mm: npt.NDArray[np.float64],
) -> Tensor:
    """Return where in the label map, in mm, the middle of each voxel of the grid lies: float32 ``[3, k, j, i]``.

    The middle of the grid lies at ``middle_mm``.
    """
    axes = [
        torch.from_numpy(((np.arange(size) - (size - 1) / 2) * side).astype(np.float32))
        for size, side in zip(shape, spacing, strict=True)
    ]
    k, j, i = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    out = torch.empty((3, *shape))
    for row in range(3):
        a, b, c = (float(value) for value in matrix[row])
        out[row] = k * a + j * b + i * c + float(middle_mm[row])
    return out if elastic is None else out.add_(elastic)


def sampled_classes(
    label_map: LabelMap, where: Tensor, spacing: tuple[float, float, float], matrix: npt.NDArray[np.float64]
) -> list[Tensor]:
    """Return the classes at evenly spaced points of each voxel of the grid: uint8 ``[N]`` for each point.

    A point takes the label map's nearest voxel; outside of the label map all is class 0.

    Parameters
    ----------
    label_map: what is sampled.
    where: middles of the grid's voxels in the label map, mm, ``[3, k, j, i]``.
    spacing: of the grid, mm, ``(k, j, i)``.
    matrix: from steps in the grid to steps in the label map, both in mm.
    """
    samples = [max(1, round(side / own / FINEST)) for side, own in zip(spacing, label_map.spacing, strict=True)]
    steps = [(np.arange(n) + 0.5) / n - 0.5 for n in samples]
    table = np.zeros(tuple(size + 2 for size in label_map.classes.shape), np.uint8)
    table[1:-1, 1:-1, 1:-1] = label_map.classes
    flat = torch.from_numpy(table.reshape(-1))
    base = [where[axis].reshape(-1) / label_map.spacing[axis] for axis in range(3)]
    found = []
    for offset in itertools.product(*steps):
        move = matrix @ (np.asarray(offset) * spacing) / np.asarray(label_map.spacing)
        place = torch.zeros(where[0].numel(), dtype=torch.int32)
        for axis, size in enumerate(table.shape):
            index = (base[axis] + float(move[axis] + 1)).round_().clamp_(0, size - 1).to(torch.int32)
            place.mul_(size).add_(index)
        found.append(flat[place])
    return found


def fractions(points: list[Tensor], rows: npt.NDArray[np.int64], count: int) -> Tensor:
    """Return the fraction of each row in each voxel, float32 ``[count, N]``; the rows of a voxel sum to 1.

    Where the points are the middles of a label map's voxels, the fractions are the block mean of its labels.

    Parameters
    ----------
    points: the classes at the points of each voxel (:func:`sampled_classes`).
    rows: int64 ``[classes]``, the row that each class counts for.
    count: number of rows.
    """
    voxels = points[0].numel()
    out = torch.zeros(count * voxels)
    column, part = torch.arange(voxels), torch.full((voxels,), 1 / len(points))
    first = torch.from_numpy(rows) * voxels
    for classes in points:
        out.index_add_(0, first[classes.int()].add_(column), part)
    return out.view(count, voxels)


def mean_of(points: list[Tensor], values: npt.NDArray[np.float32]) -> Tensor:
    """Return the mean of ``values`` ``[classes]`` over the points of each voxel: float32 ``[N]``."""
    table = torch.from_numpy(values)
    out = table[points[0].int()]
    for classes in points[1:]:
        out += table[classes.int()]
    return out.div_(len(points))
