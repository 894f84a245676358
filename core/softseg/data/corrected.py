"""Corrected results as labels: what people said counts as truth, the rest as the model's opinion.

A voxel's shares sum to its weight: 1 where somebody corrected it, the case's ``opinion_weight`` elsewhere. Wherever
voxels are mixed (another grid, a rotated patch) their weights are mixed with them.

- "is N": the class index of the node N, a leaf or not: the truth at its depth. What is below N is not known. For losses
  that know leaves alone a group is the distribution that the result holds, all of it within N.
- "is not N": the losses have no class index for it. The target is the distribution that the result holds: the model's
  own, given that it is not N. For cross-entropy its gradient is at first that of ``-ln(1 - P_N)``.
- Several corrections of one voxel: what they leave together, if that is one node; else the result's distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.preprocess import describe_grid, same_voxels
from softseg.errors import InputError
from softseg.image import Geometry, Image
from softseg.soft.labels import SoftLabels
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree
from softseg.types import IGNORE_INDEX, BoolArray

KEPT = 8
"""Leaves of a voxel that an opinion names, the largest; they are scaled to the weight of the voxel (our default)."""

FULL = 0.99
"""A voxel whose weight is at least this was corrected through and through: people, not the model, said all of it."""

MIXED = -2
"""Beside class indices: corrected, but not to one node; the result's own distribution says what was left."""

Take = Callable[[Image], npt.NDArray[Any]]


def corrected_labels(
    path: Path,
    tree: LabelTree,
    geometry: Geometry,
    take: Take,
    warn: Callable[[str], None],
    opinion_weight: float,
    groups: bool = True,
) -> SoftLabels:
    """Read a corrected result as labels; the shares of a voxel sum to its weight.

    Parameters
    ----------
    path: the result (.soft.npz).
    tree: of the dataset.
    geometry: grid of the images.
    take: what part of the grid, turned how, is wanted: from an image to an array ``(k, j, i)``.
    warn: told of a result that nobody corrected.
    opinion_weight: of voxels that nobody corrected, 0..0.9; 0: they are unlabelled.
    groups: whether voxels that were said to be an inner node get its class index, else shares of its leaves.

    Raises
    ------
    InputError: the file is missing or damaged, is of another tree, or lies on another grid.
    """
    result = SoftParcellation.load(path)
    require_tree(result.tree, tree, path)
    if not same_voxels(result.geometry, geometry):
        raise InputError(
            f"lies on another grid than the images: {describe_grid(result.geometry)} against {describe_grid(geometry)}",
            file=path,
            field="labels",
            hint="give the scan that it was predicted from",
        )
    if not result.corrections:
        warn(f"{path}: holds no correction, only the model's own opinion")

    def turned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return take(Image(array, geometry))

    said = turned(said_nodes(result))
    indices, shares = (np.stack([turned(slot) for slot in slots]) for slots in largest_leaves(result))
    weight = np.where(said == IGNORE_INDEX, np.float32(opinion_weight), np.float32(1))
    total = shares.sum(axis=0)
    shares *= np.divide(weight, total, out=np.zeros_like(total), where=total > 0)
    known = (said >= 0) & (groups | (said < len(tree.leaves)))
    indices[0][known] = said[known]
    shares[0][known] = 1
    shares[1:, known] = 0
    return SoftLabels(indices, shares, len(tree.class_nodes))


def only_corrected(labels: SoftLabels) -> SoftLabels:
    """Return the labels of a corrected result without what is, in part at least, the model's opinion."""
    return SoftLabels(labels.indices, labels.shares * (labels.total() >= FULL), labels.classes)


def require_tree(own: LabelTree, tree: LabelTree, path: Path) -> None:
    """Raise :class:`InputError` unless a result has the leaves and groups of a tree; names and colours may differ."""
    leaves, wanted = ([(leaf.id, leaf.value) for leaf in each.leaves] for each in (own, tree))
    hint = "results teach a model of their own tree: predict again with it, or give the tree of the results"
    if leaves != wanted:
        differing = [name for name, _ in dict.fromkeys([*leaves, *wanted]) if ((name in own) != (name in tree))]
        which = f"only one of them has {', '.join(map(repr, differing[:3]))}" if differing else "values or order differ"
        raise InputError(
            f"its label tree {own.name!r} is not {tree.name!r}: {which}", file=path, field="labels", hint=hint
        )
    for node in own.inner_nodes:
        if node.id not in tree or tree.leaf_slice(node.id) != own.leaf_slice(node.id):
            raise InputError(
                f"its group {node.id!r} is not that of the label tree {tree.name!r}",
                file=path,
                field="labels",
                hint=hint,
            )


def said_nodes(result: SoftParcellation) -> npt.NDArray[np.int16]:
    """Return what people said of each voxel: int16 ``(k, j, i)``.

    The class index of the node that it is, :data:`MIXED` where what was said is no single node, ``IGNORE_INDEX`` where
    nothing was said (also "it is the root").
    """
    out = np.full(math.prod(result.geometry.shape), IGNORE_INDEX, np.int16)
    if result.layer is not None:
        said = result.layer.said
        out[said.voxels] = np.array([_class_index(leaves, result.tree) for leaves in said.sets], np.int16)[said.numbers]
    return out.reshape(result.geometry.shape)


def _class_index(leaves: BoolArray, tree: LabelTree) -> int:
    """Return the class index of the deepest node whose leaves these are, ``bool (C,)``."""
    places = np.flatnonzero(leaves)
    own = slice(int(places[0]), int(places[-1]) + 1)
    if leaves.all():
        return IGNORE_INDEX
    whole = own.stop - own.start == places.size
    alike = [tree.class_index(node.id) for node in tree.class_nodes if whole and tree.leaf_slice(node.id) == own]
    return min(alike, default=MIXED)


def largest_leaves(
    result: SoftParcellation, kept: int = KEPT
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.float32]]:
    """Return the largest leaves of every voxel and their shares: ``(K, k, j, i)`` each, of at most ``kept`` leaves."""
    counts = result.counts.reshape(-1).astype(np.int64)
    owner = np.repeat(np.arange(counts.size), counts)
    order = np.lexsort((-result.shares.astype(np.int16), owner))
    rank = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    stays = rank < kept
    slots = max(1, min(kept, int(counts.max(initial=0))))
    boxes = np.zeros((slots, counts.size), np.uint16), np.zeros((slots, counts.size), np.float32)
    boxes[0][rank[stays], owner[stays]] = result.leaves[order][stays]
    boxes[1][rank[stays], owner[stays]] = result.shares[order][stays] / np.float32(255)
    indices = np.zeros((slots, *result.geometry.shape), np.uint16)
    shares = np.zeros((slots, *result.geometry.shape), np.float32)
    if result.background is not None:
        indices[0], shares[0] = result.background, 1
    k, j, i = result.box
    indices[:, k, j, i] = boxes[0].reshape(slots, *result.counts.shape)
    shares[:, k, j, i] = boxes[1].reshape(slots, *result.counts.shape)
    return indices, shares
