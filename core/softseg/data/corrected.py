"""Corrected results as labels: corrections count as truth, the rest as the model's prediction.

A voxel's probabilities sum to its weight: 1 where it was corrected, the case's ``opinion_weight`` elsewhere.
Wherever voxels are mixed (another grid, a rotated patch) their weights are mixed with them.

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
"""A voxel whose weight is at least this was corrected completely."""

MIXED = -2
"""Beside class indices: corrected, but not to one node; the result's own distribution tells what is left."""

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
    """Read a corrected result as labels; the probabilities of a voxel sum to its weight.

    Parameters
    ----------
    path: the result (.soft.npz).
    tree: of the dataset.
    geometry: grid of the images.
    take: what part of the grid, turned how, is wanted: from an image to an array ``(k, j, i)``.
    warn: called for a result without corrections.
    opinion_weight: of uncorrected voxels, 0..0.9; 0: they are unlabelled.
    groups: whether voxels corrected to an inner node get its class index, else probabilities of its leaves.

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

    nodes = turned(corrected_nodes(result))
    indices, probabilities = (np.stack([turned(slot) for slot in slots]) for slots in largest_leaves(result))
    weight = np.where(nodes == IGNORE_INDEX, np.float32(opinion_weight), np.float32(1))
    total = probabilities.sum(axis=0)
    probabilities *= np.divide(weight, total, out=np.zeros_like(total), where=total > 0)
    known = (nodes >= 0) & (groups | (nodes < len(tree.leaves)))
    indices[0][known] = nodes[known]
    probabilities[0][known] = 1
    probabilities[1:, known] = 0
    return SoftLabels(indices, probabilities, len(tree.class_nodes))


def only_corrected(labels: SoftLabels) -> SoftLabels:
    """Return the labels of a corrected result without what is, in part at least, the model's prediction."""
    return SoftLabels(labels.indices, labels.probabilities * (labels.total() >= FULL), labels.classes)


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


def corrected_nodes(result: SoftParcellation) -> npt.NDArray[np.int16]:
    """Return the node that each voxel was corrected to: int16 ``(k, j, i)``.

    Its class index, :data:`MIXED` where the possible leaves are no single node, ``IGNORE_INDEX`` where nothing was
    corrected (also after "it is the root").
    """
    out = np.full(math.prod(result.geometry.shape), IGNORE_INDEX, np.int16)
    if result.layer is not None:
        corrected = result.layer.constraints
        indices = [_class_index(leaves, result.tree) for leaves in corrected.sets]
        out[corrected.voxels] = np.array(indices, np.int16)[corrected.numbers]
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
    """Return each voxel's most probable leaves, at most ``kept``, and their probabilities: ``(K, k, j, i)`` each."""
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
    probabilities = np.zeros((slots, *result.geometry.shape), np.float32)
    if result.background is not None:
        indices[0], probabilities[0] = result.background, 1
    k, j, i = result.box
    indices[:, k, j, i] = boxes[0].reshape(slots, *result.counts.shape)
    probabilities[:, k, j, i] = boxes[1].reshape(slots, *result.counts.shape)
    return indices, probabilities
