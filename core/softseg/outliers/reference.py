"""The labels of a case for an outlier score: which classes to estimate, and which voxels are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.data import Dataset, PreparedCase
from softseg.data.labels import class_count
from softseg.errors import InputError
from softseg.network import Model
from softseg.soft.labels import SoftLabels
from softseg.tree import LabelTree
from softseg.types import BoolArray

_NONE = -1


@dataclass(frozen=True, eq=False)
class Reference:
    """How class indices of a dataset's tree are seen.

    Attributes
    ----------
    dataset: with a tree that has a background where the model's has one, and none where it has none.
    held_out: bool ``[classes + 1]``, by class index (leaves, then inner nodes): whether it plays an outlier. The last
        entry, for unlabelled voxels, is False.
    background: class index of the background, -1 where there is none.
    """

    dataset: Dataset
    held_out: BoolArray
    background: int

    @staticmethod
    def of(model: Model, dataset: Dataset, held_out: Sequence[str] = ()) -> Reference:
        """Return how a model sees a dataset, of which some branches may play outliers.

        Raises
        ------
        InputError: there is no such branch, or a leaf that is not held out is unknown to the model.
        """
        missing = [name for name in model.plan.channels if name not in dataset.channels]
        if missing:
            raise InputError(
                f"the model needs the channel {missing[0]!r}",
                file=dataset.path,
                field="channels",
                hint="is it its data?",
            )
        dataset = dataset.with_tree(_same_background(model.tree, dataset.tree))
        tree = dataset.tree
        branches = {tree.find(name).id for name in held_out}
        outside = np.zeros(class_count(tree) + 1, bool)
        for node in tree.nodes:
            if branches.intersection(above.id for above in tree.path(node.id)):
                outside[tree.class_index(node.id)] = True
        known = {leaf.id for leaf in model.tree.leaves}
        for leaf in tree.leaves:
            if leaf.id not in known and not outside[tree.class_index(leaf.id)]:
                raise InputError(
                    f"the model knows no leaf {leaf.id!r}",
                    file=dataset.path,
                    field="tree",
                    hint="take the dataset that the model was trained on, or name the leaf in --held-out",
                )
        background = _NONE if tree.background is None else tree.class_index(tree.background.id)
        return Reference(dataset, outside, background)

    def classes(self, nodes: Sequence[str]) -> npt.NDArray[np.int64]:
        """Return ``[classes]``: for each class index the position in ``nodes`` of the node it belongs to, else -1.

        A leaf belongs to the node that is, or lies above, it; an inner node likewise; one above all of them to none.
        """
        tree = self.dataset.tree
        position = {name: number for number, name in enumerate(nodes)}
        out = np.full(class_count(tree), _NONE, np.int64)
        for node in tree.nodes:
            if not self.held_out[tree.class_index(node.id)]:
                path = [above.id for above in tree.path(node.id)]
                out[tree.class_index(node.id)] = next((position[name] for name in path if name in position), _NONE)
        return out

    def largest(self, case: PreparedCase) -> npt.NDArray[np.int64]:
        """Return the most probable class index of each voxel ``(k, j, i)``; -1 where it is unlabelled."""
        return largest_of(case.truth, case.least, case.mask)

    def known_and_held_out(self, largest: npt.NDArray[np.int64]) -> tuple[BoolArray, BoolArray]:
        """Return where a case is labelled with something known, and with something held out: bool ``(k, j, i)`` each.

        Background counts as neither: there is so much of it, and it is so easy, that it would decide alone (ours).

        Parameters
        ----------
        largest: as :func:`largest_of` returns it.
        """
        outside = self.held_out[largest]
        return (largest != _NONE) & (largest != self.background) & ~outside, outside

    def right(self, tree: LabelTree, found: npt.NDArray[np.integer], labelled: npt.NDArray[np.int64]) -> BoolArray:
        """Return whether a model names voxels rightly: its most probable leaf is, or lies below, the labelled node.

        Parameters
        ----------
        tree: the model's.
        found: ``(N,)`` index of its most probable leaf.
        labelled: ``(N,)`` class index of the label.
        """
        own = self.dataset.tree
        node = own.class_nodes
        spans = np.array([(s.start, s.stop) for s in (own.leaf_slice(n.id) for n in node)])
        leaf = np.array([own.leaf_index(leaf.id) for leaf in tree.leaves])[found]
        first, stop = spans[labelled].T
        return np.asarray((leaf >= first) & (leaf < stop))


def largest_of(labels: SoftLabels, least: float, mask: BoolArray | None) -> npt.NDArray[np.int64]:
    """Return the class index with the largest probability in each voxel ``(k, j, i)``; -1 where none counts.

    Parameters
    ----------
    labels: of a scan.
    least: the labelled fraction from which a voxel counts.
    mask: bool ``(k, j, i)``, where labels are valid; everywhere when None.
    """
    best = np.argmax(labels.probabilities, axis=0, keepdims=True)
    found = np.take_along_axis(labels.indices, best, axis=0)[0].astype(np.int64)
    labelled = labels.total() >= least
    if mask is not None:
        labelled &= mask
    return np.where(labelled, found, _NONE)


def _same_background(own: LabelTree, other: LabelTree) -> LabelTree:
    if own.background is None and other.background is not None:
        return other.remove(other.background.id)
    if own.background is not None and other.background is None:
        return other.with_background()
    return other
