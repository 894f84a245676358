"""From volumes of probabilities to a soft parcellation: read once, volume by volume, then encoded row by row.

The volumes lie in a sparse file beside the output meanwhile, so that neither they nor the distribution are ever in
memory as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.exchange.source import Source
from softseg.files.os_errors import plain_os_errors
from softseg.soft.compress import Compressor, box_voxels
from softseg.soft.parcellation import SoftParcellation
from softseg.soft.raters import OVERSHOOT
from softseg.tree import LabelTree
from softseg.types import FloatArray

SCALES = (1, 100, 255)
_ROUNDING = 1e-3
_MOST_VALUES = 1 << 22


@dataclass
class Counted:
    """What was found in the sums, for :func:`report`."""

    below: int = 0
    above: int = 0
    rounded: int = 0
    most: float = 0.0
    place: tuple[int, int, int] | None = None
    clipped: tuple[float, float] | None = None
    said: list[str] = field(default_factory=list)


class Staged:
    """The volumes of a source in a file, with their smallest and largest number."""

    def __init__(self, source: Source, leaves: Sequence[int | None], folder: Path) -> None:
        self.source, self.leaves, self.folder = source, leaves, folder
        self.kept = [number for number, leaf in enumerate(leaves) if leaf is not None]
        self.low, self.high = 0.0, 0.0
        self.file: BinaryIO | None = None

    def steps(self) -> Iterator[int]:
        """Write volume by volume; yields how many are done."""
        shape = (len(self.kept), *self.source.geometry.shape)
        with plain_os_errors(self.folder):
            for number, volume in enumerate(self.source.volumes()):
                if volume.shape != shape[1:]:
                    raise InputError(
                        f"expected volumes of {shape[1:]} voxels, got {volume.shape}", file=self.source.file
                    )
                if number in self.kept:
                    self._write(self.kept.index(number), volume, shape)
                yield number + 1

    def _write(self, place: int, volume: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
        self.low, self.high = min(self.low, float(volume.min())), max(self.high, float(volume.max()))
        if self.file is None:
            self.file = (self.folder / "volumes").open("w+b")
            self.file.truncate(4 * int(np.prod(shape, dtype=np.int64)))
        rows = np.flatnonzero(volume.any(axis=(1, 2)))
        if rows.size:  # what is not written stays a hole of the file
            self.file.seek(self._offset(place, int(rows[0])))
            for row in volume[rows[0] : rows[-1] + 1]:
                self.file.write(np.ascontiguousarray(row, np.float32).data)

    def _offset(self, place: int, row: int) -> int:
        rows, height, width = self.source.geometry.shape
        return 4 * (place * rows + row) * height * width

    def rows(self, place: int, first: int, last: int) -> FloatArray:
        """Return the voxels of some rows (k) of a kept volume, float32, in the file's own units."""
        if self.file is None:
            raise ValueError("nothing was written")
        self.file.seek(self._offset(place, first))
        count = (last - first) * self.source.geometry.shape[1] * self.source.geometry.shape[2]
        return np.frombuffer(self.file.read(4 * count), np.float32)

    def close(self) -> None:
        """Let go of the file, which can be removed only then."""
        if self.file is not None:
            self.file.close()


def scale_of(low: float, high: float, asked: str, file: Path) -> int:
    """Return what stands for probability 1: 1, 100 or 255.

    Parameters
    ----------
    low, high: smallest and largest number of all volumes.
    asked: ``auto``, or the scale itself.
    file: for messages.

    Raises
    ------
    InputError: the numbers fit none, or not the one that was asked for.
    """
    if asked != "auto":
        found = int(asked)
    else:
        found = 1 if high <= 1 + OVERSHOOT else 100 if 80 <= high <= 101 else 255 if 200 <= high <= 255 else 0
        if not found:
            raise InputError(
                f"holds numbers from {low:.4g} to {high:.4g}, which are neither 0..1 nor clearly percentages or 0..255",
                file=file,
                hint="say what stands for 1 with --scale 1, 100 or 255, if they are probabilities",
            )
    if low < -OVERSHOOT * found or high > (1 + OVERSHOOT) * found:
        raise InputError(f"holds numbers from {low:.4g} to {high:.4g}, expected 0..{found}", file=file)
    return found


