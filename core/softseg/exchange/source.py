"""What other tools' probabilities are, whatever file they come in: named volumes on one grid, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from softseg.errors import InputError
from softseg.geometry import Geometry
from softseg.image import Image, read_image
from softseg.soft.turns import axis_turn, describe, turned

if TYPE_CHECKING:
    from softseg.exchange.regions import Nesting


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


@dataclass(frozen=True)
class NamedMaps:
    """Maps of which only names and values are known.

    Attributes
    ----------
    file: for messages.
    maps: names and values.
    """

    file: Path
    maps: tuple[ProbabilityMap, ...]


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
    nesting: how the regions lie in each other that the maps are parts of; None where they are no parts of regions.
    remarks: filled while the volumes are read: what is to be said of their numbers.
    """

    file: Path
    kind: str
    maps: tuple[ProbabilityMap, ...]
    geometry: Geometry
    volumes: Callable[[], Iterator[npt.NDArray[Any]]]
    notes: tuple[str, ...] = ()
    nesting: Nesting | None = None
    remarks: list[str] = field(default_factory=list)

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

        def volumes() -> Iterator[npt.NDArray[Any]]:
            for volume in self.volumes():
                yield turned(volume, turn)

        return replace(self, geometry=grid, volumes=volumes)


def image_grid(path: Path) -> Geometry:
    """Return the grid of a scan."""
    image: Image = read_image(path)
    return image.geometry
