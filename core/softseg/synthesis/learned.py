"""What is painted and what is learned: from the leaves of the dataset's tree to the nodes of the learned one."""

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
    row_of: int64 ``[D]``, what each painted leaf is learned as: a learned leaf, or ``leaves`` plus a place in
        ``groups``.
    swapped: int64 ``[D]``, the painted leaf that each one is after left and right are swapped.
    groups: class indices of the learned tree's inner nodes that painted leaves are learned as.
    """

    tree: LabelTree
    leaves: int
    background: int
    row_of: npt.NDArray[np.int64]
    swapped: npt.NDArray[np.int64]
    groups: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Number of learned leaves and groups."""
        return self.leaves + len(self.groups)

    @property
    def structures(self) -> frozenset[int]:
        """The painted leaves that are learned as anything but background."""
        return frozenset(int(n) for n in np.flatnonzero(self.row_of != self.background))

    @staticmethod
    def of(painted: LabelTree, learned: LabelTree, coarse: bool = False) -> Learned:
        """Match by ids: a painted leaf is learned as the nearest node on its path that is a learned leaf.

        What has none is background. With ``coarse``, it is first learned as the nearest node on its path that is an
        inner node of the learned tree other than its root: all that is known of it is that group.

        Raises
        ------
        InputError: the learned tree has no background, or nothing paints one of its leaves.
        """
        if learned.background is None:
            raise InputError("the learned tree needs a background leaf", field="synthetic.learn")
        background = learned.leaf_index(learned.background.id)
        leaves = len(learned.leaves)
        inner = {node.id for node in learned.inner_nodes[1:]} if coarse else set()
        taught = {leaf.id for leaf in learned.leaves} | inner
        nearest = [
            next((node.id for node in reversed(painted.path(leaf.id)) if node.id in taught), learned.background.id)
            for leaf in painted.leaves
        ]
        classes = [learned.class_index(id_) for id_ in nearest]
        missing = sorted(set(range(leaves)) - set(classes) - {background})
        if missing:
            raise InputError(
                f"no class of the tree {painted.name!r} is learned as {learned.leaves[missing[0]].id!r}",
                field="synthetic.learn",
                hint="give the nodes of both trees the same ids",
            )
        groups = tuple(sorted({index for index in classes if index >= leaves}))
        rows = [index if index < leaves else leaves + groups.index(index) for index in classes]
        swapped = np.asarray(painted.mirror_permutation(), np.int64)
        return Learned(painted, leaves, background, np.asarray(rows, np.int64), swapped, groups)
