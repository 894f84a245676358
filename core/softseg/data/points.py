"""Sample voxels of every class of a prepared case, around which patches are cut out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softseg.soft.labels import SoftLabels
from softseg.types import BoolArray

POINTS_PER_CLASS = 2000
"""Voxels of each class that are remembered per case as patch centres (our default)."""


def sample_points(
    labels: SoftLabels, mask: BoolArray | None
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], dict[int, int]]:
    """Return sample voxels ``[n, 3]``, their classes ``[n]`` and the voxel count of each class.

    A class's samples are voxels where it has the largest probability; those with its highest probabilities, if it has
    it nowhere.
    """
    largest = labels.largest().astype(np.int32)
    if mask is not None:
        largest = np.where(mask, largest, -1)
    flat = largest.ravel()
    order = np.argsort(flat, kind="stable")
    names, starts, counts = np.unique(flat[order], return_index=True, return_counts=True)
    generator = np.random.default_rng(0)
    samples: dict[int, npt.NDArray[np.int64]] = {}
    for name, start, count in zip(names, starts, counts, strict=True):
        chosen = order[start : start + count]
        size = min(int(count), POINTS_PER_CLASS)
        samples[int(name)] = generator.choice(chosen, size, replace=False)
    samples.pop(-1, None)
    found = {int(name): int(count) for name, count in zip(names, counts, strict=True) if name >= 0}
    for name in np.flatnonzero(labels.volumes() > 0):
        if int(name) not in samples:
            probability = np.where(labels.indices == name, labels.probabilities, 0).sum(axis=0)
            probability = (probability if mask is None else probability * mask).ravel()
            best = np.flatnonzero(probability >= max(float(probability.max()) / 2, 1e-6))
            if best.size:
                samples[int(name)] = generator.choice(best, min(best.size, POINTS_PER_CLASS), replace=False)
                found[int(name)] = 1
    if not samples:
        return np.empty((0, 3), np.int32), np.empty(0, np.int32), found
    voxels = np.concatenate([samples[name] for name in sorted(samples)])
    classes = np.concatenate([np.full(len(samples[name]), name, np.int32) for name in sorted(samples)])
    return np.stack(np.unravel_index(voxels, largest.shape), axis=1).astype(np.int32), classes, found


def runs_of_equals(classes: npt.NDArray[np.int32]) -> dict[int, slice]:
    """Return where each number stands in an array whose equal numbers stand together."""
    names, starts, counts = np.unique(classes, return_index=True, return_counts=True)
    return {
        int(name): slice(int(start), int(start + count))
        for name, start, count in zip(names, starts, counts, strict=True)
    }
