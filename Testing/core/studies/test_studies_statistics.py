"""Paired statistics against numbers worked out by hand or known from tables."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from softseg.studies.findings.statistics import bootstrap_interval, compare_paired, holm, signed_rank_p

probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_signed_rank_counts_all_signs() -> None:
    """With n differences of one sign the exact two-sided p is 2 / 2**n; else it is counted over all sign patterns."""
    assert signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    differences = np.array([0.5, -0.1, 0.3, 0.4, -0.2, 0.6])
    ranks = np.array([5, 1, 3, 4, 2, 6])
    observed = min(ranks[differences > 0].sum(), ranks[differences < 0].sum())
    sums = [sum(r for r, up in zip(ranks, signs, strict=True) if up) for signs in itertools.product([0, 1], repeat=6)]
    expected = np.mean([min(s, 21 - s) <= observed for s in sums])
    assert signed_rank_p(differences) == pytest.approx(expected)


def test_few_or_equal_subjects() -> None:
    assert np.isnan(signed_rank_p(np.array([0.3])))
    assert signed_rank_p(np.zeros(5)) == 1.0
    assert np.isnan(bootstrap_interval(np.array([1.0]))).all()
    nothing = compare_paired([float("nan")], [1.0])
    assert nothing.units == 0
    assert np.isnan(nothing.difference)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, float("nan")])[:3] == pytest.approx([0.03, 0.06, 0.06])
    assert np.isnan(holm([0.01, float("nan")])[1])
    assert holm([0.6, 0.7]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_keeps_order_and_never_lowers(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(before <= after <= 1 for before, after in zip(p, adjusted, strict=True))
    order = np.argsort(p, kind="stable")
    assert (np.diff(np.array(adjusted)[order]) >= 0).all()


def test_counts_and_missing_pairs() -> None:
    variant, baseline = [0.9, 0.5, 0.501, float("nan")], [0.8, 0.6, 0.5, 0.1]
    result = compare_paired(variant, baseline, tie=0.005)
    assert (result.units, result.wins, result.ties, result.losses) == (3, 1, 1, 1)
    assert result.difference == pytest.approx((0.1 - 0.1 + 0.001) / 3)
    turned = compare_paired(variant, baseline, tie=0.005, larger_is_better=False)
    assert (turned.wins, turned.losses) == (1, 1)
    assert turned.difference == result.difference


@given(probabilities)
@settings(deadline=None, max_examples=8)
def test_exchange_turns_everything_round(values: list[float]) -> None:
    other = [1 - value for value in values]
    one, back = compare_paired(values, other), compare_paired(other, values)
    assert one.difference == pytest.approx(-back.difference)
    assert (one.wins, one.ties, one.losses) == (back.losses, back.ties, back.wins)
    assert one.p == pytest.approx(back.p, nan_ok=True)


def test_interval_is_bca_by_hand() -> None:
    values = np.array([0.1, 0.2, 0.25, 0.3, 0.9, 1.4])  # skewed: percentile and BCa differ
    generator = np.random.default_rng(0)
    means = values[generator.integers(6, size=(200_000, 6))].mean(axis=1)
    bias = norm.ppf((means < values.mean()).mean() / 2 + (means <= values.mean()).mean() / 2)
    left_out = np.array([np.delete(values, place).mean() for place in range(6)])
    gaps = left_out.mean() - left_out
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    ends = bias + norm.ppf([0.025, 0.975])
    expected = np.quantile(means, norm.cdf(bias + ends / (1 - acceleration * ends)))
    assert bootstrap_interval(values, resamples=100_000) == pytest.approx(expected, abs=0.01)
    assert np.abs(np.quantile(means, [0.025, 0.975]) - expected).max() > 0.03


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[0, 0, 0, 1e-300], [1, 1 + 2e-16, 1 + 4e-16], [0.1, 0.1, 0.1, 0.2], [0.0, 1.0]])
def test_intervals_of_values_that_hardly_differ(values: list[float]) -> None:
    low, high = bootstrap_interval(np.array(values, np.float64))
    assert min(values) <= low <= high <= max(values)
    assert bootstrap_interval(np.full(4, 0.3)) == (0.3, 0.3)


def test_interval_covers_the_mean_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    inside = 0
    for trial in range(120):
        low, high = bootstrap_interval(generator.normal(0.3, 1, 30), seed=trial, resamples=400)
        inside += low <= 0.3 <= high
    assert 0.88 <= inside / 120 <= 0.99


def test_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="two lists of one length"):
        compare_paired([1.0], [1.0, 2.0])
