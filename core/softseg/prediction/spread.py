"""How much several predictions of one scan differ: maps, decisions along the tree, volumes of structures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry, Image
from softseg.prediction.uncertainty import Spread
from softseg.soft.blocks import Index
from softseg.soft.branches import CHUNK
from softseg.soft.calibration import decisions_of
from softseg.soft.confidence import LEAST_PROBABILITY
from softseg.soft.resample import resample_image
from softseg.tree import LabelTree
from softseg.types import FloatArray

_Real = TypeVar("_Real", bound=np.floating)

INTERVAL = (0.05, 0.95)
"""Quantiles of the predictions' volumes between which a structure's interval lies (our default)."""

_SURE = 0.9995  # where the mean gives a leaf more than this, no decision can be in doubt by more than a step of 1/255

VoxelIndex = tuple[slice, slice, slice] | tuple[npt.NDArray[np.intp], ...]
"""Where voxels lie: a box, or the indices ``(k, j, i)`` of each."""


@dataclass(frozen=True, eq=False)
class DecisionMaps:
    """How much the predictions disagree about single decisions, on the plan's grid.

    Attributes
    ----------
    nodes: ids of the inner nodes whose decisions these are.
    steps: uint8 ``[nodes, k, j, i]``: mutual information divided by ``ln(children)``, times 255.
    grid, target: the plan's grid of the case, and the scan's.
    """

    nodes: tuple[str, ...]
    steps: npt.NDArray[np.uint8]
    grid: Geometry
    target: Geometry

    def on_target(self, node: str) -> Image:
        """Return a node's map on the scan's grid: uint8, 255 is complete disagreement."""
        map_ = self.steps[self.nodes.index(node)].astype(np.float32)
        found = resample_image(Image(map_, self.grid), self.target)
        return Image(np.rint(found.array).astype(np.uint8), self.target)


class SpreadMaps:
    """What is kept of several predictions, block by block, on the plan's grid.

    Parameters
    ----------
    shape: ``(k, j, i)`` of the grid.
    tree: whose leaves are predicted; needed for branches and intervals.
    branches: ids of inner nodes whose decisions are followed.

    Attributes
    ----------
    entropy, mutual_information: float32 ``(k, j, i)``, nats.
    """

    def __init__(self, shape: Index, tree: LabelTree | None = None, branches: Sequence[str] = ()) -> None:
        self.entropy = np.zeros(shape, np.float32)
        self.mutual_information = np.zeros(shape, np.float32)
        self._tree, self._branches = tree, tuple(branches)
        self._steps = np.zeros((len(self._branches), *shape), np.uint8)
        self._sums: FloatArray | npt.NDArray[np.float64] = np.zeros((0, 0))
        self._seen = 0

    def add(
        self,
        place: VoxelIndex,
        samples: Sequence[FloatArray],
        spread: Spread,
        classes: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Take a block in.

        Parameters
        ----------
        place: where it lies.
        samples: the predictions, each ``(k, j, i, C)``, or ``(N, C)`` where the place is a list of voxels.
        spread: what follows from them.
        classes: leaf indices of the samples' last axis, the others have probability 0; all leaves by default.
        """
        self.entropy[place] = spread.entropy
        self.mutual_information[place] = spread.mutual_information
        sums = np.stack([sample.reshape(-1, sample.shape[-1]).sum(axis=0, dtype=np.float64) for sample in samples])
        if classes is not None and self._tree is not None:
            sums = _spread_out(sums, classes, len(self._tree.leaves))
        self._sums = sums if not self._sums.size else self._sums + sums
        self._seen += spread.entropy.size
        if self._branches and self._tree is not None:
            mean = spread.mean
            if classes is not None:
                samples = [_spread_out(sample, classes, len(self._tree.leaves)) for sample in samples]
                mean = _spread_out(mean, classes, len(self._tree.leaves))
            inside = (slice(None), *place)
            self._steps[inside] = _information(samples, mean, self._tree, self._branches)

    @property
    def nbytes(self) -> int:
        """Bytes of the maps."""
        return int(self.entropy.nbytes + self.mutual_information.nbytes + self._steps.nbytes)

    def decisions(self, grid: Geometry, target: Geometry) -> DecisionMaps:
        """Return the decisions' maps."""
        return DecisionMaps(self._branches, self._steps, grid, target)

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Return, for every node, the ends of its volume's interval as parts of its mean volume (ours).

        They are the 5 % and 95 % quantiles of the volumes of the single predictions, or 1 and 1 where it has none; the
        mean is always between them.
        """
        tree = self._tree
        if tree is None or not self._sums.size:
            return {}
        leaves = self._sums.copy()
        if tree.background is not None:  # voxels of no block
            leaves[:, tree.leaf_index(tree.background.id)] += self.entropy.size - self._seen
        volumes = leaves @ tree.membership().T.astype(np.float64)
        mean = volumes.mean(axis=0)
        ends = np.quantile(volumes, INTERVAL, axis=0)
        parts = np.divide(ends, mean, out=np.ones_like(ends), where=mean > 0)
        low, high = np.minimum(parts[0], 1), np.maximum(parts[1], 1)
        return {node.id: (float(a), float(b)) for node, a, b in zip(tree.nodes, low, high, strict=True)}


def _spread_out(values: npt.NDArray[_Real], classes: npt.NDArray[np.int64], leaves: int) -> npt.NDArray[_Real]:
    """Return ``(..., C)`` with the values at their classes and 0 elsewhere."""
    out = np.zeros((*values.shape[:-1], leaves), values.dtype)
    out[..., classes] = values
    return out


def _information(
    samples: Sequence[FloatArray], mean: FloatArray, tree: LabelTree, branches: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Return mutual information of decisions over its largest value, in steps of 1/255: uint8 ``[B, k, j, i]``.

    Each prediction's decision counts with the probability that it gives to the node, so that the leaves' mutual
    information is the sum over the nodes of their probability times that of their decision.
    """
    decisions = decisions_of(tree)
    inner = [node.id for node in tree.inner_nodes]
    chosen = np.array([inner.index(id_) for id_ in branches])
    rows = decisions.inner[chosen]
    largest = np.log([max(2, len(tree.children(id_))) for id_ in branches]).astype(np.float32)[:, None]
    flat = [sample.reshape(-1, sample.shape[-1]) for sample in samples]
    out = np.zeros((len(branches), flat[0].shape[0]), np.uint8)
    unsure = np.flatnonzero(mean.reshape(-1, mean.shape[-1]).max(axis=1) < _SURE)
    for first in range(0, unsure.size, CHUNK):
        voxels = unsure[first : first + CHUNK]
        total = np.zeros((decisions.rows, voxels.size), np.float32)
        within = np.zeros((len(branches), voxels.size), np.float32)
        for sample in flat:
            probabilities = decisions.node_probabilities(np.ascontiguousarray(sample[voxels].T))
            within += decisions.entropies(probabilities)[chosen] * probabilities[rows]
            total += probabilities
        whole = total[rows]
        there = whole >= LEAST_PROBABILITY * len(flat)
        within = np.divide(within, whole, out=np.zeros_like(within), where=there)
        found = np.where(there, decisions.entropies(total)[chosen] - within, 0) / largest
        out[:, voxels] = np.rint(np.clip(found, 0, 1) * 255).astype(np.uint8)
    return out.reshape(len(branches), *mean.shape[:-1])
