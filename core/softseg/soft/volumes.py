"""How much of each node of a tree there is in a soft parcellation."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from softseg.soft.encoding import SCALE

if TYPE_CHECKING:
    from softseg.soft.distribution import StoredDistribution
    from softseg.tree import Cut


@dataclass(frozen=True)
class NodeVolume:
    """How much of a node there is.

    Attributes
    ----------
    id, name: the node's.
    depth: its distance from the root.
    value: its label value, see :meth:`LabelTree.value_of`.
    soft_ml: sum of its probability over all voxels, in ml.
    hard_ml: volume of the voxels in which it wins against the other nodes of the cut, in ml.
    certainty: its mean probability in those voxels, 0..1; NaN where it wins in none.
    soft_ml_low, soft_ml_high: ends of the interval of its soft volume, where several predictions give one; else NaN.
    """

    id: str
    name: str
    depth: int
    value: int
    soft_ml: float
    hard_ml: float
    certainty: float
    soft_ml_low: float = math.nan
    soft_ml_high: float = math.nan

    def within(self, low: float, high: float) -> NodeVolume:
        """Return the same with an interval, given as parts of the soft volume."""
        return replace(self, soft_ml_low=self.soft_ml * low, soft_ml_high=self.soft_ml * high)


def node_volumes(parcellation: StoredDistribution, cut: Cut | None) -> list[NodeVolume]:
    """Return the volumes of the nodes of a cut, or of all; see :meth:`SoftParcellation.volumes`."""
    tree, background, sums = parcellation.tree, parcellation.background, parcellation.sums
    outside = int(np.prod(parcellation.geometry.shape)) - parcellation.counts.size
    soft = sums.leaf_sums.copy()
    if background is not None:
        soft[background] += SCALE * outside
    cuts = [cut] if cut is not None else [tree.cut_at(level) for level in range(tree.depth, -1, -1)]
    won: dict[str, tuple[float, float]] = {}
    for own in cuts:
        voxels, probabilities = sums.won(own.position_of_leaf.astype(np.int32), len(own.nodes))
        if background is not None:
            voxels[own.position_of_leaf[background]] += outside
            probabilities[own.position_of_leaf[background]] += SCALE * outside
        won.update(zip((node.id for node in own.nodes), zip(voxels, probabilities, strict=True), strict=True))
    voxel_ml = parcellation.geometry.voxel_volume_ml
    return [
        NodeVolume(
            node.id,
            node.name,
            tree.depth_of(node.id),
            tree.value_of(node.id),
            float(soft[tree.leaf_slice(node.id)].sum()) * voxel_ml / SCALE,
            float(won[node.id][0]) * voxel_ml,
            float(won[node.id][1] / won[node.id][0] / SCALE) if won[node.id][0] else math.nan,
        )
        for node in (tree.nodes if cut is None else cut.nodes)
    ]
