"""The leaves that the corrections of a voxel leave possible."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Indices, find
from softseg.tree import LabelTree
from softseg.types import BoolArray


@dataclass(frozen=True, eq=False)
class Constraints:
    """Which leaves each corrected voxel may be.

    Attributes
    ----------
    voxels: flat indices of the corrected voxels, increasing.
    numbers: int64, for each of them a position in ``sets``.
    sets: bool ``(C,)`` each: which leaves are possible.
    """

    voxels: Indices
    numbers: Indices
    sets: tuple[BoolArray, ...] = ()

    @staticmethod
    def none() -> Constraints:
        """Return no constraints."""
        return Constraints(np.zeros(0, np.int64), np.zeros(0, np.int64))

    @staticmethod
    def of(corrections: Iterable[Correction], tree: LabelTree) -> Constraints:
        """Return the constraints of corrections, the oldest first."""
        constraints = Constraints.none()
        for correction in corrections:
            allowed = allowed_leaves(correction.node_id, correction.is_node, tree)
            constraints = constraints.with_allowed(correction.runs.voxels(), allowed)
        return constraints

    def with_allowed(self, voxels: Indices, allowed: BoolArray) -> Constraints:
        """Return the constraints after voxels (increasing) were restricted to the leaves ``allowed``.

        Earlier constraints still hold; where old and new exclude each other, the new one wins.
        """
        here, at = find(self.voxels, voxels)
        before = np.full(voxels.size, -1, np.int64)
        before[here] = self.numbers[at]
        number = {leaves.tobytes(): position for position, leaves in enumerate(self.sets)}
        sets = list(self.sets)
        now = np.empty(voxels.size, np.int64)
        for old in np.flatnonzero(np.bincount(before + 1)) - 1:
            both = allowed & sets[old] if old >= 0 else allowed
            left = both if both.any() else allowed
            if left.tobytes() not in number:
                number[left.tobytes()] = len(sets)
                sets.append(left)
            now[before == old] = number[left.tobytes()]
        every = np.concatenate([self.voxels, voxels])
        order = np.argsort(every, kind="stable")
        last = np.append(np.diff(every[order]) > 0, np.ones(min(1, order.size), bool))
        chosen = order[last]
        return Constraints(every[chosen], np.concatenate([self.numbers, now])[chosen], tuple(sets))

    def at(self, voxels: Indices) -> Indices:
        """Return the positions in ``sets`` of corrected voxels (increasing)."""
        return self.numbers[np.searchsorted(self.voxels, voxels)]


def allowed_leaves(node_id: str, is_node: bool, tree: LabelTree) -> BoolArray:
    """Return which leaves a correction by itself leaves possible: bool ``(C,)``.

    Raises
    ------
    InputError: the tree has no such node, or "is not" would exclude all leaves.
    """
    out = np.full(len(tree.leaves), not is_node)
    out[tree.leaf_slice(node_id)] = is_node
    if not out.any():
        raise InputError("nothing is left beside this node, it holds every leaf", field=f"node '{node_id}'")
    return out


def smallest_node(tree: LabelTree, first: int, last: int) -> str:
    """Return the deepest node that holds the leaves ``first`` to ``last``."""
    path = tree.path(tree.leaves[first].id)
    return next(node.id for node in reversed(path) if last < tree.leaf_slice(node.id).stop)


def correction_map(constraints: Constraints, tree: LabelTree, shape: tuple[int, int, int]) -> npt.NDArray[np.uint16]:
    """Return the deepest node that holds what is possible; see :meth:`SoftParcellation.correction_map`."""
    values = tree.node_values()
    table = [
        values[smallest_node(tree, int(leaves.argmax()), leaves.size - 1 - int(leaves[::-1].argmax()))]
        for leaves in constraints.sets
    ]
    out = np.zeros(int(np.prod(shape)), np.uint16)
    out[constraints.voxels] = np.array(table, np.uint16)[constraints.numbers]
    return out.reshape(shape)
