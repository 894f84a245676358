"""Two grids of the same voxels whose axes run in another order or direction."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.geometry import Geometry
from softseg.soft.grids import index_map

_TURN_VOXELS = 0.01  # axes and origins of turned grids agree to this part of a voxel

Turn: TypeAlias = "tuple[tuple[int, int, int], tuple[bool, ...]]"
"""For each target axis ``(k, j, i)``: which source axis it is, and whether it runs the other way."""


def turned(array: npt.NDArray[Any], turn: Turn) -> npt.NDArray[Any]:
    """Return an array ``(k, j, i)`` of the source grid as one of the target grid; nothing is copied."""
    order, flips = turn
    return np.transpose(array, order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]


def axis_turn(source: Geometry, target: Geometry) -> Turn | None:
    """Return how an array on ``source`` becomes one on ``target`` by turning axes alone; None where it does not.

    Returns
    -------
    order, flips: ``(k, j, i)`` of the target: which source axis, and whether it runs the other way.
    """
    matrix = index_map(source, target)
    linear = np.rint(matrix[:3, :3])
    if not (np.abs(linear).sum(axis=0) == 1).all() or not (np.abs(linear).sum(axis=1) == 1).all():
        return None
    order = tuple(int(np.flatnonzero(linear[:, axis])[0]) for axis in range(3))
    if tuple(source.shape[axis] for axis in order) != target.shape:
        return None
    flips = tuple(bool(linear[row, axis] < 0) for axis, row in enumerate(order))
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in target.shape], [1])).reshape(4, -1)
    exact = np.zeros((3, 4))
    exact[:, :3] = linear
    for axis, row in enumerate(order):
        exact[row, 3] = source.shape[row] - 1 if flips[axis] else 0
    if np.abs((exact - matrix[:3]) @ corners).max() > max(_TURN_VOXELS, 0.01 / min(source.spacing)):
        return None
    return (order[0], order[1], order[2]), flips


def on_one_lattice(own: Geometry, whole: Geometry, tolerance: float = 0.01) -> bool:
    """Whether the voxels of both grids coincide, whatever part of space each covers.

    Parameters
    ----------
    own, whole: the grids; axes may run in another order or direction.
    tolerance: part of a voxel of ``own`` by which they may differ anywhere in ``whole``.
    """
    matrix = index_map(own, whole)
    near = np.round(matrix)
    travel = np.abs(matrix - near)[:3, :3] @ np.asarray(whole.shape)
    steps = np.abs(near[:3, :3])
    turned_only = (steps.sum(axis=0) == 1).all() and (steps.sum(axis=1) == 1).all()
    return bool(turned_only and travel.max() + np.abs(matrix - near)[:3, 3].max() <= tolerance)


def describe(geometry: Geometry) -> str:
    """Return size, spacing and origin in a few words."""
    spacing = " x ".join(f"{mm:.4g}" for mm in geometry.spacing)
    origin = ", ".join(f"{mm:.4g}" for mm in geometry.origin)
    return f"{' x '.join(map(str, geometry.size))} voxels of {spacing} mm at ({origin})"
