"""How large: spacing, patch, batch and width of the network, from the scans and the memory there is (our defaults)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.data.survey import Scan

if TYPE_CHECKING:
    from softseg.data.planning import Hardware

CPU_VOXELS = 1_000_000
"""On a CPU, volumes are made coarser (at most twice) until the median scan has about so many voxels."""

LEAST_PATCH_2D = 64
"""A 2D patch has at least so many pixels along each side."""

PATCH_CUBE = 64
"""Side of a patch of many bands, in pixels; twice as many on a GPU."""


def spacing_3d(
    median: npt.NDArray[np.float64], extent: npt.NDArray[np.float64], machine: Hardware
) -> tuple[float, float, float]:
    """Return the median spacing, not more than three times coarser along one axis; on a CPU at most twice coarser."""
    spacing = np.minimum(median, 3 * median.min())
    if not machine.gpu:
        factor = min(2.0, (float(np.prod(extent / spacing)) / CPU_VOXELS) ** (1 / 3))
        if factor > 1:
            finest = float(spacing.min())
            coarse = min(2 * finest, math.ceil(finest * factor * 2) / 2)
            spacing = np.maximum(spacing, coarse)
    k, j, i = (round(float(value), 3) for value in spacing)
    return k, j, i


def spacing_2d(scans: Sequence[Scan]) -> tuple[None, float, float]:
    """Return the finer quartile of the pixel sizes, so that small structures survive; slices stay where they are."""
    pixel = float(np.percentile([min(scan.spacing[1:]) for scan in scans], 25))
    return None, round(pixel, 3), round(pixel, 3)


def size_3d(
    shape: npt.NDArray[np.int64], classes: int, machine: Hardware
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options: 4 levels on a CPU; 5 or 6 on a GPU with patches of up to 128."""
    if not machine.gpu:
        side, filters, batch = 64, [32, 64, 128, 256], 2
    elif machine.memory_gb < 10:
        side, filters, batch = 96, [32, 64, 128, 256, 320], 1
    else:
        side, filters, batch = (
            (96, [32, 64, 128, 256, 320], 2)
            if machine.memory_gb < 30
            else (
                128,
                [32, 64, 128, 256, 320],
                2,
            )
        )
    granule = 2 ** (len(filters) - 1)
    patch = _patch(shape, side, granule)
    while training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb and (batch > 1 or max(patch) > granule):
        if batch > 1:
            batch -= 1
        else:
            patch = _patch(np.minimum(shape, max(patch) - granule), max(patch) - granule, granule)
    return patch, batch, {"filters": filters, "norm": "batch"}


def size_2d(
    shape: npt.NDArray[np.int64], classes: int, machine: Hardware, wanted: float | None
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options; ``wanted`` pixels are enough to see the foreground in its surroundings.

    Patches much larger than a small structure hold so little of it that a regression loss stays at its mean for long.
    """
    filters = [32, 64, 128, 256, 512] if machine.gpu else [16, 32, 64, 128, 256]
    granule = 2 ** (len(filters) - 1)
    side = 256 if machine.gpu else 128
    if wanted is not None:
        side = int(min(side, max(LEAST_PATCH_2D, math.ceil(wanted / granule) * granule)))
    patch = _patch(shape[1:], side, granule)
    batch = 16
    while batch > 2 and training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb:
        batch //= 2
    return patch, batch, {"filters": filters, "norm": "batch"}


def size_cube(
    shape: npt.NDArray[np.int64], classes: int, machine: Hardware
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options for many bands: a small network, since bands tell most, labels are few.

    It begins with convolutions of 1 x 1 pixel, which mix bands alone: 3 x 3 of hundreds of bands would take most of the
    time and nine times the weights.

    On a CPU a picture of 145 x 145 pixels and 200 bands is learned in about half a minute; an EfficientNet encoder
    takes several times as long and is therefore left to those who ask for it (``network: FlexibleUNet``).
    """
    filters = [64, 64, 128, 256] if machine.gpu else [32, 32, 64, 64]
    patch = _patch(shape[1:], PATCH_CUBE * (1 + machine.gpu), 2 ** (len(filters) - 1))
    batch = 16 if machine.gpu else 4
    while batch > 2 and training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb:
        batch //= 2
    return patch, batch, {"filters": filters, "kernel_size": [1, *[3] * (len(filters) - 1)], "norm": "batch"}


def _patch(shape: npt.NDArray[np.int64], side: int, granule: int) -> tuple[int, ...]:
    """Return ``side`` along each axis, less where the median image is smaller, in multiples of ``granule``."""
    return tuple(int(min(side, max(granule, math.ceil(int(size) / granule) * granule))) for size in shape)


def training_gb(patch: Sequence[int], batch: int, classes: int, filters: Sequence[int]) -> float:
    """Return an estimate of the memory that a training step takes beside the program itself, in GB (2**30 bytes).

    It counts 20 feature maps of the first width and 6 of the class width, of 4 bytes a number: our rule of thumb.

    Parameters
    ----------
    patch: size of a patch in voxels.
    batch: patches in a step.
    classes: leaves of the tree.
    filters: width of the network's levels, the finest first.
    """
    return math.prod(patch) * batch * (20 * filters[0] + 6 * classes) * 4 / 2**30
