"""Sums that follow a change of few voxels, without sorting all others again."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from softseg.soft.chunks import Indices, Leaves
from softseg.soft.encoding import SCALE
from softseg.soft.node_sums import COLUMNS, Group, NodeSums, joined
from softseg.types import BoolArray

Index = tuple[int, ...]


def patched(sums: NodeSums, places: Indices, before: NodeSums, changed: NodeSums) -> NodeSums:
    """Return the sums with other leaves in some voxels.

    Parameters
    ----------
    sums: of a box.
    places: the voxels that change, as indices of the flattened box.
    before, changed: the sums of these voxels alone, in the same order, as they were and as they are.
    """
    certain, largest = sums.certain.copy(), sums.largest.copy()
    certain[places], largest[places] = changed.certain, changed.largest
    stays = np.ones(certain.size, bool)
    stays[places] = False
    out = NodeSums(
        sums.number,
        certain,
        largest,
        _merged(sums.groups, stays, changed.groups, places),
        _merged(sums.undecided, stays, changed.undecided, places),
    )
    if "leaf_sums" in vars(sums):
        vars(out)["leaf_sums"] = sums.leaf_sums - before.leaf_sums + changed.leaf_sums
    out.cache.follow(sums.cache, places, before, changed)
    return out


def moved(sums: NodeSums, places: Indices, size: int, outside: int | None) -> NodeSums:
    """Return the sums of a larger box.

    Parameters
    ----------
    sums: of the smaller box.
    places: where each of its voxels is in the larger flattened box.
    size: voxels of the larger box.
    outside: leaf that the new voxels hold with all of the probability; ``None``: nothing.
    """
    fill = sums.number if outside is None else outside
    out = NodeSums(
        sums.number,
        _spread(sums.certain, places, size, fill),
        _spread(sums.largest, places, size, fill),
        tuple(Group(places[group.voxels], group.leaves, group.probabilities) for group in sums.groups),
        tuple(Group(places[group.voxels], group.leaves, group.probabilities) for group in sums.undecided),
    )
    if "leaf_sums" in vars(sums):
        vars(out)["leaf_sums"] = leaf_sums = sums.leaf_sums.copy()
        if outside is not None:
            leaf_sums[outside] += SCALE * (size - places.size)
    return out


def _spread(values: Leaves, places: Indices, size: int, fill: int) -> Leaves:
    out = np.full(size, fill, values.dtype)
    out[places] = values
    return out


def _merged(groups: Iterable[Group], stays: BoolArray, new: Iterable[Group], places: Indices) -> tuple[Group, ...]:
    """Return groups with the voxels of ``new`` (positions in ``places``) in place of those that do not stay."""
    first, last = int(places.min()), int(places.max())
    kept = [_kept(group, stays, first, last) for group in groups]
    own = [Group(places[group.voxels], group.leaves, group.probabilities) for group in new]
    full = [group for group in kept if group.voxels.size > COLUMNS // 2]
    return (*full, *joined([group for group in kept if group.voxels.size <= COLUMNS // 2] + own))


def _kept(group: Group, stays: BoolArray, first: int, last: int) -> Group:
    if group.reach[0] > last or group.reach[1] < first:
        return group
    there = stays[group.voxels]
    if there.all():
        return group
    where = np.flatnonzero(there)
    return Group(group.voxels[where], group.leaves[:, where], group.probabilities[:, where])
