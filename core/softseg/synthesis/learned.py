"""What is painted and what is learned: from the leaves of the dataset's tree to those of the learned one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.tree import LabelTree


@dataclass(frozen=True, eq=False)
class Learned:
    """Classes that are painted, and the learned leaf of each.

    Attributes
    ----------
    tree: whose leaves are painted.
    leaves: number of learned leaves.
    background: the learned leaf that is background.
    leaf_of: int64 ``[D]``, the learned leaf of each painted one.
    swapped: int64 ``[D]``, the painted leaf that each one is after left and right are swapped.
    """

    tree: LabelTree
    leaves: int
    background: int
    leaf_of: npt.NDArray[np.int64]
    swapped: npt.NDArray[np.int64]

    @property
    def structures(self) -> frozenset[int]:
        """The painted leaves that are learned as anything but background."""
        return frozenset(int(n) for n in np.flatnonzero(self.leaf_of != self.background))

    @staticmethod
    def of(painted: LabelTree, learned: LabelTree) -> Learned:
        """Match by ids: a painted leaf is learned as the nearest node on its path that is a learned leaf.

        What has none is background.

        Raises
        ------
        InputError: the learned tree has no background, or nothing paints one of its leaves.
        """
        if learned.background is None:
            raise InputError("the learned tree needs a background leaf", field="synthetic.learn")
        background = learned.leaf_index(learned.background.id)
        leaves = {leaf.id: index for index, leaf in enumerate(learned.leaves)}
        found = []
        for leaf in painted.leaves:
            on_path = [leaves[node.id] for node in reversed(painted.path(leaf.id)) if node.id in leaves]
            found.append(on_path[0] if on_path else background)
        missing = sorted(set(range(len(leaves))) - set(found) - {background})
        if missing:
            raise InputError(
                f"no class of the tree {painted.name!r} is learned as {learned.leaves[missing[0]].id!r}",
                field="synthetic.learn",
                hint="give the nodes of both trees the same ids",
            )
        swapped = np.asarray(painted.mirror_permutation(), np.int64)
        return Learned(painted, len(leaves), background, np.asarray(found, np.int64), swapped)
