"""Which windows are computed, in which order, and which blocks of the grid each of them finishes."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from softseg.backends import Region
from softseg.prediction.uncertainty import Augmentation
from softseg.prediction.window_grid import WindowGrid, content_box, content_of, needed, padded
from softseg.requests.predict import OVERLAP
from softseg.soft.blocks import Index, Partition
from softseg.types import FloatArray, IntArray

MOST_TRIED = 1000
"""Up to this many windows every order of axes is tried out; beyond it the layer between windows decides."""

LONGEST = 16
"""Voxels of a block along the fastest axis (our default)."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One version of the image, with its windows.

    Attributes
    ----------
    volume: ``[channels, k, j, i]``, the part that windows lie over, padded.
    grid: where the windows lie.
    windows: those that are computed, as slices of ``volume``.
    change: how the version came about.
    shape: ``(k, j, i)`` of the image as it was.
    left_right_axis: array axis along which a change mirrors.
    """

    volume: FloatArray
    grid: WindowGrid
    windows: tuple[Region, ...]
    change: Augmentation
    shape: Index
    left_right_axis: int

    @staticmethod
    def of(
        volume: FloatArray,
        patch: Sequence[int],
        overlap: float,
        skip_empty: bool,
        change: Augmentation | None = None,
        left_right_axis: int = 2,
    ) -> Picture:
        """Lay windows over the changed image ``[channels, k, j, i]``; none if there is nothing in it.

        Parameters
        ----------
        volume: the image as it was.
        patch: window size ``(k, j, i)``.
        overlap: of neighbouring windows.
        skip_empty: whether windows without content are left out.
        change: nothing by default.
        left_right_axis: along which it mirrors.
        """
        change = Augmentation() if change is None else change
        shape = volume.shape[1], volume.shape[2], volume.shape[3]
        if change != Augmentation():
            volume = change.apply(volume, left_right_axis)
        content = content_of(volume) if skip_empty else None
        box = None if content is None else content_box(content, patch)
        grid = WindowGrid.over(volume.shape[1:], patch, overlap, box)
        part = padded(volume, grid)
        filled = None if content is None else padded(content[None].astype(np.float32), grid)[0] > 0
        windows = grid.slices if filled is None else needed(grid.slices, filled)
        return Picture(part, grid, windows, change, shape, left_right_axis)

    def start(self, window: Region) -> Index:
        """Return where a window begins in the image as it was; padding and shifts may lead outside of it."""
        start = [
            first + part.start - before - moved
            for first, part, (before, _), moved in zip(
                self.grid.start, window, self.grid.padding, self.change.shift, strict=True
            )
        ]
        if self.change.mirror:
            axis = self.left_right_axis
            start[axis] = self.shape[axis] - start[axis] - self.grid.patch[axis]
        return start[0], start[1], start[2]

    def undone(self, values: FloatArray, permutation: IntArray) -> FloatArray:
        """Return values ``(k, j, i, channels)`` of a window or a part of one as they are in the image as it was."""
        turned = self.turned_back(values)
        if not self.change.mirror or values.shape[3] == 1:
            return turned
        return np.ascontiguousarray(turned[..., permutation])

    def turned_back(self, values: FloatArray) -> FloatArray:
        """Return values ``(k, j, i, channels)`` at their places; what the channels mean does not change."""
        return np.flip(values, self.left_right_axis).copy() if self.change.mirror else values

    def mirrored(self, part: Region) -> Region:
        """Return where the part of a window in the image as it was lies in the window that the network saw."""
        if not self.change.mirror:
            return part
        axis, length = self.left_right_axis, self.grid.patch[self.left_right_axis]
        sides = list(part)
        sides[axis] = slice(length - part[axis].stop, length - part[axis].start)
        return sides[0], sides[1], sides[2]


@dataclass(frozen=True)
class Task:
    """One window of one picture, and where it begins in the image as it was."""

    picture: int
    window: Region
    start: Index


@dataclass(frozen=True, eq=False)
class WindowLayout:
    """All windows of all pictures, in the order in which as little as possible is unfinished at a time.

    Attributes
    ----------
    pictures: versions of the image; windows of each are blended by themselves.
    partition: the blocks that are finished one after another, each from one group of windows to the next.
    cells: the parts of blocks in which sums are kept, cut wherever a group of windows begins or ends, so that nothing
        is held that no window has reached.
    starts: per axis, where groups of windows begin: windows of one group follow each other.
    """

    pictures: tuple[Picture, ...]
    partition: Partition
    cells: Partition
    starts: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]

    @staticmethod
    def over(pictures: Sequence[Picture], rim: Index) -> WindowLayout | None:
        """Lay out the work; ``None`` if no picture has a window.

        Parameters
        ----------
        pictures: of one image.
        rim: voxels of background to put around the predicted box, as far as the grid reaches.
        """
        filled = [picture for picture in pictures if picture.windows]
        if not filled:
            return None
        groups = [_groups(filled[0], axis) for axis in range(3)]
        edges = [_edges(filled, axis, rim[axis], groups[axis]) for axis in range(3)]
        starts = [tuple(group.start for group in line) for line in groups]
        layouts = [
            WindowLayout(tuple(pictures), *_partitions(edges, starts, order), starts=(starts[0], starts[1], starts[2]))
            for order in itertools.permutations(range(3))
        ]
        if sum(len(picture.windows) for picture in filled) > MOST_TRIED:
            return min(layouts, key=lambda layout: layout.layer(groups))
        return min(layouts, key=WindowLayout.most_open)

    @staticmethod
    def whole(volume: FloatArray, patch: Sequence[int], rim: Index, overlap: float = OVERLAP) -> WindowLayout:
        """Lay windows over all of one image ``[channels, k, j, i]``."""
        layout = WindowLayout.over([Picture.of(volume, patch, overlap, skip_empty=False)], rim)
        if layout is None:
            raise ValueError("expected an image with at least one voxel")
        return layout

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The windows in their order."""
        starts, order = self.starts, self.partition.order
        tasks = [
            Task(number, window, picture.start(window))
            for number, picture in enumerate(self.pictures)
            for window in picture.windows
        ]
        return tuple(sorted(tasks, key=lambda task: [bisect_right(starts[a], task.start[a]) for a in order]))

    def touched(self, task: Task) -> Iterator[tuple[Index, Region, Region]]:
        """Go through the cells that a window covers: which, its part of the cell, and the part of the window."""
        return _crossed(self.cells, task.start, self.pictures[task.picture].grid.patch)

    def cells_of(self, block: Index) -> Iterator[tuple[Index, Region]]:
        """Go through the cells of a block: which, and where they lie in the block."""
        for cell, _, inside in _crossed(self.cells, self.partition.start(block), self.partition.shape(block)):
            yield cell, inside

    def _blocks(self, task: Task) -> list[Index]:
        crossed = _crossed(self.partition, task.start, self.pictures[task.picture].grid.patch)
        return [block for block, _, _ in crossed]

    def schedule(self) -> Iterator[tuple[Task | None, list[Index]]]:
        """Go through the windows, each with the blocks that are finished after it, in the partition's order.

        The first entry has no window: blocks that no window reaches before any other.
        """
        left = Counter(block for task in self.tasks for block in self._blocks(task))
        waiting = self.partition.blocks()
        following = next(waiting, None)

        def finished() -> Iterator[Index]:
            nonlocal following
            while following is not None and left[following] == 0:
                yield following
                following = next(waiting, None)

        yield None, list(finished())
        for task in self.tasks:
            left.subtract(self._blocks(task))
            yield task, list(finished())

    def layer(self, groups: Sequence[Sequence[slice]]) -> int:
        """Return about how many voxels lie between two layers of windows (``groups`` per axis)."""
        slow, middle, fast = self.partition.order
        shared = [max((one.stop - two.start for one, two in itertools.pairwise(line)), default=0) for line in groups]
        extent = [line[-1] - line[0] for line in self.partition.edges]
        return max(0, shared[slow]) * extent[middle] * extent[fast] + max(0, shared[middle]) * extent[fast]

    def most_open(self) -> int:
        """Return how many voxels, over all pictures, are unfinished at the worst time."""
        held: set[tuple[int, Index]] = set()
        present = most = 0
        for task, finished in self.schedule():
            if task is not None:
                reached = {(task.picture, cell) for cell, _, _ in self.touched(task)} - held
                held |= reached
                present += sum(math.prod(self.cells.shape(cell)) for _, cell in reached)
            most = max(most, present)
            for block in finished:
                gone = held.intersection(itertools.product(range(len(self.pictures)), self._cells(block)))
                held -= gone
                present -= sum(math.prod(self.cells.shape(cell)) for _, cell in gone)
        return most

    def _cells(self, block: Index) -> list[Index]:
        return [cell for cell, _ in self.cells_of(block)]


