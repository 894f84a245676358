"""Which windows are computed, in which order, and which blocks of the grid each of them finishes."""

from __future__ import annotations

import itertools
import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from softseg.prediction.sums import Region
from softseg.prediction.uncertainty import Augmentation
from softseg.prediction.window_grid import WindowGrid, content_box, content_of, padded
from softseg.soft.blocks import Index, Partition


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

    volume: Tensor
    grid: WindowGrid
    windows: tuple[Region, ...]
    change: Augmentation
    shape: Index
    left_right_axis: int

    @staticmethod
    def of(
        volume: Tensor,
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
            volume = torch.from_numpy(change.apply(volume.numpy(), left_right_axis))
        content = content_of(volume) if skip_empty else None
        box = None if content is None else content_box(content)
        grid = WindowGrid.over(volume.shape[1:], patch, overlap, box)
        part = padded(volume, grid)
        filled = None if content is None else padded(content[None].float(), grid)[0] > 0
        windows = tuple(window for window in grid.slices if filled is None or bool(filled[window].any()))
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

    def undone(self, values: Tensor, permutation: Tensor) -> Tensor:
        """Return a window's values ``(k, j, i, channels)`` as they are in the image as it was."""
        if not self.change.mirror:
            return values
        turned = values.flip(self.left_right_axis)
        return turned if values.shape[3] == 1 else turned[..., permutation]


@dataclass(frozen=True)
class Task:
    """One window of one picture, and where it begins in the image as it was."""

    picture: int
    window: Region
    start: Index


@dataclass(frozen=True, eq=False)
class Layout:
    """All windows of all pictures, in the order in which as little as possible is unfinished at a time.

    Attributes
    ----------
    pictures: versions of the image; windows of each are blended by themselves.
    partition: the blocks that are finished one after another.
    """

    pictures: tuple[Picture, ...]
    partition: Partition

    @staticmethod
    def over(pictures: Sequence[Picture], rim: Index) -> Layout | None:
        """Lay out the work; ``None`` if no picture has a window.

        Parameters
        ----------
        pictures: of one image.
        rim: voxels of background to put around the predicted box, as far as the grid reaches.
        """
        filled = [picture for picture in pictures if picture.windows]
        if not filled:
            return None
        edges = [_edges(filled, axis, rim[axis]) for axis in range(3)]
        order = _order(filled[0], [line[-1] - line[0] for line in edges])
        return Layout(tuple(pictures), Partition((edges[0], edges[1], edges[2]), order))

    @staticmethod
    def whole(volume: Tensor, patch: Sequence[int], rim: Index, overlap: float = 0.5) -> Layout:
        """Lay windows over all of one image ``[channels, k, j, i]``."""
        layout = Layout.over([Picture.of(volume, patch, overlap, skip_empty=False)], rim)
        if layout is None:
            raise ValueError("expected an image with at least one voxel")
        return layout

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The windows in their order."""
        edges, order = self.partition.edges, self.partition.order
        tasks = [
            Task(number, window, picture.start(window))
            for number, picture in enumerate(self.pictures)
            for window in picture.windows
        ]
        return tuple(sorted(tasks, key=lambda task: [bisect_right(edges[a], task.start[a]) for a in order]))

    def touched(self, task: Task) -> Iterator[tuple[Index, Region, Region]]:
        """Go through the blocks that a window covers: which, its part of the block, and the part of the window."""
        patch = self.pictures[task.picture].grid.patch
        lines = [
            list(_overlaps(edges, first, first + length))
            for edges, first, length in zip(self.partition.edges, task.start, patch, strict=True)
        ]
        for k, j, i in itertools.product(*lines):
            yield (k[0], j[0], i[0]), (k[1], j[1], i[1]), (k[2], j[2], i[2])

    def schedule(self) -> Iterator[tuple[Task | None, list[Index]]]:
        """Go through the windows, each with the blocks that are finished after it, in the partition's order.

        The first entry has no window: blocks that no window reaches before any other.
        """
        left = Counter(block for task in self.tasks for block, _, _ in self.touched(task))
        waiting = self.partition.blocks()
        following = next(waiting, None)

        def finished() -> Iterator[Index]:
            nonlocal following
            while following is not None and left[following] == 0:
                yield following
                following = next(waiting, None)

        yield None, list(finished())
        for task in self.tasks:
            left.subtract(block for block, _, _ in self.touched(task))
            yield task, list(finished())

    def most_open(self) -> int:
        """Return how many voxels, over all pictures, are unfinished at the worst time."""
        sizes: Counter[Index] = Counter()
        seen: set[tuple[int, Index]] = set()
        present = most = 0
        for task, finished in self.schedule():
            if task is not None:
                for block, _, _ in self.touched(task):
                    if (task.picture, block) not in seen:
                        seen.add((task.picture, block))
                        sizes[block] += math.prod(self.partition.shape(block))
                        present += math.prod(self.partition.shape(block))
            most = max(most, present)
            present -= sum(sizes.pop(block, 0) for block in finished)
        return most


def _edges(pictures: Sequence[Picture], axis: int, rim: int) -> tuple[int, ...]:
    """Return where blocks end along an axis: where windows of the first picture do, and where anything is covered."""
    size = pictures[0].shape[axis]
    patch = pictures[0].grid.patch[axis]
    starts = [{picture.start(window)[axis] for window in picture.windows} for picture in pictures]
    low = max(0, min(min(each) for each in starts))
    high = min(size, max(max(each) for each in starts) + patch)
    inner = {edge for start in starts[0] for edge in (start, start + patch) if low < edge < high}
    outer = {max(0, low - rim), low, high, min(size, high + rim)}
    return tuple(sorted(inner | outer))


def _order(picture: Picture, extent: Sequence[int]) -> Index:
    """Return the order of axes, the slowest first, in which the fewest voxels are unfinished at a time."""
    patch = picture.grid.patch
    shared = []
    for axis in range(3):
        starts = sorted({window[axis].start for window in picture.grid.slices})
        shared.append(max((first + patch[axis] - later for first, later in itertools.pairwise(starts)), default=0))

    def unfinished(order: tuple[int, ...]) -> int:
        slow, middle, fast = order
        layer = shared[slow] * extent[middle] * extent[fast]
        return layer + patch[slow] * shared[middle] * extent[fast] + patch[slow] * patch[middle] * shared[fast]

    k, j, i = min(itertools.permutations(range(3)), key=unfinished)
    return k, j, i


def _overlaps(edges: Sequence[int], start: int, stop: int) -> Iterator[tuple[int, slice, slice]]:
    for number in range(max(0, bisect_right(edges, start) - 1), len(edges) - 1):
        first, last = max(start, edges[number]), min(stop, edges[number + 1])
        if edges[number] >= stop:
            return
        if first < last:
            yield number, slice(first - edges[number], last - edges[number]), slice(first - start, last - start)
