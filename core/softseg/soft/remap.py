"""A stored distribution whose leaves change: on a tree that was edited afterwards, or where a node is masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.chunks import Chunk, Leaves, chunks
from softseg.soft.correcting.apply import with_corrections
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.follow import agree, on_tree
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node
from softseg.types import BoolArray

Changed = npt.NDArray[np.int32]


def remap(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> SoftParcellation:
    """Return the parcellation on ``tree``; see :meth:`SoftParcellation.with_tree`."""
    target = _targets(parcellation.predicted, tree, merged)
    corrections = on_tree(parcellation.corrections, parcellation.tree, tree, target)
    if len(target) == len(tree.leaves) and bool((target == np.arange(len(target))).all()):
        if agree(parcellation.corrections, corrections, parcellation.tree, tree):
            return _renamed(parcellation, tree, corrections)
        return with_corrections(replace(parcellation.predicted, tree=tree), corrections)
    return with_corrections(_regrouped(parcellation.predicted, tree, lambda _, leaves: target[leaves]), corrections)


def corrected_as(
    own: SoftParcellation, corrections: Sequence[Correction], known: SoftParcellation
) -> SoftParcellation | None:
    """Return a parcellation under corrections that the same distribution has already on another tree; quick.

    Parameters
    ----------
    own: without corrections.
    corrections: on its tree, the oldest first.
    known: has corrections.

    Returns
    -------
    None where ``known`` does not hold the same arrays, or its corrections are others or leave other leaves possible.
    """
    layer = known.layer
    if layer is None or own.layer is not None:
        return None
    below = layer.own.counts, layer.own.leaves, layer.own.probabilities, layer.own.start
    arrays = own.counts, own.leaves, own.shares, own.start
    if any(one is not other for one, other in zip(below, arrays, strict=True)):
        return None
    if [each.id for each in corrections] != [each.id for each in layer.corrections]:
        return None
    if len(own.tree.leaves) != len(known.tree.leaves):
        return None
    if own.background != known.background or not agree(layer.corrections, corrections, known.tree, own.tree):
        return None
    pairs = zip(layer.corrections, corrections, strict=True)
    renamed = [replace(was, node_id=now.node_id) for was, now in pairs]
    return _renamed(replace(known, geometry=own.geometry, outliers=own.outliers), own.tree, renamed)


def _renamed(parcellation: SoftParcellation, tree: LabelTree, corrections: Sequence[Correction]) -> SoftParcellation:
    """Return the parcellation on a tree with other names, colours or groups: what is stored does not change."""
    layer = parcellation.layer
    same = replace(
        parcellation, tree=tree, layer=None if layer is None else replace(layer, corrections=tuple(corrections))
    )
    return same.with_stored_box(parcellation.stored_box)


def mask_node(parcellation: SoftParcellation, node_id: str, keep: BoolArray) -> SoftParcellation:
    """Return the parcellation without a node's probabilities outside ``keep``; see :meth:`SoftParcellation.masked`."""
    if keep.shape != parcellation.geometry.shape:
        raise ValueError(f"expected a mask of shape {parcellation.geometry.shape}, got {keep.shape}")
    span = parcellation.tree.leaf_slice(node_id)
    background = parcellation.background
    if background is not None and span.start <= background < span.stop:
        raise InputError("expected a node without the background", field=f"node '{node_id}'")
    nowhere = -1 if background is None else background
    corrections, parcellation = parcellation.corrections, parcellation.predicted
    kept = keep[parcellation.box].reshape(-1)

    def masked(chunk: Chunk, leaves: Leaves) -> Changed:
        inside = np.repeat(kept[chunk.voxels], chunk.counts)
        out = leaves.astype(np.int32)
        out[(out >= span.start) & (out < span.stop) & ~inside] = nowhere
        return out

    return with_corrections(_regrouped(parcellation, parcellation.tree, masked), corrections)


def _regrouped(
    parcellation: SoftParcellation, tree: LabelTree, change: Callable[[Chunk, Leaves], Changed]
) -> SoftParcellation:
    """Return the parcellation with its leaves renamed; those that become equal are summed, -1 drops a leaf."""
    number = len(tree.leaves)
    kind = np.uint8 if number <= 256 else np.uint16
    counts = np.zeros(parcellation.counts.size, np.uint8)
    leaves: list[Leaves] = [np.zeros(0, kind)]
    probabilities = [np.zeros(0, np.uint8)]
    for chunk in chunks(parcellation.counts):
        row = _Rows.of(
            chunk.counts, change(chunk, parcellation.leaves[chunk.entries]), parcellation.shares[chunk.entries]
        )
        row = row.sorted().summed()
        counts[chunk.voxels] = row.counts
        leaves.append(row.leaves.astype(kind))
        probabilities.append(row.probabilities)
    return replace(
        parcellation,
        tree=tree,
        counts=counts.reshape(parcellation.counts.shape),
        leaves=np.concatenate(leaves).astype(kind, copy=False),
        shares=np.concatenate(probabilities),
    )


