"""How much of each node of a tree there is in a soft parcellation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.soft.encoding import SCALE
from softseg.soft.node_sums import leaf_sums, winners

if TYPE_CHECKING:
    from softseg.soft.parcellation import SoftParcellation
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
    """

    id: str
    name: str
    depth: int
    value: int
    soft_ml: float
    hard_ml: float


def node_volumes(parcellation: SoftParcellation, cut: Cut | None) -> list[NodeVolume]:
    """Return the volumes of the nodes of a cut, or of all; see :meth:`SoftParcellation.volumes`."""
    tree, background = parcellation.tree, parcellation.background
    outside = int(np.prod(parcellation.geometry.shape)) - parcellation.counts.size
    soft = leaf_sums(parcellation.counts, parcellation.leaves, parcellation.shares, len(tree.leaves))
    if background is not None:
        soft[background] += SCALE * outside
    cuts = [cut] if cut is not None else [tree.cut_at(level) for level in range(tree.depth, -1, -1)]
    won: dict[str, int] = {}
    for own, voxels in zip(cuts, _won(parcellation, cuts, outside), strict=True):
        won.update({node.id: int(number) for node, number in zip(own.nodes, voxels, strict=True)})
    voxel_ml = parcellation.geometry.voxel_volume_ml
    return [
        NodeVolume(
            node.id,
            node.name,
            tree.depth_of(node.id),
            tree.value_of(node.id),
            float(soft[tree.leaf_slice(node.id)].sum()) * voxel_ml / SCALE,
            won[node.id] * voxel_ml,
        )
        for node in (tree.nodes if cut is None else cut.nodes)
    ]


def _won(parcellation: SoftParcellation, cuts: list[Cut], outside: int) -> list[npt.NDArray[np.int64]]:
    """Return in how many voxels each node of each cut wins."""
    won = [np.zeros(len(cut.nodes), np.int64) for cut in cuts]
    if parcellation.background is not None:
        for voxels, cut in zip(won, cuts, strict=True):
            voxels[cut.position_of_leaf[parcellation.background]] += outside
    layouts = [(cut.position_of_leaf.astype(np.int32), len(cut.nodes)) for cut in cuts]
    for number, _, best in winners(parcellation.counts, parcellation.leaves, parcellation.shares, layouts):
        won[number] += np.bincount(best + 1, minlength=len(won[number]) + 1)[1:]
    return won
