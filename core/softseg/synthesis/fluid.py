"""Label maps of heads with the fluid in the brain's mask apart from the fluid around it.

Label maps of whole heads often have one value for all fluid around the brain, up to the skull. A brain mask as people
draw it holds the sulci and cisterns and not the rest: here, what a morphological closing of the brain fills (ours).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt, find_objects

from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from softseg.types import BoolArray

TREE, LEARNED = "head-tissues", "head-any"
FLUID, OUTER = "csf", "outer-fluid"
CLOSING_MM = 8.0
"""Radius of the closing (our default)."""


def closed(brain: BoolArray, spacing: tuple[float, float, float], radius_mm: float) -> BoolArray:
    """Return the morphological closing of ``brain`` ``(k, j, i)`` by a ball; ``spacing`` is ``(k, j, i)`` in mm."""
    out = np.zeros(brain.shape, bool)
    if not brain.any():
        return out
    pads = [int(np.ceil(radius_mm / side)) + 2 for side in spacing]
    box = find_objects(brain.astype(np.uint8))[0]
    part = np.pad(brain[box], [(pad, pad) for pad in pads])
    grown = distance_transform_edt(~part, sampling=spacing) <= radius_mm
    filled = (distance_transform_edt(grown, sampling=spacing) > radius_mm) | part
    out[box] = filled[tuple(slice(pad, -pad) for pad in pads)]
    return out


def split_fluid(
    labels: npt.NDArray[Any], spacing: tuple[float, float, float], radius_mm: float = CLOSING_MM
) -> npt.NDArray[np.uint16]:
    """Return a label map of the tree ``head-tissues`` with the fluid outside of the closed brain as ``outer-fluid``.

    Parameters
    ----------
    labels: whole numbers ``(k, j, i)``, the values of that tree, all fluid around the brain as ``csf``.
    spacing: mm, ``(k, j, i)``.
    radius_mm: radius of the closing.
    """
    tree, learned = (LabelTree.load(label_tree_path(name)) for name in (TREE, LEARNED))
    values = labels.astype(np.uint16)
    inside = {leaf.id for leaf in learned.leaves if leaf is not learned.background and leaf.id != FLUID}
    brain = [tree.value_of(leaf.id) for leaf in tree.leaves if inside & {node.id for node in tree.path(leaf.id)}]
    mask = closed(np.isin(values, brain), spacing, radius_mm)
    values[(values == tree.value_of(FLUID)) & ~mask] = tree.value_of(OUTER)
    return values
