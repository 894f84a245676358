"""Paired statistics over subjects: signed ranks with Holm's correction, bootstrap intervals, wins, ties and losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
"""Bootstrap samples (our default)."""

LEVEL = 0.95
"""Confidence of the intervals."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Paired:
    """One variant against the baseline, over subjects that both were evaluated on.

    Attributes
    ----------
    units: subjects.
    mean, baseline: means over them.
    difference: mean of (variant - baseline).
    low, high: its BCa bootstrap interval, 95 %; nan with fewer than two subjects.
    p: two-sided Wilcoxon signed-rank test; nan with fewer than two subjects, 1 where nothing differs.
    wins, ties, losses: subjects on which the variant is better, as good, worse.
    """

    units: int
    mean: float
    baseline: float
    difference: float
    low: float
    high: float
    p: float
    wins: int
    ties: int
    losses: int


def compare_paired(
    variant: Sequence[float] | Numbers,
    baseline: Sequence[float] | Numbers,
    *,
    tie: float = 0.0,
    larger_is_better: bool = True,
    seed: int = 0,
) -> Paired:
    """Compare two methods on the same subjects; pairs with a missing number are left out.

    With few subjects the test cannot become significant whatever the data: with n subjects its smallest p is
    2 ** (1 - n), 0.0625 with five.

    Parameters
    ----------
    variant, baseline: one number per subject, in the same order.
    tie: differences up to this count as ties (for the counts only, not for test and interval).
    larger_is_better: for the counts.
    seed: of the bootstrap.
    """
    one, other = np.asarray(variant, np.float64), np.asarray(baseline, np.float64)
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"expected two lists of one length, got shapes {one.shape} and {other.shape}")
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    if not one.size:
        nothing = float("nan")
        return Paired(0, nothing, nothing, nothing, nothing, nothing, nothing, 0, 0, 0)
    gap = one - other
    low, high = bootstrap_interval(gap, seed)
    better = gap if larger_is_better else -gap
    wins, losses = int((better > tie).sum()), int((better < -tie).sum())
    return Paired(
        units=gap.size,
        mean=float(one.mean()),
        baseline=float(other.mean()),
        difference=float(gap.mean()),
        low=low,
        high=high,
        p=signed_rank_p(gap),
        wins=wins,
        ties=gap.size - wins - losses,
        losses=losses,
    )


def signed_rank_p(differences: Numbers) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test: exact for up to 50 subjects without ties.

    Differences of exactly 0 are left out (Wilcoxon's own way). nan with fewer than two differences, 1 where all are 0.
    """
    if differences.size < 2:
        return float("nan")
    if not differences.any():
        return 1.0
    from scipy.stats import wilcoxon

    return float(wilcoxon(differences, zero_method="wilcox", alternative="two-sided").pvalue)


def bootstrap_interval(values: Numbers, seed: int = 0, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the bootstrap interval of the mean: bias-corrected and accelerated (BCa; Efron 1987), by SciPy.

    nan with fewer than two values; where all are alike, that value twice.
    """
    if values.size < 2:
        return float("nan"), float("nan")
    origin, span = float(values[0]), float(np.ptp(values))
    if span == 0:  # its distribution is one point, for which BCa is not defined
        return origin, origin
    from scipy.stats import bootstrap

    found = bootstrap(
        ((values - origin) / span,),  # tiny spreads would underflow in the acceleration
        np.mean,
        n_resamples=resamples,
        batch=max(1, 2**20 // values.size),
        vectorized=True,
        confidence_level=LEVEL,
        method="BCa",
        random_state=np.random.default_rng(seed),
    ).confidence_interval
    return origin + span * float(found.low), origin + span * float(found.high)


def holm(p: Sequence[float] | Numbers) -> list[float]:
    """Return Holm's adjusted p of a family of tests, in the given order; nan stays nan and does not count."""
    values = np.asarray(p, np.float64)
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    adjusted = np.full(values.size, np.nan)
    largest = 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, float(values[place]) * (known.size - rank)))
        adjusted[place] = largest
    return [float(value) for value in adjusted]
