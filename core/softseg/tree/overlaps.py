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
"""What :meth:`Overlaps.add` leaves where segments contradict each other, if none shall win."""

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
        self._counts: Counter[int] = Counter()

    def add(self, labels: npt.NDArray[np.integer[Any]], added: npt.NDArray[np.integer[Any]]) -> None:
        """Lay a layer over what is there, in place.

        Parameters
        ----------
        labels: class indices so far, ``IGNORE_INDEX`` where nothing is; changed in place.
        added: class indices of the new layer, same shape, ``IGNORE_INDEX`` where it has nothing.
        """
        width = len(self._tree) + 2
        joined, contradict = self._joined, self._contradict
        # slice by slice: the intermediate arrays stay in the processor's cache
        for part, more in zip(labels, added, strict=True) if labels.ndim > 1 else ((labels, added),):
            pair = (part.astype(np.int32) - CONTRADICTION) * width + (more.astype(np.int32) - CONTRADICTION)
            clash = contradict.take(pair)
            if clash.any():
                self._counts.update(dict(zip(*_counted(pair[clash]), strict=True)))
            part[...] = joined.take(pair)

    @property
    def contradictions(self) -> tuple[Contradiction, ...]:
        """Pairs of nodes that contradict each other, most voxels first."""
        classes, width = self._tree.class_nodes, len(self._tree) + 2
        found = []
        for pair, count in sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0])):
            one, other = (place + CONTRADICTION for place in divmod(pair, width))
            found.append(Contradiction(classes[one].name, classes[other].name, count))
        return tuple(found)

    @property
    def voxels(self) -> int:
        """How many voxels are claimed by two nodes at least; one that several layers contradict counts for each."""
        return sum(self._counts.values())

    def note(self) -> str:
        """Return one line that names the contradictions; empty where there is none."""
        found = [str(one) for one in self.contradictions]
        if not found:
            return ""
        more = f" and {len(found) - _MOST_NAMED} more pairs" if len(found) > _MOST_NAMED else ""
        return f"segments contradict each other: {', '.join(found[:_MOST_NAMED])}{more}"

    @cached_property
    def _contradict(self) -> npt.NDArray[np.bool_]:
        """Whether two classes contradict each other, by ``(first + 2) * (V + 2) + second + 2``."""
        count = len(self._tree)
        table = np.zeros((count + 2, count + 2), np.bool_)
        table[2:, 2:] = ~(self._above | self._above.T)
        return table.ravel()

    @cached_property
    def _joined(self) -> npt.NDArray[np.int16]:
        """The class of a voxel by what it had and what is added, in the same order."""
        count = len(self._tree)
        before, new = np.arange(count)[:, None], np.arange(count)[None, :]
        if self._order is None:
            kept: npt.NDArray[np.intp] | int = CONTRADICTION
        else:
            ranks = self._ranks(self._order)
            kept = np.where(ranks[:, None] <= ranks[None, :], before, new)
        table = np.full((count + 2, count + 2), CONTRADICTION, np.int16)
        table[2:, 2:] = np.where(self._above, new, np.where(self._above.T, before, kept))
        table[1, 1:] = np.arange(IGNORE_INDEX, count)
        table[2:, 1] = np.arange(count)
        return table.ravel()

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


def _counted(values: npt.NDArray[np.int32]) -> tuple[list[int], list[int]]:
    """Return the different values and how often each occurs."""
    found, counts = np.unique(values, return_counts=True)
    return found.tolist(), counts.tolist()
