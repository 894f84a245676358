"""Segments that lie over each other: which of them a voxel belongs to, and where they contradict each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.types import IGNORE_INDEX

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

CONTRADICTION = -2
"""What :meth:`Overlaps.add` leaves where segments contradict each other, if nobody shall win."""

_MOST_NAMED = 5


@dataclass(frozen=True)
class Contradiction:
    """Two nodes that claim the same voxels although neither is an ancestor of the other.

    Attributes
    ----------
    first, second: names of the nodes, in the order in which they were added.
    voxels: how many voxels both claim.
    """

    first: str
    second: str
    voxels: int

    def __str__(self) -> str:
        return f"'{self.first}' and '{self.second}' ({self.voxels} voxel{'' if self.voxels == 1 else 's'})"


class Overlaps:
    """Joins layers of labels into one: the deeper of two nodes of one branch wins; contradictions are counted.

    Parameters
    ----------
    tree: whose class indices the labels are.
    order: ids of nodes; of two that contradict each other the one that comes first here has the voxel. Without it they
        leave ``CONTRADICTION``.
    """

    def __init__(self, tree: LabelTree, order: Sequence[str] | None = None) -> None:
        self._tree, self._order = tree, None if order is None else tuple(order)
        self._counts: Counter[tuple[int, int]] = Counter()

    def add(self, labels: npt.NDArray[np.integer[Any]], added: npt.NDArray[np.integer[Any]]) -> None:
        """Lay a layer over what is there, in place.

        Parameters
        ----------
        labels: class indices so far, ``IGNORE_INDEX`` where nothing is; changed in place.
        added: class indices of the new layer, same shape, ``IGNORE_INDEX`` where it has nothing.
        """
        places = added != IGNORE_INDEX
        old, new = labels[places].astype(np.intp), added[places].astype(np.intp)
        labels[places] = self._joined[old, new]
        clash = self._contradict[old, new]
        if clash.any():
            size = len(self._tree)
            counts = np.bincount(old[clash] * size + new[clash], minlength=size * size)
            for pair in np.flatnonzero(counts):
                self._counts[divmod(int(pair), size)] += int(counts[pair])

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Pairs of nodes that contradict each other, most voxels first."""
        classes = self._tree.class_nodes
        return tuple(
            Contradiction(classes[one].name, classes[other].name, count)
            for (one, other), count in sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
        )

    @property
    def voxels(self) -> int:
        """How many voxels are claimed by two nodes at least; one that several layers contradict counts for each."""
        return sum(self._counts.values())

    def said(self) -> str:
        """Return one line that names the contradictions; empty where there is none."""
        found = [str(one) for one in self.contradictions]
        if not found:
            return ""
        more = f" and {len(found) - _MOST_NAMED} more pairs" if len(found) > _MOST_NAMED else ""
        return f"segments contradict each other: {', '.join(found[:_MOST_NAMED])}{more}"

    @cached_property
    def _contradict(self) -> npt.NDArray[np.bool_]:
        """``[V + 2, V + 2]``: whether two classes contradict each other; negative indices mean nothing and clash."""
        count = len(self._tree)
        table = np.zeros((count + 2, count + 2), np.bool_)
        table[:count, :count] = ~(self._above | self._above.T)
        return table

    @cached_property
    def _joined(self) -> npt.NDArray[np.int16]:
        """``[V + 2, V + 2]``: the class of a voxel by what it had and what is added."""
        count = len(self._tree)
        before, new = np.arange(count)[:, None], np.arange(count)[None, :]
        if self._order is None:
            kept: npt.NDArray[np.intp] | int = CONTRADICTION
        else:
            ranks = self._ranks(self._order)
            kept = np.where(ranks[:, None] <= ranks[None, :], before, new)
        table = np.full((count + 2, count + 2), CONTRADICTION, np.int16)
        inner = np.where(self._above, new, np.where(self._above.T, before, kept))
        table[:count, :count] = inner
        table[IGNORE_INDEX, :count] = np.arange(count)
        return table

    def _ranks(self, order: Sequence[str]) -> npt.NDArray[np.intp]:
        places = {id_: place for place, id_ in enumerate(order)}
        return np.array([places.get(node.id, len(places)) for node in self._tree.class_nodes])

    @cached_property
    def _above(self) -> npt.NDArray[np.bool_]:
        """``[V, V]``: whether the first class is the second or an ancestor of it."""
        classes = self._tree.class_nodes
        index = {node.id: number for number, node in enumerate(classes)}
        table = np.zeros((len(classes), len(classes)), np.bool_)
        for number, node in enumerate(classes):
            table[[index[above.id] for above in self._tree.path(node.id)], number] = True
        return table