def _crossed(partition: Partition, start: Index, shape: Sequence[int]) -> Iterator[tuple[Index, Region, Region]]:
    """Go through the blocks that a box meets: which, the shared part in the block, and the same part in the box."""
    lines = [
        list(_overlaps(edges, first, first + length))
        for edges, first, length in zip(partition.edges, start, shape, strict=True)
    ]
    for k, j, i in itertools.product(*lines):
        yield (k[0], j[0], i[0]), (k[1], j[1], i[1]), (k[2], j[2], i[2])


def _groups(picture: Picture, axis: int) -> list[slice]:
    """Return the windows along an axis, those too near to the one before joined with it.

    The last window is moved back until it ends with the image, and may cover nearly the same as the one before. One
    after the other they leave much unfinished between them; side by side they do not.
    """
    patch = picture.grid.patch[axis]
    starts = sorted({picture.start(window)[axis] for window in picture.windows})
    step = min(patch, max((later - first for first, later in itertools.pairwise(starts)), default=patch))
    groups = [slice(starts[0], starts[0] + patch)]
    for first, later in itertools.pairwise(starts):
        if later - first < step:
            groups[-1] = slice(groups[-1].start, later + patch)
        else:
            groups.append(slice(later, later + patch))
    return groups


def _edges(pictures: Sequence[Picture], axis: int, rim: int, groups: Sequence[slice]) -> tuple[int, ...]:
    """Return where blocks end along an axis: where groups of windows do, and where anything is covered."""
    size, patch = pictures[0].shape[axis], pictures[0].grid.patch[axis]
    starts = [picture.start(window)[axis] for picture in pictures for window in picture.windows]
    low, high = max(0, min(starts)), min(size, max(starts) + patch)
    inner = {edge for group in groups for edge in (group.start, group.stop) if low < edge < high}
    outer = {max(0, low - rim), low, high, min(size, high + rim)}
    return tuple(sorted(inner | outer))


