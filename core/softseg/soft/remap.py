"""A stored distribution whose leaves change: on a tree that was edited afterwards, or where a node is masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node
from softseg.types import BoolArray


def remap(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> SoftParcellation:
    """Return the parcellation on ``tree``; see :meth:`SoftParcellation.with_tree`."""
    target = _targets(parcellation, tree, merged)
    return _regrouped(parcellation, tree, target[parcellation.leaves])


def mask_node(parcellation: SoftParcellation, node_id: str, keep: BoolArray) -> SoftParcellation:
    """Return the parcellation with a node's shares outside ``keep`` gone; see :meth:`SoftParcellation.masked`."""
    if keep.shape != parcellation.geometry.shape:
        raise ValueError(f"expected a mask of shape {parcellation.geometry.shape}, got {keep.shape}")
    span = parcellation.tree.leaf_slice(node_id)
    background = parcellation.background
    if background is not None and span.start <= background < span.stop:
        raise InputError("expected a node without the background", field=f"node '{node_id}'")
    leaves = parcellation.leaves.astype(np.int64)
    kept = np.repeat(keep[parcellation.box].reshape(-1), parcellation.counts.reshape(-1))
    leaves[(leaves >= span.start) & (leaves < span.stop) & ~kept] = -1 if background is None else background
    return _regrouped(parcellation, parcellation.tree, leaves)


def _regrouped(parcellation: SoftParcellation, tree: LabelTree, leaves: npt.NDArray[np.int64]) -> SoftParcellation:
    """Return the parcellation with other leaves for its shares, summed where they became equal; -1 drops a share."""
    count = len(tree.leaves)
    voxel = np.repeat(np.arange(parcellation.counts.size), parcellation.counts.reshape(-1))
    key, shares = (voxel * count + leaves)[leaves >= 0], parcellation.shares[leaves >= 0]
    if (np.diff(key) < 0).any():
        order = np.argsort(key, kind="stable")
        key, shares = key[order], shares[order]
    starts = np.flatnonzero(np.diff(key, prepend=-1) != 0)
    sums = np.add.reduceat(shares, starts, dtype=np.int32) if starts.size else starts
    counts = np.bincount(key[starts] // count, minlength=parcellation.counts.size)
    return replace(
        parcellation,
        tree=tree,
        counts=counts.astype(np.uint8).reshape(parcellation.counts.shape),
        leaves=(key[starts] % count).astype(np.uint8 if count <= 256 else np.uint16),
        shares=sums.astype(np.uint8),
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
