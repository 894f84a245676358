"""Everything that is measured on one case: sums over its voxels, slice by slice, then surfaces of the hard labels."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg.evaluation.answers import Answers
from softseg.evaluation.calibration import FLOOR, Reliability
from softseg.evaluation.disagreement import Dispute
from softseg.evaluation.quick import LevelOverlap
from softseg.evaluation.rows import LevelBlock, TreeRows
from softseg.evaluation.surface import TOLERANCE_MM, boxes, joined, single_slice_axis, surface_scores
from softseg.types import FloatArray, IntArray

if TYPE_CHECKING:
    from softseg.evaluation.probabilities import NodeProbabilities
    from softseg.events import Events

Labels = npt.NDArray[np.int16]


class LevelMeasures:
    """One level of one case.

    Attributes
    ----------
    rows: rows of the cut's nodes.
    overlap: sums for Dice and volumes.
    difference, support: per node the sum of ``|p - g|`` and the number of voxels where the node is anywhere near:
        predicted probability at least :data:`~softseg.evaluation.calibration.FLOOR`, or any probability in the
        reference.
    winner: reliability of the winning node's probability, over voxels that are not surely background.
    nodes: reliability of each node's own probability, ``[nodes, bins]``.
    predicted, reference: hard labels ``(k, j, i)``: positions in the cut, -1 where unlabelled.
    """

    def __init__(self, rows: npt.NDArray[np.intp], background: int, shape: tuple[int, int, int]) -> None:
        self.rows = rows
        self.overlap = LevelOverlap(rows)
        self.difference, self.support = np.zeros(len(rows)), np.zeros(len(rows))
        self.winner, self.nodes = Reliability.zeros(1), Reliability.zeros(len(rows))
        self.predicted, self.reference = np.full(shape, -1, np.int16), np.full(shape, -1, np.int16)
        self._background = background

    def add(self, k: int, voxels: npt.NDArray[np.intp], predicted: FloatArray, reference: FloatArray) -> LevelBlock:
        """Add voxels of slice ``k`` and return how they look at this level.

        Parameters
        ----------
        k: the slice.
        voxels: ``[n]``, their flat indices in the slice.
        predicted, reference: ``[V, n]``, summed probabilities.
        """
        block = LevelBlock.of(predicted, reference, self.rows)
        self.overlap.add(block)
        p, g, label, voxels = block.predicted, block.reference, block.label, voxels[block.known]
        self.predicted[k].flat[voxels], self.reference[k].flat[voxels] = label, block.truth
        near = (p >= FLOOR) | (g > 0)
        node, voxel = np.nonzero(near)
        p_near, g_near = p[node, voxel], g[node, voxel]
        self.support += np.bincount(node, minlength=len(self.rows))
        self.difference += np.bincount(node, weights=np.abs(p_near - g_near), minlength=len(self.rows))
        confident = p_near >= FLOOR
        self.nodes.add(p_near[confident], g_near[confident], node[confident])
        unsure = label >= 0
        if self._background >= 0:
            unsure &= predicted[self._background, block.known] <= 1 - FLOOR
        at = label[unsure], np.flatnonzero(unsure)
        self.winner.add(p[at], g[at])
        return block

    @property
    def mae(self) -> npt.NDArray[np.float64]:
        """``[nodes]``: mean absolute error of the probability near the node; nan where the node is absent."""
        empty = np.full(len(self.rows), np.nan)
        return np.asarray(np.divide(self.difference, self.support, out=empty, where=self.support > 0))


@dataclass(eq=False)
class CaseMeasures:
    """All sums of one case.

    Attributes
    ----------
    rows: the tree's rows.
    levels: level 1 first, the leaves last.
    confusion: ``[C, C]`` voxels by true and predicted leaf, where either is not background.
    soft: whether the prediction holds probabilities other than 0 and 1.
    surfaces: per level ``[nodes, 2]``: HD95 (mm) and surface Dice.
    answers: how deep the prediction can answer; empty where it holds no probabilities, or none of the leaves.
    disputes: per level how well it agrees with several raters; empty where the reference has one.
    """

    rows: TreeRows
    levels: list[LevelMeasures]
    confusion: npt.NDArray[np.int64]
    soft: bool
    surfaces: list[npt.NDArray[np.float64]] = field(default_factory=list)
    answers: Answers | None = None
    disputes: list[Dispute] = field(default_factory=list)


def measure(
    predicted: NodeProbabilities,
    reference: NodeProbabilities,
    rows: TreeRows,
    events: Events,
    *,
    deepest: int | None = None,
    tolerance_mm: float | None = TOLERANCE_MM,
    raters: int = 1,
) -> CaseMeasures:
    """Return all sums of one case.

    Parameters
    ----------
    predicted, reference: probabilities on the same grid.
    rows: of the tree of both.
    events: receives progress.
    deepest: level below which nothing is evaluated, because the prediction has no labels there; the leaves by default.
    tolerance_mm: for the surface Dice; None leaves surfaces out.
    raters: whose mean the reference is.
    """
    shape = predicted.geometry.shape
    levels = [LevelMeasures(level, rows.background, shape) for level in rows.levels[:deepest]]
    result = CaseMeasures(rows, levels, np.zeros((len(rows.leaves),) * 2, np.int64), predicted.soft)
    if predicted.soft and len(levels) == len(rows.levels):
        result.answers = Answers.zeros(len(levels))
    if raters > 1:
        result.disputes = [Dispute(len(level.rows), raters) for level in levels]
    for k in range(shape[0]):
        events.check()
        p_index, p_probability = predicted.slice(k)
        g_index, g_probability = reference.slice(k)
        voxels = np.flatnonzero(
            g_probability.any(axis=0)
            & (_foreground(rows, p_index, p_probability) | _foreground(rows, g_index, g_probability))
        )
        if voxels.size == 0:
            continue
        p = rows.from_classes(p_index[:, voxels], p_probability[:, voxels])
        g = rows.from_classes(g_index[:, voxels], g_probability[:, voxels])
        blocks = [level.add(k, voxels, p, g) for level in levels]
        for dispute, block in zip(result.disputes, blocks, strict=False):  # there are none for a single rater
            dispute.add(block)
        if result.answers is not None:
            result.answers += Answers.of(p, g, rows, blocks)
    if len(levels) == len(rows.levels):
        result.confusion += _confusion(
            levels[-1], int(np.flatnonzero(rows.leaves == rows.background)[0]) if rows.background >= 0 else -1
        )
    if tolerance_mm is not None:
        known: Known = {}
        for level in levels:
            result.surfaces.append(_surfaces(level, rows, predicted.geometry.spacing_kji, tolerance_mm, known, events))
    return result


def _foreground(rows: TreeRows, indices: IntArray, probabilities: FloatArray) -> npt.NDArray[np.bool_]:
    """Return ``[n]``: where anything but background has a probability; elsewhere both sides add nothing to any node."""
    return np.asarray(((probabilities > 0) & (rows.row_of_class[indices] != rows.background)).any(axis=0))


def _confusion(leaves: LevelMeasures, background: int) -> npt.NDArray[np.int64]:
    count = len(leaves.rows)
    truth, label = leaves.reference.ravel(), leaves.predicted.ravel()
    both = (truth >= 0) & (label >= 0)
    pairs = truth[both].astype(np.int64) * count + label[both]
    table = np.bincount(pairs, minlength=count * count).reshape(count, count)
    if background >= 0:
        table[background, background] = 0
    return table


Known: TypeAlias = dict[tuple[tuple[int, ...], bytes], tuple[float, float]]
"""Surface scores by the masks they are of: a structure looks the same at most levels it appears at."""


def _surfaces(
    level: LevelMeasures,
    rows: TreeRows,
    spacing: tuple[float, float, float],
    tolerance_mm: float,
    known: Known,
    events: Events,
) -> npt.NDArray[np.float64]:
    scores = np.full((len(level.rows), 2), np.nan)
    shape = level.predicted.shape
    flat = single_slice_axis((shape[0], shape[1], shape[2]))
    here = boxes(level.predicted, len(level.rows)), boxes(level.reference, len(level.rows))
    for position, row in enumerate(level.rows):
        box = joined(here[0][position], here[1][position])
        if row == rows.background or box is None:
            continue
        events.check()
        masks = level.predicted[box] == position, level.reference[box] == position
        key = masks[0].shape, hashlib.sha256(np.packbits(masks).tobytes()).digest()
        if key not in known:
            known[key] = surface_scores(*masks, spacing, tolerance_mm, flat)
        scores[position] = known[key]
    return scores


def hop_distances(rows: TreeRows) -> npt.NDArray[np.float64]:
    """Return ``[C, C]``: edges on the path between two leaves."""
    member = rows.tree.membership().astype(np.float64)
    common = member.T @ member
    own = np.diag(common)
    return np.asarray(own[:, None] + own[None, :] - 2 * common)
