"""The voxels of a stored box, chunk by chunk, so that working memory does not grow with what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

_CHUNK = 1 << 16  # voxels

Leaves = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Chunk:
    """The stored leaves of some voxels in a row.

    Attributes
    ----------
    voxels: which voxels of the flattened box.
    entries: which stored leaves.
    counts: uint8: how many leaves each voxel stores.
    """

    voxels: slice
    entries: slice
    counts: npt.NDArray[np.uint8]

    def first(self) -> Indices:
        """Return where the leaves of each voxel begin, counted from the first of the chunk."""
        return np.cumsum(self.counts, dtype=np.intp) - self.counts


def chunks(counts: npt.NDArray[np.uint8]) -> Iterator[Chunk]:
    """Yield the chunks of the box (``counts`` is ``(k, j, i)``)."""
    flat = counts.reshape(-1)
    entry = 0
    for voxel in range(0, flat.size, _CHUNK):
        part = flat[voxel : voxel + _CHUNK]
        upto = entry + int(part.sum(dtype=np.int64))
        yield Chunk(slice(voxel, voxel + part.size), slice(entry, upto), part)
        entry = upto
