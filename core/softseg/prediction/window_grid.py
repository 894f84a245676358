"""Where windows lie: as MONAI lays them (``dense_patch_slices``), over the box of an image that has any content.

An image smaller than a window has its border repeated, as in training (MONAI: zeros).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from monai.data.utils import dense_patch_slices
from torch import Tensor

from softseg.prediction.sums import Region

CONTENT_STEP = 8
"""The box of content begins at a multiple of this many voxels (our default): a rim of background around a brain."""


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
    slices: tuple[tuple[slice, slice, slice], ...]

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
            slices=tuple(_plain(window) for window in dense_patch_slices(padded, tuple(patch), steps)),
        )


def _plain(window: Sequence[slice]) -> tuple[slice, slice, slice]:
    k, j, i = (slice(int(side.start), int(side.stop)) for side in window)
    return k, j, i


def every_channel(box: Sequence[slice]) -> tuple[slice, ...]:
    """Return the index of a box ``(k, j, i)`` in an array with channels in front."""
    return (slice(None), *box)


def content_of(volume: Tensor) -> Tensor:
    """Return where an image ``[channels, k, j, i]`` lies above the minimum of some channel: bool ``(k, j, i)``."""
    return (volume > volume.amin(dim=(1, 2, 3), keepdim=True)).any(dim=0)


def content_box(content: Tensor, patch: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
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
        where = torch.nonzero(content.any(dim=tuple(a for a in range(content.ndim) if a != axis)))
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


def needed(windows: Sequence[Region], filled: Tensor) -> tuple[Region, ...]:
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


def padded(volume: Tensor, grid: WindowGrid) -> Tensor:
    """Return the box of ``[channels, k, j, i]`` that windows lie over, its border repeated where one does not fit."""
    inside = volume[every_channel(grid.box)]
    if not any(before or after for before, after in grid.padding):
        return inside
    flat = [n for pair in reversed(grid.padding) for n in pair]
    return torch.nn.functional.pad(inside[None], flat, mode="replicate")[0]
