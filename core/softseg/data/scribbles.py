"""Telling a few painted scribbles from fully drawn structures, by their shape alone."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from softseg.types import BoolArray, IntArray

MOST_SLICES = 2
"""A scribble is at most this many slices thick along one axis (our default)."""
LEAST_LENGTH = 5
"""Voxels that a scribble extends at least along another axis (our default)."""
LEAST_FRACTION = 0.9
"""Fraction of the labelled voxels that must lie in scribbles (our default)."""


def looks_like_scribbles(labels: IntArray | BoolArray) -> bool:
    """Return whether the labelled voxels look like scribbles painted on single slices.

    Each connected component that is at most two slices thick along some axis, and longer along another, counts as a
    scribble. Drawn structures are solid, and thin ones (vessels, sheets) bend through many slices. An image of so few
    slices everything in it is thin, so the answer is no.

    Parameters
    ----------
    labels: ``(k, j, i)``; 0 is unlabelled.
    """
    painted = np.asarray(labels) != 0
    if min(painted.shape) <= MOST_SLICES or not painted.any():
        return False
    painted = _cropped(painted)
    count = int(painted.sum())
    if _thick(painted) > (1.0 - LEAST_FRACTION) * count:
        return False
    components, number = ndimage.label(painted, ndimage.generate_binary_structure(3, 3))
    sizes = np.bincount(components.reshape(-1), minlength=number + 1)[1:]
    boxes = ndimage.find_objects(components)
    extents = [sorted(part.stop - part.start for part in box) for box in boxes]
    thin = [extent[0] <= MOST_SLICES and extent[-1] >= LEAST_LENGTH for extent in extents]
    return float(sizes[thin].sum()) >= LEAST_FRACTION * count


def _cropped(painted: BoolArray) -> BoolArray:
    """Return the part that holds the labels."""
    (box,) = ndimage.find_objects(painted.astype(np.uint8))
    cropped: BoolArray = painted[box]
    return cropped


def _thick(painted: BoolArray) -> int:
    """Return how many voxels have labelled neighbours on both sides along every axis: none in a scribble."""
    inner = painted.copy()
    for axis in range(3):
        both = np.zeros_like(painted)
        middle = [slice(None)] * 3
        middle[axis] = slice(1, -1)
        before, after = list(middle), list(middle)
        before[axis], after[axis] = slice(None, -2), slice(2, None)
        both[tuple(middle)] = painted[tuple(before)] & painted[tuple(after)]
        inner &= both
    return int(inner.sum())
