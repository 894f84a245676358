"""Temperatures by maximum likelihood: known ones are found again, and a general optimiser finds the same."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from softseg.calibration import Sample, fit
from softseg.calibration.fitting import log_losses
from softseg.calibration.report import as_json, reliability
from softseg.soft.calibration import COLDEST, HOTTEST, Calibration
from softseg.tree import LabelTree, Node


def brain() -> LabelTree:
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", value=0),
            Node("brain", "brain", "head"),
            Node("cortex", "cortex", "brain"),
            Node("left", "left cortex", "cortex", value=1),
            Node("right", "right cortex", "cortex", value=2),
            Node("nuclei", "nuclei", "brain", value=10),
            Node("putamen", "putamen", "nuclei", value=3),
            Node("caudate", "caudate", "nuclei", value=4),
            Node("pallidum", "pallidum", "nuclei", value=5),
        ]
    )


def drawn(seed: int, voxels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return true distributions ``[C, n]`` and a class drawn from each."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(6, 0.4), voxels).astype(np.float32).T
    classes = (generator.random(voxels) > np.cumsum(probabilities, axis=0)).sum(axis=0)
    return probabilities, np.minimum(classes, 5).astype(np.uint16)


def sample_of(probabilities: np.ndarray, classes: np.ndarray) -> Sample:
    return Sample(probabilities.astype(np.float32), classes[None], np.ones((1, classes.size), np.float32))


def test_what_was_made_too_sure_is_made_right_again() -> None:
    tree, wrong = brain(), (0.5, 2.0, 0.25)
    probabilities, classes = drawn(0, 40_000)
    spoiled = Calibration(wrong).apply(probabilities.T, tree).T
    found = fit(sample_of(spoiled, classes), tree)
    np.testing.assert_allclose(found, 1 / np.array(wrong), rtol=0.06)
    mended = Calibration(found).apply(np.ascontiguousarray(spoiled.T), tree).T
    before, after = (reliability(sample_of(s, classes), tree) for s in (spoiled, mended))
    for old, new in zip(before, after, strict=True):
        assert new.error < 0.015 < old.error
        assert new.log_loss < old.log_loss
    assert [row["level"] for row in as_json(after)] == [1, 2, 3]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.4, 2.5))
def test_a_general_optimiser_finds_the_same(seed: int, temperature: float) -> None:
    tree = brain()
    probabilities, classes = drawn(seed, 300)
    sample = sample_of(Calibration((temperature,) * 3).apply(np.ascontiguousarray(probabilities.T), tree).T, classes)
    found = fit(sample, tree)

    for depth in range(3):

        def loss(logarithm: float, depth: int = depth) -> float:
            tried = [1.0, 1.0, 1.0]
            tried[depth] = math.exp(logarithm)
            changed = Calibration(tuple(tried)).apply(np.ascontiguousarray(sample.probabilities.T), tree).T
            return log_losses(sample_of(changed, classes), tree)[depth]

        best = minimize_scalar(loss, bounds=(math.log(0.06), math.log(19)), method="bounded").fun
        assert loss(math.log(found[depth])) <= best + 1e-4


def test_inner_and_soft_labels_speak_only_of_the_decisions_above_them() -> None:
    tree = brain()
    probabilities, classes = drawn(2, 5000)
    leaves = sample_of(probabilities, classes)
    inner = tree.class_index("nuclei")
    coarse = np.where(classes >= 3, inner, classes).astype(np.uint16)
    found, fine = fit(sample_of(probabilities, coarse), tree), fit(leaves, tree)
    np.testing.assert_allclose(found[:2], fine[:2], rtol=1e-5)
    only = classes < 3
    assert found[2] == pytest.approx(fit(sample_of(probabilities[:, only], classes[only]), tree)[2], rel=1e-5)
    halves = Sample(
        np.repeat(probabilities, 2, axis=1)[:, ::2],
        np.stack([classes, classes]),
        np.full((2, classes.size), 0.5, np.float32),
    )
    np.testing.assert_allclose(fit(halves, tree), fine, rtol=1e-5)


def test_levels_without_labels_keep_1_and_certain_ones_stay_in_bounds() -> None:
    tree = brain()
    probabilities = np.full((6, 50), 0.02, np.float32)
    probabilities[1] = 0.9
    right = sample_of(probabilities, np.full(50, 1, np.uint16))
    assert all(COLDEST <= value < 0.1 for value in fit(right, tree))
    root = sample_of(probabilities, np.full(50, tree.class_index("brain"), np.uint16))
    assert fit(root, tree)[1:] == (1.0, 1.0)
    wrong = sample_of(np.roll(probabilities, 1, axis=0), np.full(50, 1, np.uint16))
    assert 5 < fit(wrong, tree)[2] <= HOTTEST


def test_nothing_of_a_probability_is_not_infinitely_wrong() -> None:
    probabilities = np.zeros((6, 100), np.float32)
    probabilities[1, :90] = 1
    probabilities[2, 90:] = 1
    sample = sample_of(probabilities, np.full(100, 1, np.uint16))
    assert all(COLDEST <= value <= HOTTEST for value in fit(sample, brain()))
    assert all(math.isfinite(value) for value in log_losses(sample, brain()))
