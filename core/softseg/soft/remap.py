"""A stored distribution whose leaves change: on a tree that was edited afterwards, or where a node is masked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.parcellation import SoftParcellation
from softseg.soft.pieces import Leaves, Piece, pieces
from softseg.tree import LabelTree, Node
from softseg.types import BoolArray


def remap(parcellation: SoftParcellation, tree: LabelTree, merged: Mapping[int, int]) -> SoftParcellation:
    """Return the parcellation on ``tree``; see :meth:`SoftParcellation.with_tree`."""
    target = _targets(parcellation, tree, merged)
    if len(target) == len(tree.leaves) and bool((target == np.arange(len(target))).all()):
        same = replace(parcellation, tree=tree)  # other names, colours or groups: what is stored does not change
        if "sums" in vars(parcellation):
            vars(same)["sums"] = parcellation.sums
        return same
    return _regrouped(parcellation, tree, lambda _, leaves: target[leaves])


def mask_node(parcellation: SoftParcellation, node_id: str, keep: BoolArray) -> SoftParcellation:
    """Return the parcellation with a node's shares outside ``keep`` gone; see :meth:`SoftParcellation.masked`."""
    if keep.shape != parcellation.geometry.shape:
        raise ValueError(f"expected a mask of shape {parcellation.geometry.shape}, got {keep.shape}")
    span = parcellation.tree.leaf_slice(node_id)
    background = parcellation.background
    if background is not None and span.start <= background < span.stop:
        raise InputError("expected a node without the background", field=f"node '{node_id}'")
    nowhere = -1 if background is None else background
    kept = keep[parcellation.box].reshape(-1)

    def masked(piece: Piece, leaves: Leaves) -> npt.NDArray[np.int64]:
        inside = np.repeat(kept[piece.voxels], piece.counts)
        out = leaves.astype(np.int64)
        out[(out >= span.start) & (out < span.stop) & ~inside] = nowhere
        return out

    return _regrouped(parcellation, parcellation.tree, masked)


def _regrouped(
    parcellation: SoftParcellation, tree: LabelTree, change: Callable[[Piece, Leaves], npt.NDArray[np.int64]]
) -> SoftParcellation:
    """Return the parcellation with other leaves for its shares, summed where they became equal; -1 drops a share."""
    number = len(tree.leaves)
    kind = np.uint8 if number <= 256 else np.uint16
    counts = np.zeros(parcellation.counts.size, np.uint8)
    leaves: list[npt.NDArray[np.uint8] | npt.NDArray[np.uint16]] = [np.zeros(0, kind)]
    shares = [np.zeros(0, np.uint8)]
    for piece in pieces(parcellation.counts):
        changed = change(piece, parcellation.leaves[piece.entries])
        voxel = np.repeat(np.arange(piece.counts.size), piece.counts)
        stays = changed >= 0
        key, share = (voxel * number + changed)[stays], parcellation.shares[piece.entries][stays]
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            key, share = key[order], share[order]
        starts = np.flatnonzero(np.diff(key, prepend=-1) != 0)
        if starts.size:
            counts[piece.voxels] = np.bincount(key[starts] // number, minlength=piece.counts.size)
            leaves.append((key[starts] % number).astype(kind))
            shares.append(np.add.reduceat(share, starts, dtype=np.int32).astype(np.uint8))
    return replace(
        parcellation,
        tree=tree,
        counts=counts.reshape(parcellation.counts.shape),
        leaves=np.concatenate(leaves).astype(np.uint8 if number <= 256 else np.uint16, copy=False),
        shares=np.concatenate(shares),
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
