"""Where windows lie: at regular steps, the last moved back to the end (as MONAI), over the box that has any content.

An image smaller than a window has its border repeated, as in training (MONAI: zeros).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softseg.backends import Region
from softseg.requests.predict import CONTENT_STEP
from softseg.soft.blocks import Index
from softseg.types import BoolArray, FloatArray


@dataclass(frozen=True)
class WindowGrid:
    """Where the windows lie.

    Attributes
    ----------
    start, stop: the box of the image that is predicted, ``(k, j, i)``.
    padding: voxels added before and after that box so that one window fits, per axis.
    patch: window size ``(k, j, i)``; 1 along ``k`` for a 2D network.
    slices: the windows inside the padded box.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    patch: tuple[int, ...]
    slices: tuple[Region, ...]

    @property
    def box(self) -> tuple[slice, ...]:
        """The box of the image that is predicted, as slices ``(k, j, i)``."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @staticmethod
    def over(
        shape: Sequence[int], patch: Sequence[int], overlap: float, box: tuple[Sequence[int], Sequence[int]] | None
    ) -> WindowGrid:
        """Lay windows of ``patch`` over ``box`` (start, stop) of an image of ``shape``, the whole image by default."""
        start, stop = ([0] * len(shape), list(shape)) if box is None else (list(box[0]), list(box[1]))
        for axis, (size, length) in enumerate(zip(shape, patch, strict=True)):
            missing = min(length, size) - (stop[axis] - start[axis])
            if missing > 0:
                stop[axis] = min(size, stop[axis] + missing)
                start[axis] = max(0, stop[axis] - min(length, size))
        sizes = [b - a for a, b in zip(start, stop, strict=True)]
        lacks = [max(0, length - size) for size, length in zip(sizes, patch, strict=True)]
        padded = [size + lack for size, lack in zip(sizes, lacks, strict=True)]
        steps = [
            length if length == size else max(1, int(length * (1 - overlap)))
            for size, length in zip(padded, patch, strict=True)
        ]
        return WindowGrid(
            start=tuple(start),
            stop=tuple(stop),
            padding=tuple((lack // 2, lack - lack // 2) for lack in lacks),
            patch=tuple(patch),
            slices=laid_windows(padded, patch, steps),
        )


def laid_windows(shape: Sequence[int], patch: Sequence[int], steps: Sequence[int]) -> tuple[Region, ...]:
    """Return windows that cover a box, ``k`` slowest; those that would end outside are moved back."""
    lines = [
        [min(first, size - length) for first in range(0, size - length + step, step)]
        for size, length, step in zip(shape, patch, steps, strict=True)
    ]
    corners = itertools.product(*lines)
    return tuple((slice(k, k + patch[0]), slice(j, j + patch[1]), slice(i, i + patch[2])) for k, j, i in corners)


def halved(window: Sequence[int], multiple: Sequence[int]) -> Index | None:
    """Return a window of half the size, cut across its longest side; ``None`` if no side can be cut.

    Parameters
    ----------
    window: ``(k, j, i)``.
    multiple: what each side must be a multiple of; twice that is the least.
    """
    for axis in sorted(range(3), key=lambda n: -window[n]):
        step = multiple[axis]
        half = max(2 * step, -(-window[axis] // (2 * step)) * step)
        if half < window[axis]:
            smaller = [half if n == axis else length for n, length in enumerate(window)]
            return smaller[0], smaller[1], smaller[2]
    return None


def every_channel(box: Sequence[slice]) -> tuple[slice, ...]:
    """Return the index of a box ``(k, j, i)`` in an array with channels in front."""
    return (slice(None), *box)


def content_of(volume: FloatArray) -> BoolArray:
    """Return where an image ``[channels, k, j, i]`` lies above the minimum of some channel: bool ``(k, j, i)``."""
    return np.asarray((volume > volume.min(axis=(1, 2, 3), keepdims=True)).any(axis=0))


def content_box(content: BoolArray, patch: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return (start, stop) of the box ``(k, j, i)`` of what is true, a little enlarged; ``None`` if nothing is.

    For networks of slices, where one window holds all of it along an axis, the box is that window, the content in its
    middle as far as the image reaches: one window there says nearly what the mean of several says that leave out a
    little on either side.

    Parameters
    ----------
    content: bool ``(k, j, i)``.
    patch: window size ``(k, j, i)``; 1 along ``k`` for a network of slices.
    """
    start, stop = [], []
    for axis, (size, length) in enumerate(zip(content.shape, patch, strict=True)):
        where = np.flatnonzero(content.any(axis=tuple(a for a in range(content.ndim) if a != axis)))
        if len(where) == 0:
            return None
        low, high = int(where[0]), int(where[-1]) + 1
        if patch[0] == 1 and high - low <= length <= size:
            first = min(max(0, (low + high - length) // 2), size - length)
            start.append(first)
            stop.append(first + length)
        else:
            start.append(low // CONTENT_STEP * CONTENT_STEP)
            stop.append(min(size, math.ceil(high / CONTENT_STEP) * CONTENT_STEP))
    return tuple(start), tuple(stop)


def needed(windows: Sequence[Region], filled: BoolArray) -> tuple[Region, ...]:
    """Return the windows that have content; of a slice whose content lies in one window, that window alone.

    Parameters
    ----------
    windows: of one size, ``k`` slowest.
    filled: bool ``(k, j, i)``.
    """
    found: list[Region] = []
    for k, group in itertools.groupby(windows, key=lambda window: window[0]):
        several = [window for window in group if bool(filled[window].any())]
        if len(several) > 1 and k.stop - k.start == 1:
            inside = int(filled[k].sum())
            several = [window for window in several if int(filled[window].sum()) == inside][:1] or several
        found += several
    return tuple(found)


def padded(volume: FloatArray, grid: WindowGrid) -> FloatArray:
    """Return the box of ``[channels, k, j, i]`` that windows lie over, its border repeated where one does not fit."""
    inside = volume[every_channel(grid.box)]
    if not any(before or after for before, after in grid.padding):
        return inside
    return np.pad(inside, ((0, 0), *grid.padding), mode="edge")
