"""What other tools' probabilities are, whatever file they come in: named volumes on one grid, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.geometry import Geometry
from softseg.image import Image, read_image
from softseg.soft.grids import index_map

_TURN_VOXELS = 0.01  # axes and origins of turned grids agree to this part of a voxel


@dataclass(frozen=True)
class ProbabilityMap:
    """One of the volumes.

    Attributes
    ----------
    name: of the structure; empty where nothing says it.
    value: its label value, None where nothing says it.
    step: between two numbers that the file can hold, in its own units; 0 for floats.
    """

    name: str = ""
    value: int | None = None
    step: float = 0.0


@dataclass(frozen=True, eq=False)
class Source:
    """Probabilities of one scan.

    Attributes
    ----------
    file: the file or folder, for messages.
    kind: what it is, in a few words.
    maps: the volumes, in the order in which they come.
    geometry: their grid.
    volumes: gives the volumes, ``(k, j, i)`` on :attr:`geometry`, one at a time, in the file's own units.
    notes: what is to be said about names and place, one sentence each without a full stop.
    """

    file: Path
    kind: str
    maps: tuple[ProbabilityMap, ...]
    geometry: Geometry
    volumes: Callable[[], Iterator[npt.NDArray[Any]]]
    notes: tuple[str, ...] = ()

    def like(self, path: Path) -> Source:
        """Return the same on the grid of an image, whose axes may run in another order or direction.

        Raises
        ------
        InputError: the image cannot be read, or its voxels are not these.
        """
        grid = image_grid(path)
        turn = axis_turn(self.geometry, grid)
        if turn is None:
            raise InputError(
                f"the probabilities lie on another grid: {describe(self.geometry)}, not {describe(grid)}", file=path
            )
        order, flips = turn

        def turned() -> Iterator[npt.NDArray[Any]]:
            for volume in self.volumes():
                yield np.transpose(volume, order)[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]

        return replace(self, geometry=grid, volumes=turned)


def image_grid(path: Path) -> Geometry:
    """Return the grid of a scan."""
    image: Image = read_image(path)
    return image.geometry


def axis_turn(source: Geometry, target: Geometry) -> tuple[tuple[int, int, int], tuple[bool, ...]] | None:
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


def describe(geometry: Geometry) -> str:
    """Return size, spacing and origin in a few words."""
    spacing = " x ".join(f"{mm:.4g}" for mm in geometry.spacing)
    origin = ", ".join(f"{mm:.4g}" for mm in geometry.origin)
    return f"{' x '.join(map(str, geometry.size))} voxels of {spacing} mm at ({origin})"
