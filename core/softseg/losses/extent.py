"""The smallest value and the sums over the channels of a soft target, in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.losses.threads import in_threads

BLOCK_NUMBERS = 512 * 1024
"""Numbers that a processor core looks at in one piece: they stay in its cache for the second look."""


@dataclass(frozen=True)
class Extent:
    """What a soft target holds.

    Attributes
    ----------
    low: the smallest value.
    least, high: the smallest and the largest sum of a voxel; NaN where any value is.
    sums: ``[B, 1, *spatial]``, sums over the channels.
    """

    low: float
    least: float
    high: float
    sums: Tensor

    def within(self, tolerance: float) -> bool:
        """Whether values are at least 0 and sums at most 1, as far as ``tolerance``; False for NaN."""
        return self.low >= -tolerance and self.high <= 1 + tolerance


def extent(target: Tensor, dtype: torch.dtype) -> Extent:
    """Return the extent of ``target`` ``[B, C, *spatial]``, not empty, with sums in ``dtype``."""
    if target.shape[1] == 1:
        sums = target.to(dtype)
        lowest, highest = torch.stack(torch.aminmax(sums)).tolist()
        return Extent(lowest, lowest, highest, sums)
    sums = torch.empty((target.shape[0], 1, *target.shape[2:]), dtype=dtype, device=target.device)
    low = _in_pieces(target, sums) if target.device.type == "cpu" else None
    if low is None:
        torch.sum(target, 1, keepdim=True, dtype=dtype, out=sums)
        low = target.amin().to(dtype)
    lowest, least, highest = torch.stack([low, *torch.aminmax(sums)]).tolist()
    return Extent(lowest, least, highest, sums)


def _in_pieces(target: Tensor, sums: Tensor) -> Tensor | None:
    """Fill ``sums`` and return the smallest value; None where the spatial axes cannot be seen as one."""
    batch, channels = target.shape[:2]
    try:
        values = target.view(batch, channels, -1)
    except RuntimeError:
        return None
    flat = sums.view(batch, -1)
    voxels = values.shape[2]
    size = max(256, BLOCK_NUMBERS // channels)
    places = [
        (item, slice(start, min(start + size, voxels))) for item in range(batch) for start in range(0, voxels, size)
    ]

    def look(_: None, piece: tuple[int, slice]) -> Tensor:
        item, place = piece
        part = values[item, :, place]
        torch.sum(part, 0, dtype=sums.dtype, out=flat[item, place])
        return part.amin()

    return torch.stack(in_threads(look, places, lambda: None, several=True)).amin().to(sums.dtype)
