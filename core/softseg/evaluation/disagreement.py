"""How well probabilities agree with several raters: what a prediction keeps of their disagreement.

The reference of a voxel is the fraction of raters who labelled it. Every node is evaluated as a yes or no of its own.
Numbers over the **disputed** voxels of a node (some raters include it and some do not) look where raters disagree, but
a zone that is chosen by the reference bends reliability curves towards the middle even for a perfect prediction.
Numbers of **all** voxels are sums divided by the voxels that any rater gives to the node, the same for every
prediction; means over voxels that the prediction chooses (``mae``, ``calibration_error``) become small by giving a
little everywhere. Brier score and log loss to single raters are proper: nothing beats the probability with which a
rater includes the node.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.evaluation.calibration import BINS, Reliability
from softseg.evaluation.rows import LevelBlock
from softseg.soft.encoding import SCALE
from softseg.types import FloatArray

RATER_METRICS = (
    "disputed_mae",
    "disputed_calibration_error",
    "disputed_entropy",
    "disputed_entropy_raters",
    "disputed_entropy_error",
    "rater_calibration_error",
    "rater_mae",
    "rater_brier",
    "rater_brier_least",
    "rater_log_loss",
    "rater_log_loss_least",
    "disputed_ml",
)
"""Columns that references of several raters add to the tables of nodes and levels."""

LEAST_PROBABILITY = 0.5 / SCALE
"""A probability below this, which is stored as 0, counts as this in the log loss (our default)."""

NOTHING = dict.fromkeys(RATER_METRICS, math.nan)
"""The columns of a case that has one rater."""

Sums = npt.NDArray[np.float64]


class Dispute:
    """Sums over the voxels of one level of one case, ``[nodes]`` each, from which its numbers follow.

    Attributes
    ----------
    raters: how many there are.
    disputed: voxels about which the raters disagree.
    drawn: voxels that at least one rater gives to the node.
    curve, whole: in disputed voxels and in all, reliability of the predicted probability, ``[nodes, bins]``.
    by_votes: voxels and summed predicted probabilities by the number of raters who include the node, ``[nodes, raters +
        1]``; no rater and all of them only where the prediction or a rater gives the node anything.
    """

    def __init__(self, nodes: int, raters: int) -> None:
        self.raters = raters
        self.disputed, self.drawn = np.zeros(nodes), np.zeros(nodes)
        self.curve, self.whole = Reliability.zeros(nodes), Reliability.zeros(nodes)
        self.by_votes = np.zeros((2, nodes, raters + 1))
        self._difference, self._entropy, self._entropy_raters, self._entropy_gap = (np.zeros(nodes) for _ in range(4))
        self._brier, self._brier_least, self._log_loss, self._log_loss_least = (np.zeros(nodes) for _ in range(4))
        self._error = np.zeros(nodes)

    def add(self, block: LevelBlock) -> None:
        """Add a block of voxels; voxels in which neither side gives a node anything need not be in any."""
        node, voxel = np.nonzero((block.predicted > 0) | (block.reference > 0))
        p = np.clip(block.predicted[node, voxel], 0, 1)
        g = np.clip(block.reference[node, voxel], 0, 1)
        votes = np.rint(g * self.raters).astype(np.intp)
        self.drawn += self._sum(node, (votes > 0).astype(np.float64))
        self.whole.add(p, g, node)
        self._error += self._sum(node, np.abs(p - g))
        self._brier += self._sum(node, g * (1 - p) ** 2 + (1 - g) * p**2)
        self._brier_least += self._sum(node, g * (1 - g))
        self._log_loss += self._sum(node, _cross_entropy(g, p))
        self._log_loss_least += self._sum(node, _cross_entropy(g, g))
        place = node * (self.raters + 1) + votes
        for sums, weights in zip(self.by_votes, (None, p), strict=True):
            sums += np.bincount(place, weights=weights, minlength=sums.size).reshape(sums.shape)
        inside = (votes > 0) & (votes < self.raters)
        self._add_disputed(node[inside], p[inside], g[inside])

    def _add_disputed(self, node: npt.NDArray[np.intp], p: FloatArray, g: FloatArray) -> None:
        own, theirs = _cross_entropy(p, p), _cross_entropy(g, g)
        self.disputed += self._sum(node, np.ones(len(node)))
        self._difference += self._sum(node, np.abs(p - g))
        self._entropy += self._sum(node, own)
        self._entropy_raters += self._sum(node, theirs)
        self._entropy_gap += self._sum(node, np.abs(own - theirs))
        self.curve.add(p, g, node)

    def _sum(self, node: npt.NDArray[np.intp], values: npt.NDArray[np.floating]) -> Sums:
        return np.bincount(node, weights=values, minlength=len(self.disputed)).astype(np.float64)

    def columns(self, voxel_ml: float) -> list[dict[str, float]]:
        """Return for each node the columns :data:`RATER_METRICS`; nan where there is nothing to evaluate."""
        gap_of_bins = np.abs(self.whole.confidence - self.whole.truth).sum(axis=-1)
        with np.errstate(invalid="ignore", divide="ignore"):
            per_disputed = [
                sums / self.disputed
                for sums in (self._difference, self._entropy, self._entropy_raters, self._entropy_gap)
            ]
            per_drawn = [
                np.where(self.drawn > 0, sums / self.drawn, np.nan)
                for sums in (
                    gap_of_bins,
                    self._error,
                    self._brier,
                    self._brier_least,
                    self._log_loss,
                    self._log_loss_least,
                )
            ]
        mae, own, theirs, gap = per_disputed
        values = (mae, self.curve.error, own, theirs, gap, *per_drawn, self.disputed * voxel_ml)
        table = np.stack(values, axis=1)
        return [dict(zip(RATER_METRICS, map(float, row), strict=True)) for row in table]


def _cross_entropy(g: FloatArray, p: FloatArray) -> npt.NDArray[np.floating]:
    """Return ``-g ln p - (1 - g) ln (1 - p)`` in nats, with p clipped to at least :data:`LEAST_PROBABILITY`."""
    yes, no = np.log(np.maximum(p, LEAST_PROBABILITY)), np.log(np.maximum(1 - p, LEAST_PROBABILITY))
    return np.asarray(-g * yes - (1 - g) * no)


class Disputes:
    """Sums over several cases, by level, for the summary: the prediction in disputed voxels.

    Background takes no part.
    """

    def __init__(self) -> None:
        self._curves: dict[int, Reliability] = {}
        self._by_votes: dict[int, dict[int, Sums]] = {}

    def add(self, level: int, dispute: Dispute, judged: npt.NDArray[np.bool_]) -> None:
        """Add one level of one case; ``judged`` ``[nodes]`` marks the nodes that are not background."""
        curve = dispute.curve
        own = Reliability(*(sums[judged].sum(axis=0)[None] for sums in (curve.count, curve.confidence, curve.truth)))
        before = self._curves.get(level)
        self._curves[level] = own if before is None else before + own
        sums = dispute.by_votes[:, judged].sum(axis=1)
        tables = self._by_votes.setdefault(level, {})
        tables[dispute.raters] = tables.get(dispute.raters, np.zeros_like(sums)) + sums

    def __bool__(self) -> bool:
        """Whether any case has several raters."""
        return bool(self._curves)

    def summary(self) -> dict[str, Any]:
        """Return, by level, the reliability curve in disputed voxels and the mean prediction by fraction of raters."""
        return {"bins": BINS, "levels": {str(level): self._level(level) for level in sorted(self._curves)}}

    def _level(self, level: int) -> dict[str, Any]:
        curve = self._curves[level][0]
        confidence, truth = curve.curve
        rows: list[dict[str, float]] = []
        for raters, (voxels, predicted) in sorted(self._by_votes[level].items()):
            rows += [
                {"raters": raters, "share": votes / raters, "voxels": float(count), "predicted": float(total / count)}
                for votes, (count, total) in enumerate(zip(voxels, predicted, strict=True))
                if count
            ]
        return {
            "expected_calibration_error": float(curve.error),
            "voxels": curve.count.tolist(),
            "confidence": confidence.tolist(),
            "share_of_raters": truth.tolist(),
            "by_share": rows,
        }


def raters_of(reference: object) -> int:
    """Return how many raters a reference has: the length of a list of files, else 1."""
    listed = isinstance(reference, Sequence) and not isinstance(reference, str)
    return len(reference) if listed else 1  # type: ignore[arg-type]
