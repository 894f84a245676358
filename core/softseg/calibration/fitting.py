"""Temperatures of the levels of a tree, found by maximum likelihood.

The likelihood of a voxel's label is a product of decisions along the tree, so the temperature of each level is found by
itself: it minimises the negative log-likelihood of the decisions among the children of the nodes at that depth, each
given its node. That is a convex function of one number, the inverse temperature, and Newton's method finds its
minimum. A voxel labelled with an inner node informs the decisions above that node only; soft labels count
with their probabilities.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from softseg.calibration.sampling import Sample
from softseg.soft.branches import CHUNK, Decisions
from softseg.soft.calibration import COLDEST, HOTTEST, decisions_of
from softseg.tree import LabelTree
from softseg.types import FloatArray

SMALLEST = 1e-7
"""Smallest probability relative to the largest sibling, smaller ones are raised to it: float32's step at 1 (ours)."""

_STEPS = 50
_CLOSE = 1e-6

_Decision = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Logarithms of the probabilities of siblings ``[k, m]`` relative to the largest, and what the labels give to each."""


def fit(sample: Sample, tree: LabelTree) -> tuple[float, ...]:
    """Return the temperature of each level of decisions, the one at the root first.

    A level without any label gets 1.
    """
    decisions = decisions_of(tree)
    gathered: list[list[_Decision]] = [[] for _ in decisions.levels]
    for depth, decision in _decisions(sample, decisions):
        gathered[depth].append(decision)
    return tuple(_temperature(level) for level in gathered)


def log_losses(sample: Sample, tree: LabelTree) -> list[float]:
    """Return the mean negative log-likelihood of the decisions at each level, in nats; nan without labels."""
    decisions = decisions_of(tree)
    loss, weight = np.zeros(len(decisions.levels)), np.zeros(len(decisions.levels))
    for depth, (logs, truth) in _decisions(sample, decisions):
        loss[depth] += _loss([(logs, truth)], 1.0)
        weight[depth] += truth.sum()
    with np.errstate(invalid="ignore"):
        return [float(value) for value in loss / weight]


def _decisions(sample: Sample, decisions: Decisions) -> Iterator[tuple[int, _Decision]]:
    """Iterate over the labelled decisions, some voxels of one inner node at a time."""
    for first in range(0, sample.voxels, CHUNK):
        part = slice(first, first + CHUNK)
        probabilities = decisions.node_probabilities(sample.probabilities[:, part])
        truth = decisions.probabilities_of_classes(sample.indices[:, part], sample.truth[:, part])
        for depth, level in enumerate(decisions.levels):
            stops = [*level.starts[1:], level.children.stop - level.children.start]
            for start, stop in zip(level.starts, stops, strict=True):
                rows = slice(level.children.start + start, level.children.start + stop)
                labelled = np.flatnonzero(truth[rows].any(axis=0))
                if stop - start > 1 and labelled.size:
                    yield depth, (_logs(probabilities[rows][:, labelled]), truth[rows][:, labelled].astype(np.float64))


def _logs(probabilities: FloatArray) -> npt.NDArray[np.float64]:
    largest = np.maximum(probabilities.max(axis=0), np.finfo(np.float32).tiny)
    return np.asarray(np.log(np.maximum(probabilities / largest, SMALLEST)), np.float64)


def _temperature(decisions: list[_Decision]) -> float:
    """Return the temperature of one level: Newton's method on the inverse, within its bounds, halved where it fails."""
    low, high = 1 / HOTTEST, 1 / COLDEST
    if not decisions:
        return 1.0
    inverse = 1.0
    for _ in range(_STEPS):
        slope, curvature = _derivatives(decisions, inverse)
        low, high = (inverse, high) if slope < 0 else (low, inverse)
        wanted = inverse - slope / curvature if curvature > 0 else np.nan
        following = wanted if low < wanted < high else (low * high) ** 0.5
        if abs(following - inverse) <= _CLOSE * inverse:
            return float(1 / following)
        inverse = following
    return float(1 / inverse)


def _loss(decisions: list[_Decision], inverse: float) -> float:
    total = 0.0
    for logs, truth in decisions:
        scaled = logs * inverse
        total += float((truth.sum(axis=0) * np.log(np.exp(scaled).sum(axis=0))).sum() - (truth * scaled).sum())
    return total


def _derivatives(decisions: list[_Decision], inverse: float) -> tuple[float, float]:
    """Return first and second derivative of the negative log-likelihood by the inverse temperature."""
    slope = curvature = 0.0
    for logs, truth in decisions:
        given = np.exp(logs * inverse)
        given /= given.sum(axis=0)
        mean = (given * logs).sum(axis=0)
        weight = truth.sum(axis=0)
        slope += float((weight * mean).sum() - (truth * logs).sum())
        curvature += float((weight * ((given * logs**2).sum(axis=0) - mean**2)).sum())
    return slope, curvature
