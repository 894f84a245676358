"""Corrections as a layer over what a model said: added one by one, each answered from what is below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from softseg.errors import InputError
from softseg.soft.corrections.box import Index, StoredBox
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.nearest import nearest_voxels
from softseg.soft.corrections.rows import Rows
from softseg.soft.corrections.runs import Indices
from softseg.tree import LabelTree
from softseg.types import BoolArray

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class CorrectionLayer:
    """What was said about a parcellation, and the model's own distribution below it.

    Attributes
    ----------
    own: what the model said.
    corrections: the oldest first.
    answers: the distributions that each of them made of its voxels.
    rows: what of the answers counts, the last one in each voxel; before it is rounded.
    shares: the same as it is stored.
    """

    own: StoredBox
    corrections: tuple[Correction, ...] = ()
    answers: tuple[Rows, ...] = ()
    rows: Rows = field(default_factory=Rows.none)
    shares: Rows = field(default_factory=Rows.none)

    def added(self, correction: Correction, tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer with one more correction, which speaks last.

        Parameters
        ----------
        correction: on the same grid.
        tree: the tree of its node.
        spacing: of the grid in mm, ``(k, j, i)``.

        Raises
        ------
        InputError: the tree has no such node, or nothing is left beside it.
        """
        answered, rows = _answer(self, correction, tree, spacing)
        return CorrectionLayer(
            self.own,
            (*self.corrections, answered),
            (*self.answers, rows),
            self.rows.replaced(rows),
            self.shares.replaced(rows.shares()),
        )

    def without(self, number: int, tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer without one correction: those after it are answered anew."""
        rows = Rows.stacked(self.answers[:number])
        below = CorrectionLayer(self.own, self.corrections[:number], self.answers[:number], rows, rows.shares())
        return below.with_all(self.corrections[number + 1 :], tree, spacing)

    def with_all(self, corrections: Iterable[Correction], tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer with more corrections, the oldest first; see :meth:`added`."""
        layer = self
        for correction in corrections:
            layer = layer.added(correction, tree, spacing)
        return layer


def allowed_leaves(node_id: str, is_node: bool, tree: LabelTree) -> BoolArray:
    """Return which leaves a correction leaves possible: bool ``(C,)``.

    Raises
    ------
    InputError: the tree has no such node, or "is not" is said of all leaves.
    """
    out = np.full(len(tree.leaves), not is_node)
    out[tree.leaf_slice(node_id)] = is_node
    if not out.any():
        raise InputError("nothing is left beside this node, it holds every leaf", field=f"node '{node_id}'")
    return out


def smallest_node(tree: LabelTree, first: int, last: int) -> str:
    """Return the deepest node that holds the leaves ``first`` to ``last``."""
    path = tree.path(tree.leaves[first].id)
    return next(node.id for node in reversed(path) if last < tree.leaf_slice(node.id).stop)


def _answer(
    layer: CorrectionLayer, correction: Correction, tree: LabelTree, spacing: Spacing
) -> tuple[Correction, Rows]:
    """Return the distributions in the voxels of a correction, and the correction with how many got which answer."""
    allowed = allowed_leaves(correction.node_id, correction.is_node, tree)
    voxels = correction.runs.voxels()
    own = layer.own.rows(voxels).given(allowed)
    _, at = layer.rows.find(voxels)
    said = layer.rows.take(at).given(allowed)
    answer = own.replaced(said.take(np.flatnonzero(said.counts)))  # earlier corrections may have taken all: the model's
    silent = np.flatnonzero(answer.counts == 0)
    leaves = np.flatnonzero(allowed)
    if leaves.size == 1:  # there is nothing to share out
        return replace(correction, conditioned=voxels.size), Rows.alike(voxels, leaves)
    if not silent.size:
        return replace(correction, conditioned=voxels.size, nearest=0, even=0), answer
    found = _nearest(layer, voxels[silent], allowed, spacing)
    near = 0 if found is None else silent.size
    if found is None:
        background = layer.own.background
        spare = not correction.is_node and background is not None and allowed[background]
        found = Rows.alike(voxels[silent], np.array([background]) if spare else leaves)
    counted = replace(correction, conditioned=voxels.size - silent.size, nearest=near, even=silent.size - near)
    return counted, answer.replaced(found)


def _nearest(layer: CorrectionLayer, voxels: Indices, allowed: BoolArray, spacing: Spacing) -> Rows | None:
    """Return, for voxels without any of the leaves, what the nearest voxel with any has; ``None`` if there is none."""
    sources = nearest_voxels(voxels, _Present(layer, allowed).within, layer.own.shape, spacing)
    if sources[0] < 0:
        return None
    different, place = np.unique(sources, return_inverse=True)
    return _distributions(layer, different).given(allowed).take(place.reshape(-1), voxels)


def _distributions(layer: CorrectionLayer, voxels: Indices) -> Rows:
    _, at = layer.rows.find(voxels)
    return layer.own.rows(voxels).replaced(layer.rows.take(at))


@dataclass(frozen=True, eq=False)
class _Present:
    """Where a corrected distribution has any of some leaves."""

    layer: CorrectionLayer
    allowed: BoolArray

    def within(self, low: Index, high: Index) -> BoolArray:
        """Return it for a part of the grid, from ``low`` to before ``high`` (k, j, i)."""
        rows = self.layer.rows
        out = self.layer.own.any_of(self.allowed, low, high)
        places = np.stack(np.unravel_index(rows.voxels, self.layer.own.shape), axis=1)
        inside = np.flatnonzero(((places >= low) & (places < high)).all(axis=1))
        part = rows.take(inside)
        out[tuple((places[inside] - low).T)] = part.given(self.allowed).counts > 0
        return out
