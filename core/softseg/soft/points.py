"""The probabilities in one voxel of a soft parcellation, fast enough to follow a pointer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import SCALE
from softseg.soft.parcellation import SoftParcellation


class PointReader:
    """Probabilities of single voxels.

    Parameters
    ----------
    parcellation: what is read; the place of each row's first probability is counted once, here.
    """

    def __init__(self, parcellation: SoftParcellation) -> None:
        self._parcellation = parcellation
        rows = parcellation.counts.sum(axis=2, dtype=np.int64).ravel()
        self._first: npt.NDArray[np.int64] = np.cumsum(rows) - rows

    def probabilities(self, voxel: tuple[int, int, int]) -> dict[int, float] | None:
        """Return the probability (0..1) of each leaf index that is stored in a voxel ``(k, j, i)``.

        Outside the stored box that is the background, or nothing in a tree without; ``None`` outside the grid.
        """
        parcellation = self._parcellation
        if not all(0 <= at < size for at, size in zip(voxel, parcellation.geometry.shape, strict=True)):
            return None
        k, j, i = (at - first for at, first in zip(voxel, parcellation.start, strict=True))
        counts = parcellation.counts
        if not all(0 <= at < size for at, size in zip((k, j, i), counts.shape, strict=True)):
            return {} if parcellation.background is None else {parcellation.background: 1.0}
        first = int(self._first[k * counts.shape[1] + j]) + int(counts[k, j, :i].sum(dtype=np.int64))
        stored = slice(first, first + int(counts[k, j, i]))
        leaves, probabilities = parcellation.leaves[stored].tolist(), parcellation.shares[stored].tolist()
        return {leaf: probability / SCALE for leaf, probability in zip(leaves, probabilities, strict=True)}

    def node_probability(self, probabilities: dict[int, float], node_id: str) -> float:
        """Return the probability of a node: the sum over its leaves.

        Raises
        ------
        InputError: the tree has no such node.
        """
        leaves = self._parcellation.tree.leaf_slice(node_id)
        return float(
            sum(probability for leaf, probability in probabilities.items() if leaves.start <= leaf < leaves.stop)
        )
