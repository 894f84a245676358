"""A header that was read: grid, place, numbers and oddities, in one form for every file format."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.headers.forms import Affine, Forms, is_place

DAMAGED = "is damaged or truncated"


@dataclass(frozen=True, eq=False)
class Header:
    """What the header of an image file says.

    Attributes
    ----------
    file: the file or the folder of a DICOM series that was named.
    format: ``"NIfTI-1"``, ``"NIfTI-2"``, ``"Analyze"``, ``"MGH"``, ``"NRRD"``, ``"MetaImage"`` or ``"DICOM"``.
    size: voxels along ``(i, j, k)``.
    bands: values per voxel.
    colours: ``"RGB"`` or ``"RGBA"`` where these values are colours, else empty.
    number: type of the numbers in the file, with byte order.
    scaling: slope and intercept that are applied to them, None where there is none.
    affine: 4 x 4, from ``(i, j, k, 1)`` to RAS mm; axes may be sheared.
    known: whether the header says how the grid lies in space: where it does not, left and right are unknown.
    forms: NIfTI's two forms, which outputs carry on; None in formats without.
    notes: oddities of the header that decide about place or values, one sentence each without a full stop.
    fields: of an NRRD header, its key/value pairs.
    load: reads the numbers, ``[bands, k, j, i]``, scaled.
    bands_apart: reads the same band by band, ``[k, j, i]`` each; None where a format does not keep bands together.
    files: of a DICOM series, the files of its slices in the order of ``k``, or the one file of all frames.
    order: of a DICOM series, which frame of its one file is which ``k``.
    """

    file: Path
    format: str
    size: tuple[int, int, int]
    bands: int
    number: np.dtype[Any]
    affine: Affine
    load: Callable[[], npt.NDArray[Any]] = field(repr=False)
    colours: str = ""
    scaling: tuple[float, float] | None = None
    known: bool = True
    forms: Forms | None = None
    notes: tuple[str, ...] = ()
    fields: dict[str, str] = field(default_factory=dict)
    bands_apart: Callable[[], Iterator[npt.NDArray[Any]]] | None = field(default=None, repr=False)
    files: tuple[Path, ...] = field(default=(), repr=False)
    order: tuple[int, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if min(self.size) < 1 or self.bands < 1:
            raise InputError(f"expected at least one voxel, got a grid of {self.size}", file=self.file)
        if not is_place(self.affine):
            raise InputError(
                "its header places the voxels nowhere: an axis is missing, of length 0 or not a number",
                file=self.file,
                hint="write the file again with the right geometry",
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the numbers: ``[bands, k, j, i]``."""
        return self.bands, self.size[2], self.size[1], self.size[0]

    def each_band(self) -> Iterator[npt.NDArray[Any]]:
        """Yield the bands, ``[k, j, i]`` each, scaled; only one is in memory where the format allows it."""
        return iter(self.load()) if self.bands_apart is None else self.bands_apart()

    @property
    def bytes(self) -> int:
        """How many bytes the unpacked numbers have."""
        return self.bands * self.size[0] * self.size[1] * self.size[2] * self.number.itemsize


def three(sizes: tuple[int, ...], file: Path) -> tuple[tuple[int, int, int], int]:
    """Return voxels along ``(i, j, k)`` and values per voxel of a grid of any number of axes.

    Raises
    ------
    InputError: more than one axis beyond the third has more than one value.
    """
    padded = (*sizes, 1, 1, 1)
    beyond = [n for n in sizes[3:] if n != 1]
    if len(beyond) > 1:
        raise InputError(
            f"expected a scalar 3D volume or one axis of bands, got {' x '.join(map(str, sizes))} values", file=file
        )
    return (padded[0], padded[1], padded[2]), beyond[0] if beyond else 1
