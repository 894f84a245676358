"""Which voxels of another grid count as labelled, for full labels and for scribbles."""

from __future__ import annotations

import math

import numpy as np

from softseg.data.case import Case
from softseg.data.dataset import Dataset
from softseg.image import Geometry
from softseg.soft.grids import AxisWeights, align
from softseg.soft.labels import SoftLabels

LABELLED = 0.5
"""Where labels are to be complete, a voxel counts when at least this much of it is labelled; its probabilities are then
divided by their sum, so that a target is a distribution again (our default)."""

PAINTED = 0.124
"""With scribbles, a voxel counts when at least this part of a painted voxel lies in it, or more, if the
grids lie so that no scribble is lost with more. The voxel that a painted voxel's centre falls into holds at least an
eighth of it, wherever the grids lie (our default)."""

ALMOST = 0.99
"""A scribble's labelled fraction is compared with this much of the least that must count: weights are rounded."""

FEW = 5
"""A class with fewer labelled voxels than this in all training cases is worth a warning (our default)."""


def is_scribbled(case: Case, dataset: Dataset) -> bool:
    """Whether a case may be labelled in part: what is not painted is unlabelled.

    True where the tree has no background leaf or the file names a value for unlabelled voxels; not for soft maps, whose
    small values are probabilities, not paint, nor for corrected results, whose voxels have weights.
    """
    in_part = dataset.tree.background is None or case.unlabelled is not None
    return in_part and not isinstance(case.labels, dict) and case.corrected is None


def least_fraction(source: Geometry, grid: Geometry) -> float:
    """Return the labelled fraction from which a voxel of ``grid`` counts, for scribbles on ``source``.

    The largest fraction with which every voxel of ``source`` still labels the voxel of ``grid`` that holds most of it.
    """
    grids = align(source, grid)
    if grids is None:
        sides = zip(source.spacing_kji, grid.spacing_kji, strict=True)
        return PAINTED * math.prod(min(1.0, fine / coarse) for fine, coarse in sides)
    return ALMOST * math.prod(_least_largest(axis) for axis in grids.axes)


def _least_largest(axis: AxisWeights) -> float:
    """Return the smallest of the largest weights that the source positions have, those at the border left out."""
    largest = np.zeros(axis.source)
    np.maximum.at(largest, axis.indices, axis.weights)
    seen = np.flatnonzero(largest)
    inner = seen[1:-1] if seen.size > 2 else seen
    return float(largest[inner].min()) if inner.size else 1.0


def painted_part(labels: SoftLabels, least: float) -> SoftLabels:
    """Return the distribution of the painted part of every voxel, nothing where less than ``least`` is painted.

    Probabilities are divided by their sum: what is not painted is unlabelled.
    """
    total = labels.total()
    scale = np.divide(1, total, out=np.zeros_like(total), where=total >= max(least, 1e-6))
    return SoftLabels(labels.indices, labels.probabilities * scale, labels.classes)
