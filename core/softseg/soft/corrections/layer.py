"""Corrections as a layer over a model's prediction: added one by one, each conditions what is below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from softseg.soft.corrections.box import Index, StoredBox
from softseg.soft.corrections.constraints import Constraints, allowed_leaves
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.nearest import nearest_voxels
from softseg.soft.corrections.rows import Rows
from softseg.soft.corrections.runs import Indices
from softseg.tree import LabelTree
from softseg.types import BoolArray

Spacing = tuple[float, float, float]


@dataclass(frozen=True, eq=False)
class CorrectionLayer:
    """The corrections of a parcellation, and the model's own distribution below them.

    Attributes
    ----------
    own: the model's prediction.
    corrections: the oldest first.
    distributions: what each of them made of its voxels.
    rows: the last of these distributions in each voxel, before it is rounded.
    probabilities: the same as it is stored.
    constraints: which leaves the corrections together leave possible.
    """

    own: StoredBox
    corrections: tuple[Correction, ...] = ()
    distributions: tuple[Rows, ...] = ()
    rows: Rows = field(default_factory=Rows.none)
    probabilities: Rows = field(default_factory=Rows.none)
    constraints: Constraints = field(default_factory=Constraints.none)

    def added(self, correction: Correction, tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer with one more correction, the last one.

        Parameters
        ----------
        correction: on the same grid.
        tree: the tree of its node.
        spacing: of the grid in mm, ``(k, j, i)``.

        Raises
        ------
        InputError: the tree has no such node, or nothing is left beside it.
        """
        allowed = allowed_leaves(correction.node_id, correction.is_node, tree)
        constraints = self.constraints.with_allowed(correction.runs.voxels(), allowed)
        counted, rows = _conditioned_rows(self, correction, constraints, spacing)
        return CorrectionLayer(
            self.own,
            (*self.corrections, counted),
            (*self.distributions, rows),
            self.rows.replaced(rows),
            self.probabilities.replaced(rows.probabilities()),
            constraints,
        )

    def without(self, number: int, tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer without one correction: those after it are applied again."""
        rows = Rows.stacked(self.distributions[:number])
        before = self.corrections[:number]
        constraints = Constraints.of(before, tree)
        below = CorrectionLayer(self.own, before, self.distributions[:number], rows, rows.probabilities(), constraints)
        return below.with_all(self.corrections[number + 1 :], tree, spacing)

    def with_all(self, corrections: Iterable[Correction], tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer with more corrections, the oldest first; see :meth:`added`."""
        layer = self
        for correction in corrections:
            layer = layer.added(correction, tree, spacing)
        return layer


def _conditioned_rows(
    layer: CorrectionLayer, correction: Correction, constraints: Constraints, spacing: Spacing
) -> tuple[Correction, Rows]:
    """Return the distributions in the voxels of a correction, and the correction with its counts."""
    voxels = correction.runs.voxels()
    numbers = constraints.at(voxels)
    found, near, even = [], 0, 0
    for number in np.flatnonzero(np.bincount(numbers)):
        own = voxels[numbers == number]
        conditioned = _conditioned(layer, own, constraints.sets[number])
        empty = np.flatnonzero(conditioned.counts == 0)
        found.append(conditioned)
        if not empty.size:
            continue
        nearest = _nearest(layer, own[empty], constraints.sets[number], spacing)
        near += 0 if nearest is None else empty.size
        even += empty.size if nearest is None else 0
        found.append(_alike(layer, correction, own[empty], constraints.sets[number]) if nearest is None else nearest)
    counted = replace(correction, conditioned=voxels.size - near - even, nearest=near, even=even)
    return counted, Rows.stacked(found)


def _conditioned(layer: CorrectionLayer, voxels: Indices, allowed: BoolArray) -> Rows:
    """Return the voxels' own distributions, given the leaves; without any leaf where they have none of these."""
    leaves = np.flatnonzero(allowed)
    if leaves.size == 1:  # it takes all
        return Rows.alike(voxels, leaves)
    own = layer.own.rows(voxels).given(allowed)
    _, at = layer.rows.find(voxels)
    corrected = layer.rows.take(at).given(allowed)
    return own.replaced(corrected.take(np.flatnonzero(corrected.counts)))  # else the model's own


def _alike(layer: CorrectionLayer, correction: Correction, voxels: Indices, allowed: BoolArray) -> Rows:
    background = layer.own.background
    erased = not correction.is_node and background is not None and allowed[background]
    return Rows.alike(voxels, np.array([background]) if erased else np.flatnonzero(allowed))


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
        rows, shape = self.layer.rows, self.layer.own.shape
        out = self.layer.own.any_of(self.allowed, low, high)
        slices = np.searchsorted(rows.voxels, [low[0] * shape[1] * shape[2], high[0] * shape[1] * shape[2]])
        near = np.arange(slices[0], slices[1])  # rows increase: all others lie in other slices
        places = np.stack(np.unravel_index(rows.voxels[near], shape), axis=1)
        inside = np.flatnonzero(((places >= low) & (places < high)).all(axis=1))
        part = rows.take(near[inside])
        out[tuple((places[inside] - low).T)] = part.given(self.allowed).counts > 0
        return out
