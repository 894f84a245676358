"""Corrections as a layer over what a model said: added one by one, each answered from what is below it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from softseg.soft.corrections.box import Index, StoredBox
from softseg.soft.corrections.correction import Correction
from softseg.soft.corrections.nearest import nearest_voxels
from softseg.soft.corrections.rows import Rows
from softseg.soft.corrections.runs import Indices
from softseg.soft.corrections.said import Said, allowed_leaves
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
    said: which leaves the corrections together leave possible.
    """

    own: StoredBox
    corrections: tuple[Correction, ...] = ()
    answers: tuple[Rows, ...] = ()
    rows: Rows = field(default_factory=Rows.none)
    shares: Rows = field(default_factory=Rows.none)
    said: Said = field(default_factory=Said.nothing)

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
        allowed = allowed_leaves(correction.node_id, correction.is_node, tree)
        said = self.said.with_said(correction.runs.voxels(), allowed)
        answered, rows = _answer(self, correction, said, spacing)
        return CorrectionLayer(
            self.own,
            (*self.corrections, answered),
            (*self.answers, rows),
            self.rows.replaced(rows),
            self.shares.replaced(rows.shares()),
            said,
        )

    def without(self, number: int, tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer without one correction: those after it are answered anew."""
        rows = Rows.stacked(self.answers[:number])
        before = self.corrections[:number]
        said = Said.of(before, tree)
        below = CorrectionLayer(self.own, before, self.answers[:number], rows, rows.shares(), said)
        return below.with_all(self.corrections[number + 1 :], tree, spacing)

    def with_all(self, corrections: Iterable[Correction], tree: LabelTree, spacing: Spacing) -> CorrectionLayer:
        """Return the layer with more corrections, the oldest first; see :meth:`added`."""
        layer = self
        for correction in corrections:
            layer = layer.added(correction, tree, spacing)
        return layer


def _answer(layer: CorrectionLayer, correction: Correction, said: Said, spacing: Spacing) -> tuple[Correction, Rows]:
    """Return the distributions in the voxels of a correction, and the correction with how many got which answer."""
    voxels = correction.runs.voxels()
    numbers = said.at(voxels)
    answers, near, even = [], 0, 0
    for number in np.flatnonzero(np.bincount(numbers)):
        own = voxels[numbers == number]
        conditioned = _conditioned(layer, own, said.sets[number])
        silent = np.flatnonzero(conditioned.counts == 0)
        answers.append(conditioned)
        if not silent.size:
            continue
        found = _nearest(layer, own[silent], said.sets[number], spacing)
        near += 0 if found is None else silent.size
        even += silent.size if found is None else 0
        answers.append(_alike(layer, correction, own[silent], said.sets[number]) if found is None else found)
    counted = replace(correction, conditioned=voxels.size - near - even, nearest=near, even=even)
    return counted, Rows.stacked(answers)


def _conditioned(layer: CorrectionLayer, voxels: Indices, allowed: BoolArray) -> Rows:
    """Return the voxels' own distributions, given the leaves; without any leaf where they have none of these."""
    leaves = np.flatnonzero(allowed)
    if leaves.size == 1:  # there is nothing to share out
        return Rows.alike(voxels, leaves)
    own = layer.own.rows(voxels).given(allowed)
    _, at = layer.rows.find(voxels)
    said = layer.rows.take(at).given(allowed)
    return own.replaced(said.take(np.flatnonzero(said.counts)))  # corrections may have taken all: then the model's own


def _alike(layer: CorrectionLayer, correction: Correction, voxels: Indices, allowed: BoolArray) -> Rows:
    background = layer.own.background
    spare = not correction.is_node and background is not None and allowed[background]
    return Rows.alike(voxels, np.array([background]) if spare else np.flatnonzero(allowed))


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
