"""Corrections that follow a parcellation to an edited tree or another grid."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.corrections.constraints import allowed_leaves, smallest_node
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.runs import Runs
from softseg.tree import LabelTree

Targets = npt.NDArray[np.int32]


def on_tree(corrections: Iterable[Correction], old: LabelTree, new: LabelTree, target: Targets) -> list[Correction]:
    """Return the corrections in terms of an edited tree.

    A node that is still there is meant, whatever lies below it now. For one that is gone it is the deepest node that
    holds all its former leaves: the leaf that they were merged into, or the branch that they were taken up by.

    Parameters
    ----------
    corrections: on the old tree.
    old, new: the trees.
    target: new leaf index of each old leaf, -1 where it has no place.

    Raises
    ------
    InputError: a node was removed with no place for its leaves, or "is not" cannot be expressed on the new tree,
        because the node is part of a larger one now.
    """
    return [replace(one, node_id=_node(one, old, new, target)) for one in corrections]


def _node(correction: Correction, old: LabelTree, new: LabelTree, target: Targets) -> str:
    id_ = correction.node_id
    span = old.leaf_slice(id_)
    if id_ not in new or new.is_leaf(id_):
        places = target[span]
        if (places < 0).any():
            raise _lost(correction, "is no longer in the tree, and nothing tells what it was merged into")
        id_ = smallest_node(new, int(places.min()), int(places.max()))
        inside = new.leaf_slice(id_)
        others = np.delete(target, np.arange(span.start, span.stop))
        if not correction.is_node and bool(((others >= inside.start) & (others < inside.stop)).any()):
            raise _lost(correction, f"is part of '{id_}' now, and voxels that are not it may still be '{id_}'")
    try:
        allowed_leaves(id_, correction.is_node, new)
    except InputError as error:
        raise _lost(correction, "holds every leaf now, and nothing is left beside it") from error
    return id_


def _lost(correction: Correction, why: str) -> InputError:
    return InputError(
        f"this node {why}, but a correction refers to it",
        field=f"node '{correction.node_id}'",
        hint=f"undo that edit, or remove the correction {correction.id}",
    )


def agree(before: Sequence[Correction], after: Sequence[Correction], old: LabelTree, new: LabelTree) -> bool:
    """Whether corrections leave the same leaves possible on two trees whose leaves stand in the same order."""
    return all(
        bool((allowed_leaves(a.node_id, a.is_node, old) == allowed_leaves(b.node_id, b.is_node, new)).all())
        for a, b in zip(before, after, strict=True)
    )


def on_grid(
    corrections: Iterable[Correction], source: npt.NDArray[np.integer], shape: tuple[int, int, int]
) -> list[Correction]:
    """Return corrections on another grid; those of which no voxel is left are dropped.

    Parameters
    ----------
    corrections: on the old grid.
    source: integers ``(k, j, i)``: the old voxel (flat index) that each new one is, -1 for none.
    shape: of the new grid.
    """
    out = []
    flat = source.reshape(-1)
    for correction in corrections:
        mask = np.append(correction.voxels.reshape(-1), False)
        voxels = np.flatnonzero(mask[flat])
        if voxels.size:
            out.append(replace(correction, runs=Runs.of_voxels(voxels, shape)))
    return out