def _partitions(
    edges: Sequence[tuple[int, ...]], starts: Sequence[Sequence[int]], order: Sequence[int]
) -> tuple[Partition, Partition]:
    """Return blocks and cells for an order of axes.

    Along the fastest axis, where they are finished one after another anyhow, blocks are as short as cells, and no
    longer than ``LONGEST``, so that a finished block is small.
    """
    cells = list(edges)
    cells[order[2]] = _cut(edges[order[2]])
    blocks = [
        tuple(sorted({line[0], *(start for start in first if line[0] < start < line[-1]), line[-1]}))
        for line, first in zip(edges, starts, strict=True)
    ]
    blocks[order[2]] = cells[order[2]]
    return (
        Partition((blocks[0], blocks[1], blocks[2]), (order[0], order[1], order[2])),
        Partition((cells[0], cells[1], cells[2])),
    )


def _cut(edges: Sequence[int]) -> tuple[int, ...]:
    inner = {edge for first, last in itertools.pairwise(edges) for edge in range(first, last, LONGEST)}
    return tuple(sorted(inner | {edges[-1]}))


def _overlaps(edges: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, slice, slice]]:
    for number in range(max(0, bisect_right(edges, start) - 1), len(edges) - 1):
        first, last = max(start, edges[number]), min(stop, edges[number + 1])
        if edges[number] >= stop:
            return
        if first < last:
            yield number, slice(first - edges[number], last - edges[number]), slice(first - start, last - start)
