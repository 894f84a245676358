"""Voxels in blocks that fit into a processor's cache, read from and written to tensors of any memory layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

BLOCK_VOXELS = {"cpu": 4096, "cuda": 65536}
"""Voxels per block: few enough for a processor's cache, enough to keep a graphics card busy."""


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

    def array(self, name: str, rows: int, columns: int) -> Tensor:
        """Return a contiguous array ``[rows, columns]`` with undefined values; the last one of this name is void."""
        memory = self._memory.get(name)
        if memory is None or memory.numel() < rows * columns:
            size = rows * max(columns, self.columns)
            memory = self._memory[name] = torch.empty(size, dtype=self.dtype, device=self.device)
        return memory[: rows * columns].view(rows, columns)

    def load(self, name: str, values: Tensor) -> Tensor:
        """Return a copy of ``values`` ``[rows, n]``, contiguous and in this scratch's type."""
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
    predicted: ``[C, n]``, the network's output, contiguous, in the type that is computed in.
    target: shares ``[C, n]`` likewise, or labels int64 ``[n]``.
    weight: ``[n]``, not 0.
    """

    scratch: Scratch
    item: int
    place: slice
    chosen: Tensor | None
    predicted: Tensor
    target: Tensor
    weight: Tensor

    def store(self, values: Tensor, output: Tensor) -> None:
        """Write ``values`` ``[C, n]`` to this block's voxels of ``output`` ``[B, C, voxels]``."""
        place = output[self.item, :, self.place]
        if self.chosen is not None:
            place[:, self.chosen] = values.to(output.dtype)
        elif place.stride(0) == 1:
            place.t().copy_(values.to(output.dtype).t())
        else:
            place.copy_(values)


class VoxelBlocks:
    """All labelled voxels of a batch, block by block; blocks without any are left out.

    Parameters
    ----------
    predicted: ``[B, C, *spatial]``, the network's output.
    target: integer ``[B, 1, *spatial]`` or shares ``[B, C, *spatial]``.
    weights: ``[B, 1, *spatial]``, 0 where unlabelled; its type is the one that is computed in.
    """

    def __init__(self, predicted: Tensor, target: Tensor, weights: Tensor) -> None:
        self.shape = predicted.shape
        self.predicted, self.target, self.weights = _flat(predicted), _flat(target), _flat(weights)[:, 0]
        size = BLOCK_VOXELS.get(predicted.device.type, BLOCK_VOXELS["cuda"])
        self.size = max(1, min(size, self.weights.shape[1]))
        self.scratch = Scratch(self.size, weights.dtype, predicted.device)

    def empty_output(self) -> Tensor:
        """Return a tensor ``[B, C, voxels]`` for a gradient: type and layout of the prediction, 0 where unlabelled."""
        if bool((self.weights != 0).all()):
            return torch.empty_like(self.predicted)
        return torch.zeros_like(self.predicted)

    def __iter__(self) -> Iterator[VoxelBlock]:
        for item in range(self.weights.shape[0]):
            for start in range(0, self.weights.shape[1], self.size):
                block = self._block(item, slice(start, start + self.size))
                if block is not None:
                    yield block

    def _block(self, item: int, place: slice) -> VoxelBlock | None:
        weight = self.weights[item, place]
        predicted, target = self.predicted[item, :, place], self.target[item, :, place]
        chosen: Tensor | None = (weight != 0).nonzero().flatten()
        if chosen is None or not len(chosen):
            return None
        if len(chosen) == len(weight):
            chosen = None
        else:
            predicted, target, weight = predicted[:, chosen], target[:, chosen], weight[chosen]
        predicted = self.scratch.load("predicted", predicted)
        target = self.scratch.load("target", target) if target.is_floating_point() else target[0].long()
        return VoxelBlock(self.scratch, item, place, chosen, predicted, target, weight)


def _flat(values: Tensor) -> Tensor:
    """Return ``[B, C, *spatial]`` as ``[B, C, voxels]``, a view for contiguous and channels-last layouts."""
    try:
        return values.view(*values.shape[:2], -1)
    except RuntimeError:
        return values.contiguous().view(*values.shape[:2], -1)


def scaled_gradient(gradient: Tensor, factor: Tensor) -> Tensor:
    """Return ``factor * gradient``; the gradient itself where the factor is 1, so that it is not copied."""
    if factor.device.type == "cpu" and factor == 1:
        return gradient
    return gradient * factor