def encode_staged(
    staged: Staged, tree: LabelTree, scale: int, normalize: bool, name: str, counted: Counted
) -> Iterator[tuple[int, int] | SoftParcellation]:
    """Yield ``(rows done, rows)`` and at last the soft parcellation.

    Raises
    ------
    InputError: probabilities sum to more than 1, and it was not asked to normalise them.
    """
    grid = staged.source.geometry
    background = None if tree.background is None else tree.leaf_index(tree.background.id)
    order = sorted(range(len(staged.kept)), key=lambda place: staged.leaves[staged.kept[place]] or 0)
    classes = np.array([staged.leaves[staged.kept[place]] for place in order], np.int64)
    given = background is not None and background in classes
    steps = np.array([_relative(staged.source.maps[staged.kept[place]].step, scale) for place in order], np.float32)
    compressor = Compressor(len(tree.leaves), background, grid.shape, 8)
    if staged.low < 0 or staged.high > scale:
        counted.clipped = (staged.low, staged.high)
    rows = max(1, _MOST_VALUES // max(1, len(order) * grid.shape[1] * grid.shape[2]))
    for first in range(0, grid.shape[0], rows):
        last = min(first + rows, grid.shape[0])
        part = np.stack([staged.rows(place, first, last) for place in order])
        part = np.clip(part / np.float32(scale), 0, 1)
        voxels = box_voxels((first, 0, 0), (last - first, *grid.shape[1:]), grid.shape)
        totals = _sums(part, steps, normalize, counted, voxels, grid.shape, staged.source.file)
        names = classes
        if background is not None:
            rest = np.maximum(1 - totals, 0)
            if given:
                counted.below += int((rest > 0.01).sum())
                part[int(np.flatnonzero(classes == background)[0])] += rest
            else:
                place = int(np.searchsorted(classes, background))
                names, part = np.insert(classes, place, background), np.insert(part, place, rest, axis=0)
        compressor.add(voxels, names, part)
        yield last, grid.shape[0]
    stored = compressor.stored()
    yield SoftParcellation(tree, grid, *stored[:4], model=name, k=8, node_error=stored.node_error)


def _relative(step: float, scale: int) -> float:
    return step / scale if step / scale <= 0.02 else 0.0


def _sums(
    part: FloatArray,
    steps: FloatArray,
    normalize: bool,
    counted: Counted,
    voxels: npt.NDArray[np.int64],
    shape: tuple[int, int, int],
    file: Path,
) -> FloatArray:
    """Return the sum of each voxel, at most 1; what is above by more than rounding is refused or divided."""
    totals: FloatArray = part.sum(axis=0, dtype=np.float32)
    over = np.flatnonzero(totals > 1)
    if not over.size:
        return totals
    allowed = 1 + _ROUNDING + 0.5 * (np.asarray(part[:, over] > 0).T @ steps)
    wrong = over[totals[over] > allowed]
    counted.rounded += over.size - wrong.size
    if wrong.size:
        worst = int(wrong[totals[wrong].argmax()])
        counted.above += wrong.size
        if totals[worst] > counted.most:
            counted.most = float(totals[worst])
            k, j, i = (int(n) for n in np.unravel_index(voxels[worst], shape))
            counted.place = (i, j, k)
        if not normalize:
            raise InputError(
                f"the probabilities of voxel {counted.place} (i, j, k) sum to {counted.most:.4g}",
                file=file,
                hint="maps that overlap are no distribution; --normalize divides them by their sum",
            )
    part[:, over] /= totals[over]
    totals[over] = 1
    return totals
