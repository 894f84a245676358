"""Dice per level, fast enough for the validation step of a training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.evaluation.rows import BLOCK_VOXELS, LevelBlock, TreeRows
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.evaluation.labelled import LabelledScores
    from softseg.soft.labels import SoftLabels
    from softseg.tree import LabelTree


def quick_scores(
    probabilities: npt.NDArray[np.floating],
    reference: SoftLabels,
    tree: LabelTree,
    pooled: LabelledScores | None = None,
) -> dict[str, float]:
    """Return the mean hard and soft Dice over the nodes of every level and over the leaves.

    Hard: the label at a cut is the node with the largest *summed* probability, in prediction and reference. Soft: the
    semimetric form ``1 - sum |p - g| / sum (p + g)``, in which a soft mask scores 1 against itself (Wang et al. 2023).
    Background takes no part in the means. A node absent from reference and prediction is skipped; absent from one of
    them it scores 0. Voxels without a label, or labelled with something coarser than the level, take no part.

    Parameters
    ----------
    probabilities: ``[C, k, j, i]``, probabilities of the leaves in tree order.
    reference: on the same grid.
    tree: the tree of both.
    pooled: the labelled voxels are counted here too.

    Returns
    -------
    ``dice/level N`` and ``soft_dice/level N`` for N from 1 to the depth of the tree, ``dice/leaves`` and
    ``soft_dice/leaves`` (equal to the deepest level). A level at which nothing was labelled or found is absent.

    Raises
    ------
    ValueError: shapes differ, or the number of channels is not the number of leaves.
    """
    rows = TreeRows.of(tree)
    shape = tuple(reference.indices.shape[1:])
    if probabilities.shape != (len(rows.leaves), *shape):
        raise ValueError(f"expected probabilities of shape {(len(rows.leaves), *shape)}, got {probabilities.shape}")
    overlaps = [LevelOverlap(level) for level in rows.levels]
    for predicted, truth in _blocks(probabilities, reference, rows):
        if pooled is not None:
            pooled.add(predicted, truth)
        for overlap in overlaps:
            overlap.add(LevelBlock.of(predicted, truth, overlap.rows))
    scores: dict[str, float] = {}
    names = [*(f"level {number}" for number in range(1, len(overlaps) + 1)), "leaves"]
    for name, overlap in zip(names, [*overlaps, overlaps[-1]], strict=True):
        for metric, values in (("dice", overlap.dice), ("soft_dice", overlap.soft_dice)):
            judged = np.isfinite(values) & (overlap.rows != rows.background)
            if judged.any():
                scores[f"{metric}/{name}"] = float(values[judged].mean())
    return scores


class LevelOverlap:
    """Sums over voxels from which hard and soft Dice and volumes of a level's nodes follow.

    Parameters
    ----------
    rows: the rows of the level's cut.
    """

    def __init__(self, rows: npt.NDArray[np.intp]) -> None:
        self.rows = rows
        self.predicted, self.reference, self.both = (np.zeros(len(rows)) for _ in range(3))
        self.soft_predicted, self.soft_reference, self.soft_difference = (np.zeros(len(rows)) for _ in range(3))

    def add(self, block: LevelBlock) -> None:
        """Add a block of voxels."""
        nodes = len(self.rows)
        self.predicted += _counts(block.label, nodes)
        self.reference += _counts(block.truth, nodes)
        self.both += _counts(block.label[block.label == block.truth], nodes)
        self.soft_predicted += block.predicted.sum(axis=1)
        self.soft_reference += block.reference.sum(axis=1)
        self.soft_difference += np.abs(block.predicted - block.reference).sum(axis=1)

    @property
    def dice(self) -> npt.NDArray[np.float64]:
        """``[nodes]``: Dice of the hard labels; nan where the node wins no voxel in either."""
        total = self.predicted + self.reference
        return np.asarray(np.divide(2 * self.both, total, out=np.full(len(total), np.nan), where=total > 0))

    @property
    def soft_dice(self) -> npt.NDArray[np.float64]:
        """``[nodes]``: semimetric soft Dice, in 0..1; nan where neither has the node.

        That is where the reference has no probability of it and it wins no voxel of the prediction: the tails of a
        softmax are not a finding.
        """
        total = self.soft_predicted + self.soft_reference
        present = (self.soft_reference > 0) | (self.predicted > 0)
        difference = np.divide(
            self.soft_difference, total, out=np.full(len(total), np.nan), where=present & (total > 0)
        )
        return np.asarray(np.clip(1 - difference, 0.0, 1.0))


def _counts(labels: npt.NDArray[np.int16], length: int) -> npt.NDArray[np.intp]:
    return np.bincount(labels[labels >= 0], minlength=length)


def _blocks(
    probabilities: npt.NDArray[np.floating], reference: SoftLabels, rows: TreeRows
) -> Iterator[tuple[FloatArray, FloatArray]]:
    leaf_probabilities = probabilities.reshape(len(probabilities), -1)
    indices = reference.indices.reshape(len(reference.indices), -1)
    probabilities = reference.probabilities.reshape(indices.shape)
    for first in range(0, leaf_probabilities.shape[1], BLOCK_VOXELS):
        part = slice(first, first + BLOCK_VOXELS)
        labelled = np.flatnonzero(probabilities[:, part].any(axis=0)) + first
        if labelled.size:
            truth = rows.from_classes(indices[:, labelled], probabilities[:, labelled])
            yield rows.from_leaves(leaf_probabilities[:, labelled].astype(np.float32, copy=False)), truth
