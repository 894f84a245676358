"""How deep a prediction can answer at a confidence, and how often the answers are right.

At a confidence level each voxel is answered with the deepest node of at least that probability (see
:mod:`softseg.soft.confidence`); the higher the level, the shallower and the truer the answers. This curve of depth
against accuracy is ours: no paper that this product follows has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.evaluation.rows import LevelBlock, TreeRows
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.tree import LabelTree

STEPS = 50
"""Steps between a confidence of 0.5 and one of 1 (our default: 0.01 each)."""

TARGETS = (0.9, 0.95, 0.99)
"""Accuracies for which reports state the confidence needed (our default)."""

_SLACK = 1e-6  # of a probability: sums of float32

Sums = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """Sums over voxels, from which the curve follows; two of them can be added.

    Attributes
    ----------
    voxels: how many were looked at: all but those that are background in prediction and reference.
    answered: ``[levels + 1, STEPS + 1]``: voxels by how deep they are answered (0: the root or nothing; a leaf counts
        as the deepest level) and by confidence.
    evaluated: the same, of those whose reference is labelled at that depth.
    right: sum over these of the reference's probability of the answered node.
    """

    voxels: float
    answered: Sums
    judged: Sums
    right: Sums

    @staticmethod
    def zeros(levels: int) -> Answers:
        """Return empty sums for a tree of so many levels below the root."""
        return Answers(0.0, *(np.zeros((levels + 1, STEPS + 1)) for _ in range(3)))

    def __add__(self, other: Answers) -> Answers:
        """Return the sums over both."""
        return Answers(
            self.voxels + other.voxels,
            self.answered + other.answered,
            self.judged + other.judged,
            self.right + other.right,
        )

    @staticmethod
    def of(
        predicted: FloatArray, reference: FloatArray, rows: TreeRows, blocks: Sequence[LevelBlock] | None = None
    ) -> Answers:
        """Look at voxels.

        Parameters
        ----------
        predicted, reference: ``[V, n]`` summed probabilities of all nodes, in the order of ``tree.nodes``.
        rows: of the tree.
        blocks: the same voxels at each level, where they were looked at already.
        """
        sums = Answers.zeros(len(rows.levels))
        count = np.ones(predicted.shape[1], bool)
        if rows.background >= 0:
            nothing = reference[rows.background] > 0.5 * reference[0]
            nothing &= predicted[rows.background] >= predicted[rows.leaves].max(axis=0)
            count = ~nothing
        deeper = np.zeros(count.size, np.intp)  # number of confidence levels that a deeper answer passes
        for level in range(len(rows.levels), 0, -1):
            cut = rows.levels[level - 1]
            block = LevelBlock.of(predicted, reference, cut) if blocks is None else blocks[level - 1]
            known, columns = block.known, np.arange(block.known.size)
            best = np.maximum(block.label, 0)
            probability = np.empty(count.size, np.float32)
            probability[known] = block.predicted[best, columns]
            if known.size < count.size:
                coarse = np.setdiff1d(np.arange(count.size), known, assume_unique=True)
                probability[coarse] = predicted[np.ix_(cut, coarse)].max(axis=0)
            passed = np.maximum(_passed(probability), deeper)
            sums.answered[level] += _between(deeper[count], passed[count])
            judged = count[known]
            at = known[judged]
            right = (block.reference[best, columns] / reference[0, known])[judged]
            sums.judged[level] += _between(deeper[at], passed[at])
            sums.right[level] += _between(deeper[at], passed[at], right)
            deeper = passed
        voxels = int(np.count_nonzero(count))
        sums.answered[0] += _between(deeper[count], np.full(voxels, STEPS + 1))
        return Answers(float(voxels), sums.answered, sums.judged, sums.right)

    @property
    def confidences(self) -> Sums:
        """``[STEPS + 1]``: 0.5 to 1."""
        return np.linspace(0.5, 1.0, STEPS + 1)

    @property
    def fractions(self) -> Sums:
        """``[levels, STEPS + 1]``: fraction of the voxels answered at each level or deeper, level 1 first."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.cumsum(self.answered[:0:-1], axis=0)[::-1] / self.voxels)

    @property
    def accuracy(self) -> Sums:
        """``[STEPS + 1]``: fraction of the answers below the root that are right; nan where there is none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.right[1:].sum(axis=0) / self.judged[1:].sum(axis=0))

    def needed(self, target: float) -> int | None:
        """Return the position of the lowest confidence from which on at least ``target`` of the answers are right.

        Levels so high that nothing is answered are not asked. None if no level is enough.
        """
        accuracy = self.accuracy
        enough = np.isnan(accuracy) | (accuracy >= target)
        wrong = np.flatnonzero(~enough)
        first = int(wrong[-1]) + 1 if wrong.size else 0
        return first if first < len(accuracy) and np.isfinite(accuracy[first]) else None

    def table(self) -> list[dict[str, Any]]:
        """Return one row per confidence: fraction answered at each level or deeper, accuracy of the answers."""
        return [
            {
                "confidence": round(float(confidence), 4),
                **{f"answered_level_{level}": float(fraction) for level, fraction in enumerate(fractions, 1)},
                "accuracy": float(accuracy),
            }
            for confidence, fractions, accuracy in zip(self.confidences, self.fractions.T, self.accuracy, strict=True)
        ]

    def summary(self) -> dict[str, Any]:
        """Return, for each target accuracy, the confidence that is needed and what is answered at it."""
        table = self.table()
        found = {target: self.needed(target) for target in TARGETS}
        return {
            "voxels": int(self.voxels),
            "needed": {f"{target:g}": None if at is None else table[at] for target, at in found.items()},
        }


def _passed(probability: FloatArray) -> npt.NDArray[np.intp]:
    """Return how many of the confidence levels, from 0.5 up, a probability passes: 0 .. STEPS + 1."""
    steps = np.floor((probability.astype(np.float64) + _SLACK - 0.5) * 2 * STEPS).astype(np.intp) + 1
    return np.clip(steps, 0, STEPS + 1)


def _between(
    first: npt.NDArray[np.intp], stop: npt.NDArray[np.intp], weights: npt.NDArray[np.floating] | None = None
) -> Sums:
    """Return ``[STEPS + 1]``: over voxels, the sum of the weights of those with ``first <= n < stop`` for each n."""
    size = STEPS + 2
    begin, end = (np.bincount(place, weights, size) for place in (first, stop))
    return np.asarray(np.cumsum(begin - end)[: STEPS + 1], np.float64)


def level_names(tree: LabelTree) -> list[str]:
    """Return a few words for each level: how many nodes its cut has."""
    return [f"level {level} ({count} nodes)" for level, count in enumerate(tree.level_sizes[1:], 1)]
