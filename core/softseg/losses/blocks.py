"""Voxels in blocks that fit into a processor's cache, read from and written to tensors of any memory layout."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from softseg.losses.checked import Checked
from softseg.losses.threads import in_threads

Result = TypeVar("Result")
Kept = TypeVar("Kept")

BLOCK_NUMBERS = {"cpu": 1024 * 1024, "cuda": 8 * 1024 * 1024}
"""Numbers in one work array: large enough to spread what a block costs once, small enough that a handful of arrays
stays in a processor's last cache (measured), or keeps a graphics card busy."""

FEWEST_VOXELS, MOST_VOXELS = 256, 32768
"""Bounds of the voxels in a block on a processor: shorter rows cost more calls than they save."""


def block_voxels(device: torch.device, rows: int) -> int:
    """Return how many voxels with ``rows`` numbers each make a good block on ``device``."""
    if device.type == "cpu":
        return max(FEWEST_VOXELS, min(BLOCK_NUMBERS["cpu"] // rows, MOST_VOXELS))
    return max(FEWEST_VOXELS, BLOCK_NUMBERS["cuda"] // rows)


class Scratch:
    """Named work arrays of one type on one device, allocated once for the largest block.

    Parameters
    ----------
    columns: voxels in the largest block.
    dtype, device: of all arrays.
    """

    def __init__(self, columns: int, dtype: torch.dtype, device: torch.device) -> None:
        self.columns = columns
        self.dtype = dtype
        self.device = device
        self._memory: dict[str, Tensor] = {}
        self._kept: dict[str, Any] = {}
        self._views: dict[tuple[str, int, int], Tensor] = {}

    def array(self, name: str, rows: int, columns: int) -> Tensor:
        """Return a contiguous array ``[rows, columns]`` with undefined values; the last one of this name is void."""
        view = self._views.get((name, rows, columns))
        if view is None:
            memory = self._memory.get(name)
            if memory is None or memory.numel() < rows * columns:
                size = rows * max(columns, self.columns)
                memory = self._memory[name] = torch.empty(size, dtype=self.dtype, device=self.device)
            view = memory[: rows * columns].view(rows, columns)
            if columns == self.columns:
                self._views[name, rows, columns] = view
        return view

    def keep(self, name: str, columns: int, make: Callable[[], Kept]) -> Kept:
        """Return what ``make`` makes of this scratch's arrays for ``columns`` voxels; kept for whole blocks.

        Blocks with unlabelled voxels all have different sizes: nothing is kept for them.
        """
        if columns != self.columns:
            return make()
        if name not in self._kept:
            self._kept[name] = make()
        kept: Kept = self._kept[name]
        return kept

    def load(self, name: str, values: Tensor) -> Tensor:
        """Return ``values`` ``[rows, n]`` with voxels side by side and in this scratch's type: a copy where needed."""
        if values.stride(1) == 1 and values.dtype == self.dtype:
            return values
        if values.stride(0) == 1 and values.dtype != self.dtype:
            values = values.contiguous()
        return self.array(name, *values.shape).copy_(values)


@dataclass(frozen=True)
class VoxelBlock:
    """The labelled voxels of one stretch of one batch item.

    Attributes
    ----------
    scratch: work arrays.
    item: index of the item in the batch.
    place: the stretch of voxels.
    chosen: the labelled voxels within it; None where all are.
    predicted: ``[C, n]``, the network's output, voxels side by side, in the type that is computed in; read only.
    target: probabilities ``[C, n]`` likewise, or labels int64 ``[n]``.
    total: ``[n]``, the sum of a voxel's probabilities; None beside labels.
    weight: ``[n]``, not 0.
    """

    scratch: Scratch
    item: int
    place: slice
    chosen: Tensor | None
    predicted: Tensor
    target: Tensor
    total: Tensor | None
    weight: Tensor

    def store(self, values: Tensor, factor: Tensor, output: Tensor) -> None:
        """Write ``values * factor`` (``[C, n]``, used up, and ``[n]``) to these voxels of ``output`` ``[B, C, V]``."""
        place = output[self.item, :, self.place]
        if self.chosen is not None:
            place.zero_()
            place[:, self.chosen] = values.mul_(factor).to(output.dtype)
        elif place.stride(0) == 1:
            place.t().copy_(values.mul_(factor).to(output.dtype).t())
        elif output.dtype == values.dtype:
            torch.mul(values, factor, out=place)
        else:
            place.copy_(values.mul_(factor))


class VoxelBlocks:
    """All labelled voxels of a batch, block by block; blocks without any are left out.

    Parameters
    ----------
    given: the arguments of the loss.
    rows: numbers per voxel in the largest work array.
    """

    def __init__(self, given: Checked, rows: int) -> None:
        predicted, dtype = given.predicted, given.dtype
        self.shape = predicted.shape
        self.predicted, self.target = _flat(predicted), _flat(given.target)
        self.soft = given.soft
        self.weights = None if given.weights is None else _flat(given.weights)[:, 0]
        self.sums = None if given.sums is None else _flat(given.sums)[:, 0]
        self.voxels = self.predicted.shape[2]
        self.size = max(1, min(block_voxels(predicted.device, rows), self.voxels))
        self.dtype = dtype
        self._ones = torch.ones(self.size, dtype=dtype, device=predicted.device)

    def empty_output(self) -> Tensor:
        """Return a tensor ``[B, C, V]`` for a gradient, with the type and layout of the prediction."""
        return torch.empty_like(self.predicted)

    def each(self, work: Callable[[VoxelBlock], Result], output: Tensor | None = None) -> list[Result]:
        """Return ``work`` of every block with a labelled voxel, in order; those without are set to 0 in ``output``."""
        starts = [(item, start) for item in range(self.shape[0]) for start in range(0, self.voxels, self.size)]

        def visit(scratch: Scratch, position: tuple[int, int]) -> Result | None:
            item, start = position
            place = slice(start, min(start + self.size, self.voxels))
            block = self._block(item, place, scratch)
            if block is not None:
                return work(block)
            if output is not None:
                output[item, :, place].zero_()
            return None

        def scratch() -> Scratch:
            return Scratch(self.size, self.dtype, self.predicted.device)

        results = in_threads(visit, starts, scratch, several=self.predicted.device.type == "cpu")
        return [result for result in results if result is not None]

    def _block(self, item: int, place: slice, scratch: Scratch) -> VoxelBlock | None:
        predicted, target = self.predicted[item, :, place], self.target[item, :, place]
        total = None if self.sums is None else self.sums[item, place]
        weight = self._ones[: place.stop - place.start] if self.weights is None else self.weights[item, place]
        chosen = None
        if self.weights is not None:
            labelled = weight != 0
            if not bool(labelled.all()):
                chosen = labelled.nonzero().flatten()
                if not len(chosen):
                    return None
                predicted, target, weight = predicted[:, chosen], target[:, chosen], weight[chosen]
                total = None if total is None else total[chosen]
        predicted = scratch.load("predicted", predicted)
        target = scratch.load("target", target) if self.soft else target[0].long()
        return VoxelBlock(scratch, item, place, chosen, predicted, target, total, weight)


def _flat(values: Tensor) -> Tensor:
    """Return ``[B, C, *spatial]`` as ``[B, C, V]``, a view for contiguous and channels-last layouts."""
    try:
        return values.view(*values.shape[:2], -1)
    except RuntimeError:
        return values.contiguous().view(*values.shape[:2], -1)
