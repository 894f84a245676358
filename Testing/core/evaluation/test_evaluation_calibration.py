"""Reliability curves of predictions whose calibration is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.evaluation.calibration import Reliability


def test_a_calibrated_prediction_has_almost_no_error():
    rng = np.random.default_rng(0)
    confidence = rng.random(400_000, dtype=np.float32)
    truth = (rng.random(confidence.size) < confidence).astype(np.float32)
    curve = Reliability.zeros(1)
    curve.add(confidence, truth)
    assert float(curve.error[0]) < 0.005
    mean_confidence, mean_truth = curve[0].curve
    assert mean_confidence == pytest.approx(mean_truth, abs=0.02)


def test_soft_truth_counts_by_its_probability():
    probability = np.linspace(0, 1, 1001, dtype=np.float32)
    curve = Reliability.zeros(1)
    curve.add(probability, probability)
    assert float(curve.error[0]) == pytest.approx(0, abs=1e-6)


def test_error_of_a_known_case():
    # two bins: 0.1 twice with nothing there (0.1 off), 0.9 twice with everything there (0.1 off)
    curve = Reliability.zeros(1, bins=20)
    curve.add(np.array([0.12, 0.12, 0.92, 0.92], np.float32), np.array([0, 1, 1, 1], np.float32))
    assert float(curve.error[0]) == pytest.approx((abs(0.12 - 0.5) + abs(0.92 - 1)) / 2, abs=1e-6)
    assert curve.count.sum() == 4


def test_no_voxel_has_no_error():
    assert math.isnan(float(Reliability.zeros(1).error[0]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1, width=32)), min_size=2, max_size=40),
    st.integers(1, 39),
)
def test_parts_add_up(pairs, where):
    values = np.array(pairs, np.float32)
    whole, first, second = (Reliability.zeros(1) for _ in range(3))
    whole.add(values[:, 0], values[:, 1])
    first.add(values[:where, 0], values[:where, 1])
    second.add(values[where:, 0], values[where:, 1])
    total = first + second
    assert float(total.error[0]) == pytest.approx(float(whole.error[0]), abs=1e-6)
    assert 0 <= float(whole.error[0]) <= 1
