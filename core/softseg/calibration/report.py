"""How well calibrated a model is at each level of its tree, before and after: numbers and a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softseg.calibration.fitting import log_losses
from softseg.calibration.sampling import Sample
from softseg.evaluation.calibration import FLOOR, Reliability
from softseg.evaluation.charts import reliability_chart
from softseg.evaluation.rows import BLOCK_VOXELS, LevelBlock, TreeRows
from softseg.files import write_beside
from softseg.tree import LabelTree


@dataclass(frozen=True, eq=False)
class LevelReliability:
    """One level of the tree.

    Attributes
    ----------
    level: of the cut, 1 below the root.
    curve: the winning node's probability against how often it is right, over voxels that are not surely background.
    log_loss: mean negative log-likelihood of the decisions that lead to this level, in nats; nan where none is known.
    """

    level: int
    curve: Reliability
    log_loss: float

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1; nan where no voxel took part."""
        return float(self.curve.error)


def reliability(sample: Sample, tree: LabelTree) -> list[LevelReliability]:
    """Return how reliable a sample's probabilities are, level 1 first; as ``softseg evaluate`` does for scans."""
    rows = TreeRows.of(tree)
    curves = [Reliability.zeros(1) for _ in rows.levels]
    for first in range(0, sample.voxels, BLOCK_VOXELS):
        part = slice(first, first + BLOCK_VOXELS)
        predicted = rows.from_leaves(sample.probabilities[:, part])
        truth = rows.from_classes(sample.indices[:, part], sample.truth[:, part])
        for curve, level in zip(curves, rows.levels, strict=True):
            block = LevelBlock.of(predicted, truth, level)
            unsure = block.label >= 0
            if rows.background >= 0:
                unsure &= predicted[rows.background, block.known] <= 1 - FLOOR
            at = block.label[unsure], np.flatnonzero(unsure)
            curve.add(np.minimum(block.predicted[at], 1), block.reference[at])
    losses = log_losses(sample, tree)
    return [
        LevelReliability(number, curve[0], loss)
        for number, (curve, loss) in enumerate(zip(curves, losses, strict=True), 1)
    ]


def as_json(levels: Sequence[LevelReliability]) -> list[dict[str, Any]]:
    """Return the numbers of every level: error, log-loss, and per bin voxels, mean confidence and mean truth."""
    rows: list[dict[str, Any]] = []
    for found in levels:
        confidence, truth = found.curve.curve
        rows.append(
            {
                "level": found.level,
                "calibration_error": _plain(found.error),
                "log_loss": _plain(found.log_loss),
                "voxels": [int(count) for count in found.curve.count],
                "confidence": [_plain(value) for value in confidence],
                "truth": [_plain(value) for value in truth],
            }
        )
    return rows


def draw(before: Sequence[LevelReliability], after: Sequence[LevelReliability], file: Path) -> Path:
    """Draw the curves of all levels, before on the left of after.

    Raises
    ------
    InputError: the file cannot be written.
    """
    curves = [
        (f"level {old.level}, {when}", level.curve)
        for old, new in zip(before, after, strict=True)
        for when, level in (("before", old), ("after", new))
    ]
    figure = reliability_chart(curves, "right (0 to 1)")
    with write_beside(file) as temporary:
        figure.savefig(temporary, format="png", dpi=130, facecolor="white")
    return file


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
