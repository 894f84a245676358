"""As deep as it is sure: in each voxel the deepest node of the tree whose probability passes a confidence level.

Ours: no paper on tree losses or on training without background that we know of has it. "Left precentral gyrus" where
that is sure, else "precentral gyrus", else "frontal lobe", ..., and nothing where even the root has too little.

At a level of one half or more, the nodes that pass lie on one path from the root: two nodes that do not contain each
other would have more than the whole. That path goes through the leaf in which the running sum of the probabilities, in
tree order, reaches one half, since a run of neighbouring leaves with at least half of the whole cannot miss it. So one
running sum finds the path, and few sums along it the node.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.encoding import SCALE
from softseg.soft.node_sums import Group, NodeSums
from softseg.types import OUTLIER_VALUE, FloatArray

if TYPE_CHECKING:
    from softseg.soft.distribution import StoredDistribution
    from softseg.tree import LabelTree

Nodes = npt.NDArray[np.uint16]
_Value = TypeVar("_Value", np.uint8, np.uint16)

_HALF = SCALE // 2 + 1  # steps: two nodes that do not contain each other cannot both have as many

LEAST_PROBABILITY = 0.05
"""Where a node has less than this, the decision among its children is left out (our default)."""


def answers(parcellation: StoredDistribution, confidence: float) -> Nodes:
    """Return the deepest node that is sure: uint16, voxels of the flattened box, positions in ``tree.nodes``.

    Where not even the root passes the level it is ``len(tree.nodes)``.

    Parameters
    ----------
    parcellation: the stored distribution.
    confidence: probability that the labelled node must have, 0.5..1.

    Raises
    ------
    InputError: ``confidence`` is not in 0.5..1.
    """
    return _answers(parcellation.sums, parcellation.tree, steps_of(confidence))


def steps_of(confidence: float) -> int:
    """Return the least sum of stored probabilities, in steps of 1/255, that passes a confidence level.

    Raises
    ------
    InputError: ``confidence`` is not in 0.5..1.
    """
    if not 0.5 <= confidence <= 1:
        raise InputError(
            f"expected a confidence from 0.5 to 1, got {confidence:g}",
            hint="below one half several branches could be sure at once",
        )
    return max(_HALF, math.ceil(confidence * SCALE - 1e-6))


def confident_labels(parcellation: StoredDistribution, confidence: float, outliers: bool) -> npt.NDArray[np.uint16]:
    """Return the label map of mixed depth; see :meth:`SoftParcellation.confident_labels`."""
    values = list(parcellation.tree.node_values().values())
    unknown = 0 if parcellation.background is None else OUTLIER_VALUE
    if unknown in values:
        raise InputError(f"label value {unknown} stands for what is unknown", hint="give that node another value")
    table = np.array([*values, unknown], np.uint16)
    return _filled(parcellation, table, confidence, outliers)


def answer_depth(parcellation: StoredDistribution, confidence: float, outliers: bool) -> npt.NDArray[np.uint8]:
    """Return the depth of the labelled nodes; see :meth:`SoftParcellation.answer_depth`."""
    depths = np.append(parcellation.tree.depths, 0).astype(np.uint8)
    return _filled(parcellation, depths, confidence, outliers)


def branch_entropy(parcellation: StoredDistribution, node_id: str, normalize: bool) -> FloatArray:
    """Return the entropy of one decision, flattened box; see :meth:`SoftParcellation.branch_entropy`."""
    tree, sums = parcellation.tree, parcellation.sums
    children = tree.children(node_id)
    out = np.zeros(sums.certain.size, np.float32)
    if len(children) < 2:
        return out
    first = tree.leaf_slice(node_id).start
    position = np.concatenate(
        [np.full(len(tree.leaves_under(child.id)), number, np.int32) for number, child in enumerate(children)]
    )
    step = np.arange(1, SCALE + 1)
    weighted = np.concatenate([[0.0], step * np.log(step)]).astype(np.float32)  # s ln s
    least = math.ceil(LEAST_PROBABILITY * SCALE)
    for group in sums.groups:
        for part in group.parts():
            inside = _inside(part, first, len(position))
            total = inside.probabilities.sum(axis=0, dtype=np.uint8)
            enough = np.flatnonzero(total >= least)
            inside = Group(part.voxels[enough], inside.leaves[:, enough], inside.probabilities[:, enough])
            whole = total[enough].astype(np.float32)
            out[inside.voxels] = np.log(whole) - inside.surprises(position, weighted) / whole
    np.maximum(out, 0, out=out)
    if normalize:
        out /= np.float32(np.log(len(children)))
    np.minimum(out, np.float32(1 if normalize else np.log(len(children))), out=out)
    return out


def _inside(part: Group, first: int, number: int) -> Group:
    """Return a group with the leaves of a span alone, counted from its first; the others have no probability."""
    leaves = part.leaves.astype(np.int32) - np.int32(first)
    there = (leaves >= 0) & (leaves < number)
    return Group(part.voxels, np.clip(leaves, 0, number - 1).astype(np.uint16), part.probabilities * there)


def _filled(
    parcellation: StoredDistribution, table: npt.NDArray[_Value], confidence: float, outliers: bool
) -> npt.NDArray[_Value]:
    """Return ``table[node]`` for the whole grid ``(k, j, i)``; its last entry stands for no node."""
    found = table[answers(parcellation, confidence)].reshape(parcellation.counts.shape)
    outside = parcellation.background
    around = table[-1] if outside is None else table[parcellation.tree.position(parcellation.tree.leaves[outside].id)]
    out = np.full(parcellation.geometry.shape, around, table.dtype)
    out[parcellation.box] = found
    stored = parcellation.outliers if outliers else None
    if stored is not None:
        out[stored.mask()] = table[-1]
    return out


def _answers(sums: NodeSums, tree: LabelTree, least: int) -> Nodes:
    path = _paths(tree)
    nowhere = len(tree.nodes)
    out: Nodes = np.append(path[-1], np.uint16(nowhere))[sums.certain]
    spans = np.array([(span.start, span.stop) for span in (tree.leaf_slice(node.id) for node in tree.nodes)])
    starts, lasts = spans[:, 0].astype(np.uint16), (spans[:, 1] - 1).astype(np.uint16)
    for group in sums.groups:
        for part in group.parts():
            out[part.voxels] = _deepest(part, path, starts, lasts, least, nowhere)
    return out


def _paths(tree: LabelTree) -> Nodes:
    """Return ``[depth + 1, C]``: the ancestor of each leaf at each depth (itself below its own), as positions."""
    out = np.empty((tree.depth + 1, len(tree.leaves)), np.uint16)
    for position, (node, depth) in enumerate(zip(tree.nodes, tree.depths, strict=True)):
        out[depth:, tree.leaf_slice(node.id)] = position  # depth-first: what lies below comes later
    return out


def _deepest(part: Group, path: Nodes, starts: Nodes, lasts: Nodes, least: int, nowhere: int) -> Nodes:
    """Return the deepest node with at least ``least`` steps, voxel by voxel; ``nowhere`` where the root has fewer."""
    out = np.full(part.voxels.size, nowhere, np.uint16)
    middle = _middle(part)
    left = np.arange(part.voxels.size)
    leaves, probabilities = part.leaves, part.probabilities
    for nodes in path[::-1]:
        own = nodes[middle]
        first, last = starts[own].astype(leaves.dtype), lasts[own].astype(leaves.dtype)
        total = np.zeros(left.size, np.uint8)
        for leaf, probability in zip(leaves, probabilities, strict=True):
            total += probability * ((leaf >= first) & (leaf <= last))
        sure = total >= least
        out[left[sure]] = own[sure]
        stays = np.flatnonzero(~sure)
        if not stays.size:
            break
        left, middle, leaves, probabilities = left[stays], middle[stays], leaves[:, stays], probabilities[:, stays]
    return out


def _middle(part: Group) -> npt.NDArray[np.uint16]:
    """Return the leaf in which the running sum of a voxel's probabilities reaches one half, or its last leaf."""
    out: Nodes = part.leaves[-1].astype(np.uint16)
    run = np.zeros(part.voxels.size, np.uint8)
    open_ = np.ones(part.voxels.size, bool)
    for leaf, probability in zip(part.leaves, part.probabilities, strict=True):
        run += probability
        reached = open_ & (run >= _HALF)
        np.copyto(out, leaf, where=reached, casting="unsafe")
        open_ &= ~reached
    return out
