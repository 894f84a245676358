"""Single objects: which connected parts of a structure are found, and which found ones are real.

Lesion by lesion counts instead of voxels, as challenges of multiple sclerosis report beside Dice (Carass et al. 2017;
Commowick et al. 2018). The former calls a lesion found at one shared voxel, the latter at a tenth of it, under further
conditions. Our default asks for half of it, on both sides: a part of the reference is *found* when the prediction
covers at least half of its voxels; a part of the prediction is *real* when the reference covers at least half of its.
The fraction that is covered is kept for each object, so that another threshold needs no other evaluation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from softseg.evaluation.aggregate import Row
from softseg.evaluation.measure import CaseMeasures, LevelMeasures
from softseg.evaluation.surface import boxes

if TYPE_CHECKING:
    from softseg.image import Geometry

Connectivity = Literal["volume", "slice"]
"""``volume``: voxels that share a face, an edge or a corner are of one object (26 neighbours); ``slice``: each slice is
taken by itself (8 neighbours), for scans of thick slices."""

COVERED = 0.5
"""Fraction of an object that must be covered for it to count (our default)."""

Mask = npt.NDArray[np.bool_]


def object_rows(case: str, measures: CaseMeasures, geometry: Geometry, connectivity: Connectivity) -> list[Row]:
    """Return one row per object of every level and node, background left out.

    ``side`` tells whether it is an object of the ``reference`` or of the ``prediction``; ``volume_ml`` is its size and
    ``covered`` the fraction of its voxels, 0..1, that the other side gives to the same node. Labels are hard: the node
    with the largest summed probability. Voxels that the reference leaves unlabelled are excluded.
    """
    neighbours = _neighbours(geometry.spacing_kji, connectivity)
    nodes = measures.rows.tree.nodes
    rows: list[Row] = []
    for number, level in enumerate(measures.levels, 1):
        for position, side, voxels, covered in _objects(level, measures.rows.background, neighbours):
            rows.append(
                {
                    "case": case,
                    "level": number,
                    "node": nodes[level.rows[position]].id,
                    "side": side,
                    "volume_ml": voxels * geometry.voxel_volume_ml,
                    "covered": covered,
                }
            )
    return rows


def _objects(level: LevelMeasures, background: int, neighbours: Mask) -> Iterator[tuple[int, str, int, float]]:
    for side, own, other in (
        ("reference", level.reference, level.predicted),
        ("prediction", level.predicted, level.reference),
    ):
        for position, box in enumerate(boxes(own, len(level.rows))):
            if box is None or level.rows[position] == background:
                continue
            parts, count = ndimage.label(own[box] == position, structure=neighbours)
            voxels = np.bincount(parts.ravel(), minlength=count + 1)[1:]
            shared = np.bincount(parts[other[box] == position], minlength=count + 1)[1:]
            for size, common in zip(voxels.tolist(), shared.tolist(), strict=True):
                yield position, side, size, common / size


def _neighbours(spacing: tuple[float, float, float], connectivity: Connectivity) -> Mask:
    """Return ``[3, 3, 3]``; slices lie across the axis of the largest spacing, k where all are equal."""
    around = np.ones((3, 3, 3), np.bool_)
    if connectivity == "slice":
        np.moveaxis(around, int(np.argmax(spacing)), 0)[[0, 2]] = False
    return around