@dataclass(frozen=True, eq=False)
class _Rows:
    """Stored leaves of some voxels, voxel after voxel, whose leaves may be out of order and repeat."""

    counts: npt.NDArray[np.uint8]
    leaves: Changed
    probabilities: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, counts: npt.NDArray[np.uint8], leaves: Changed, probabilities: npt.NDArray[np.uint8]) -> _Rows:
        """Return them without the dropped ones."""
        stays = leaves >= 0
        if not stays.all():
            voxel = np.repeat(np.arange(counts.size), counts)[stays]
            counts = np.bincount(voxel, minlength=counts.size).astype(np.uint8)
            leaves, probabilities = leaves[stays], probabilities[stays]
        return cls(counts, leaves, probabilities)

    @cached_property
    def _goes_on(self) -> BoolArray:
        """Whether the second of each two entries in a row belongs to the same voxel as the first."""
        begins = np.zeros(self.leaves.size + 1, bool)
        begins[np.cumsum(self.counts, dtype=np.intp) - self.counts] = True
        return ~begins[1:-1]

    def sorted(self) -> _Rows:
        """Return them in increasing order within a voxel; only voxels that need it are touched."""
        falls = np.flatnonzero((self.leaves[1:] < self.leaves[:-1]) & self._goes_on)
        if not falls.size:
            return self
        stop = np.cumsum(self.counts, dtype=np.intp)
        voxels = np.unique(np.searchsorted(stop, falls, side="right"))
        number = self.counts[voxels]
        owner = np.repeat(np.arange(voxels.size), number)
        within = np.arange(owner.size) - np.repeat(np.cumsum(number, dtype=np.intp) - number, number)
        entries = (stop[voxels] - number)[owner] + within
        order = entries[np.lexsort((self.leaves[entries], owner))]
        leaves, probabilities = self.leaves.copy(), self.probabilities.copy()
        leaves[entries], probabilities[entries] = self.leaves[order], self.probabilities[order]
        return _Rows(self.counts, leaves, probabilities)

    def summed(self) -> _Rows:
        """Return them with equal leaves of a voxel, which are neighbours by now, made one."""
        repeats = (self.leaves[1:] == self.leaves[:-1]) & self._goes_on
        if not repeats.any():
            return self
        starts = np.flatnonzero(np.concatenate([[True], ~repeats]))
        stop = np.cumsum(self.counts, dtype=np.intp)
        fewer = np.bincount(np.searchsorted(stop, np.flatnonzero(repeats), side="right"), minlength=self.counts.size)
        return _Rows(
            (self.counts - fewer).astype(np.uint8),
            self.leaves[starts],
            np.add.reduceat(self.probabilities, starts, dtype=np.uint8),
        )


def _targets(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> Changed:
    """Return the new leaf index of each old leaf; -1 for leaves that no voxel stores and that have no place."""
    old = parcellation.tree
    _same_background(old, tree)
    index = {leaf.value: position for position, leaf in enumerate(tree.leaves)}
    target = np.full(len(old.leaves), -1, np.int32)
    for position, leaf in enumerate(old.leaves):
        found = index.get(merged.get(int(leaf.value or 0), leaf.value))
        found = _folded(old, tree, leaf) if found is None else found
        target[position] = -1 if found is None else found
    if (target < 0).any():
        stored = np.bincount(parcellation.leaves, minlength=len(old.leaves)) > 0
        for position in np.flatnonzero(stored & (target < 0)).tolist():
            leaf = old.leaves[position]
            raise InputError(_why(tree, leaf), field=f"leaf '{leaf.id}'", hint="undo that edit, or predict again")
    return target


def _same_background(old: LabelTree, new: LabelTree) -> None:
    if (old.background is None) != (new.background is None):
        which = "has no" if new.background is None else "has a"
        raise InputError(
            f"the edited tree {which} background (a leaf with value 0), unlike the tree of the prediction",
            hint="undo that edit, or predict again",
        )


def _folded(old: LabelTree, new: LabelTree, leaf: Node) -> int | None:
    for ancestor in reversed(old.path(leaf.id)[:-1]):
        if ancestor.id in new:
            return new.leaf_index(ancestor.id) if new.is_leaf(ancestor.id) else None
    return None


def _why(tree: LabelTree, leaf: Node) -> str:
    if any(node.value == leaf.value for node in tree.inner_nodes) or (leaf.id in tree and not tree.is_leaf(leaf.id)):
        return f"label value {leaf.value} was split, and a stored probability cannot be"
    return f"label value {leaf.value} is no longer a leaf of the tree, and nothing tells what it was merged into"
