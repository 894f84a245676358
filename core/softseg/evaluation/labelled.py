"""Scores over labelled voxels alone: accuracy, macro F1 and Dice per level, pooled over cases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.evaluation.rows import LevelBlock, TreeRows
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.tree import LabelTree

Counts = npt.NDArray[np.int64]


class LabelledScores:
    """Confusion tables of every level of a tree, added up over voxels that the reference labels.

    At a level only voxels count that are labelled there or deeper. The label of a voxel is the node of the level with
    the largest summed probability, in prediction and reference.

    Parameters
    ----------
    tree: the tree of both.

    Attributes
    ----------
    tables: for each level, the first below the root first, ``[nodes, nodes + 1]``: voxels by true and predicted node;
        the last column are voxels for which nothing was predicted.
    """

    def __init__(self, tree: LabelTree) -> None:
        self.rows = TreeRows.of(tree)
        self.tables: list[Counts] = [np.zeros((len(level), len(level) + 1), np.int64) for level in self.rows.levels]

    def add(self, predicted: FloatArray, reference: FloatArray) -> None:
        """Add voxels: ``[V, n]`` summed probabilities of all nodes, in the order of ``tree.nodes``, of both."""
        for table, level in zip(self.tables, self.rows.levels, strict=True):
            block = LevelBlock.of(predicted, reference, level)
            self.add_labels(table, block.truth, block.label)

    @staticmethod
    def add_labels(table: Counts, truth: npt.NDArray[np.int16], label: npt.NDArray[np.int16]) -> None:
        """Count pairs of positions in a cut; -1 in ``truth`` is unlabelled, in ``label`` nothing."""
        nodes, width = table.shape
        labelled = truth >= 0
        answer = np.where(label[labelled] < 0, nodes, label[labelled]).astype(np.int64)
        pairs = truth[labelled].astype(np.int64) * width + answer
        table += np.bincount(pairs, minlength=nodes * width).reshape(nodes, width)

    def scores(self) -> dict[str, float]:
        """Return ``accuracy/level N`` and ``f1/level N`` for each level, and for ``leaves`` (the deepest).

        A level at which no voxel is labelled is absent.
        """
        found: dict[str, float] = {}
        names = [*(f"level {number}" for number in range(1, len(self.tables) + 1)), "leaves"]
        levels = list(zip(self.tables, self._background, strict=True))
        for name, (table, background) in zip(names, [*levels, levels[-1]], strict=True):
            if table.any():
                found[f"accuracy/{name}"] = accuracy(table)
                found[f"f1/{name}"] = macro_f1(table, background)
        return found

    @property
    def _background(self) -> list[int]:
        """The position of the background in each level, -1 where there is none."""
        return [
            int(found[0]) if (found := np.flatnonzero(level == self.rows.background)).size else -1
            for level in self.rows.levels
        ]

    def summary(self) -> list[dict[str, Any]]:
        """Return, per level, the number of labelled voxels, accuracy and macro F1."""
        return [
            {
                "level": number,
                "voxels": int(table.sum()),
                "accuracy": accuracy(table),
                "macro_f1": macro_f1(table, background),
            }
            for number, (table, background) in enumerate(zip(self.tables, self._background, strict=True), 1)
        ]

    def table(self) -> list[dict[str, Any]]:
        """Return one row per level and node that is labelled or predicted: labelled and predicted voxels, F1."""
        nodes, levels = self.rows.tree.nodes, zip(self.tables, self.rows.levels, self._background, strict=True)
        return [
            {
                "level": number,
                "node": nodes[row].id,
                "name": nodes[row].name,
                "labelled_voxels": int(table[position].sum()),
                "predicted_voxels": int(table[:, position].sum()),
                "right_voxels": int(table[position, position]),
                "f1": float(score),
            }
            for number, (table, level, background) in enumerate(levels, 1)
            for position, (row, score) in enumerate(zip(level, f1_by_node(table, background), strict=True))
            if np.isfinite(score)
        ]


def accuracy(table: Counts) -> float:
    """Return the fraction of the voxels of a confusion table that are right; nan where there are none."""
    total = int(table.sum())
    return float(np.trace(table)) / total if total else float("nan")


def f1_by_node(table: Counts, without: int = -1) -> npt.NDArray[np.float64]:
    """Return ``[nodes]``: F1, which is Dice over these voxels; nan for nodes neither labelled nor predicted.

    Position ``without`` (background) is nan too; voxels that are called so are wrong.
    """
    nodes = len(table)
    total = table.sum(axis=1) + table.sum(axis=0)[:nodes]
    judged = (total > 0) & (np.arange(nodes) != without)
    return np.asarray(np.divide(2.0 * np.diagonal(table), total, out=np.full(nodes, np.nan), where=judged))


def macro_f1(table: Counts, without: int = -1) -> float:
    """Return the mean F1 over the nodes that are labelled or predicted anywhere (as scikit-learn's macro average)."""
    values = f1_by_node(table, without)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")
