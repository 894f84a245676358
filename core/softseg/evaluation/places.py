"""Where to look: for each node a point inside it and one in the thick of its errors, for viewers that go there."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from softseg.evaluation.aggregate import Row
    from softseg.evaluation.measure import CaseMeasures, LevelMeasures
    from softseg.image import Geometry

BLOCK_MM = 6.0
"""Side of the cubes in which errors are counted (our default)."""

COLUMNS = ("center_r", "center_a", "center_s", "error_r", "error_a", "error_s")

_Voxels = npt.NDArray[np.intp]


def place_columns(measures: CaseMeasures, geometry: Geometry) -> list[Row]:
    """Return, in the order of :func:`softseg.evaluation.aggregate.node_rows`, the columns :data:`COLUMNS` (RAS, mm).

    ``center_*``: the node's voxel nearest to its centre of mass, in the reference or, where that lacks it, in the
    prediction. ``error_*``: a wrong voxel of the node in the cube of :data:`BLOCK_MM` with the most of them. nan where
    there is none.
    """
    background = measures.rows.background
    columns: list[Row] = []
    found: dict[int, _Voxels] = {}
    wrong: dict[int, _Voxels] = {}
    above: LevelMeasures | None = None
    for level in measures.levels:
        if above is None or not _same_labels(level, above):
            found, wrong = _centers(level, geometry), _errors(level, geometry)
        above = level
        for position, row in enumerate(level.rows):
            if row != background:
                points = (*_ras(found.get(position), geometry), *_ras(wrong.get(position), geometry))
                columns.append(dict(zip(COLUMNS, points, strict=True)))
    return columns


def _same_labels(level: LevelMeasures, above: LevelMeasures) -> bool:
    """Whether a level divides no node of the level above, as in a chain of only children."""
    return np.array_equal(level.reference, above.reference) and np.array_equal(level.predicted, above.predicted)


def _centers(level: LevelMeasures, geometry: Geometry) -> dict[int, _Voxels]:
    found: dict[int, _Voxels] = {}
    for labels in (level.reference, level.predicted):
        voxels = np.flatnonzero(labels >= 0)
        for name, own in _grouped(labels.ravel()[voxels], voxels, labels.shape):
            if name not in found:
                found[name] = _nearest_to_mean(own, geometry)
    return found


def _errors(level: LevelMeasures, geometry: Geometry) -> dict[int, _Voxels]:
    wrong = np.flatnonzero((level.reference >= 0) & (level.predicted != level.reference))
    names = np.concatenate([level.reference.ravel()[wrong], level.predicted.ravel()[wrong]])
    return {
        name: _nearest_to_mean(_fullest_block(own, geometry), geometry)
        for name, own in _grouped(names, np.concatenate([wrong, wrong]), level.reference.shape)
    }


def _grouped(
    names: npt.NDArray[np.int16], voxels: npt.NDArray[np.intp], shape: tuple[int, ...]
) -> list[tuple[int, _Voxels]]:
    """Return each name (from 0 on) with its voxels ``[n, 3]`` (k, j, i)."""
    if names.size == 0:
        return []
    order = np.argsort(names, kind="stable")
    found, starts = np.unique(names[order], return_index=True)
    parts = np.split(voxels[order], starts[1:])
    return [
        (int(name), np.stack(np.unravel_index(part, shape), axis=1))
        for name, part in zip(found, parts, strict=True)
        if name >= 0
    ]


def _fullest_block(voxels: _Voxels, geometry: Geometry) -> _Voxels:
    blocks = (voxels * np.asarray(geometry.spacing_kji) / BLOCK_MM).astype(np.intp)
    _, which, counts = np.unique(blocks, axis=0, return_inverse=True, return_counts=True)
    return np.asarray(voxels[which.ravel() == counts.argmax()])


def _nearest_to_mean(voxels: _Voxels, geometry: Geometry) -> _Voxels:
    offsets = (voxels - voxels.mean(axis=0)) * np.asarray(geometry.spacing_kji)
    return np.asarray(voxels[(offsets**2).sum(axis=1).argmin()])


def _ras(voxel: _Voxels | None, geometry: Geometry) -> tuple[float, float, float]:
    if voxel is None:
        return math.nan, math.nan, math.nan
    point = geometry.affine @ (*voxel[::-1], 1.0)
    return float(point[0]), float(point[1]), float(point[2])
