"""A stored distribution on a tree that was edited afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node


def remap(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> SoftParcellation:
    """Return the parcellation on ``tree``; see :meth:`SoftParcellation.with_tree`."""
    target = _targets(parcellation, tree, merged)
    kind = np.uint8 if len(tree.leaves) <= 256 else np.uint16
    leaves = target[parcellation.leaves]
    voxel = np.repeat(np.arange(parcellation.counts.size), parcellation.counts.reshape(-1))
    count = len(tree.leaves)
    order = np.argsort(voxel * count + leaves, kind="stable")
    key = (voxel * count + leaves)[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1) != 0)
    shares = np.add.reduceat(parcellation.shares[order].astype(np.int64), starts) if starts.size else starts
    counts = np.bincount(key[starts] // count, minlength=parcellation.counts.size)
    return SoftParcellation(
        tree,
        parcellation.geometry,
        parcellation.start,
        counts.astype(np.uint8).reshape(parcellation.counts.shape),
        (key[starts] % count).astype(kind),
        shares.astype(np.uint8),
        model=parcellation.model,
        software=parcellation.software,
        k=parcellation.k,
    )


def _targets(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> npt.NDArray[np.int64]:
    """Return the new leaf index of each old leaf; -1 for leaves that no voxel stores and that have no place."""
    old = parcellation.tree
    _same_background(old, tree)
    index = {leaf.value: position for position, leaf in enumerate(tree.leaves)}
    stored = np.bincount(parcellation.leaves, minlength=len(old.leaves)) > 0
    target = np.full(len(old.leaves), -1, np.int64)
    for position, leaf in enumerate(old.leaves):
        value = merged.get(int(leaf.value or 0), leaf.value)
        found = index.get(value)
        if found is None:
            found = _folded(old, tree, leaf)
        if found is None and stored[position]:
            raise InputError(_why(tree, leaf), field=f"leaf '{leaf.id}'", hint="undo that edit, or predict again")
        target[position] = -1 if found is None else found
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
        return f"label value {leaf.value} was split, and a stored share cannot be"
    return f"label value {leaf.value} is no longer a leaf of the tree, and it is not said what it was merged into"
