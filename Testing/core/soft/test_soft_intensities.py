"""Intensities weighted by probability: against sums over every voxel of a dense distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.image import Geometry, Image
from softseg.soft import SoftParcellation
from softseg.soft.intensities import NodeIntensities, intensities_on, node_intensity
from softseg.tree import LabelTree

SHAPE = (3, 5, 4)
GRID = Geometry(SHAPE[::-1], (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))


def stored(tree: LabelTree, seed: int) -> tuple[SoftParcellation, np.ndarray]:
    """Return a parcellation of probabilities that can be stored as they are, and these: ``(C, k, j, i)``."""
    generator = np.random.default_rng(seed)
    counts = generator.multinomial(255, generator.dirichlet(np.full(len(tree.leaves), 0.3), SHAPE))
    counts[counts[..., 0] >= 250] = [255] + [0] * (len(tree.leaves) - 1)  # what lies beside is not stored there
    dense = np.moveaxis(counts, -1, 0).astype(np.float32) / np.float32(255)
    return SoftParcellation.from_dense(dense, tree, GRID, k=len(tree.leaves)), dense


def median_by_copies(values: np.ndarray, steps: np.ndarray) -> float:
    """The median of a list that holds every value as often as its weight says."""
    return float(np.median(np.repeat(values.ravel(), steps.ravel())))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.integers(2, 400))
def test_they_are_those_of_the_dense_distribution(small_tree: LabelTree, seed: int, levels: int) -> None:
    parcellation, dense = stored(small_tree, seed)
    values = np.random.default_rng(seed + 1).integers(0, levels, SHAPE).astype(np.float32)
    measured = NodeIntensities(parcellation, values)
    for node in small_tree.nodes:
        probability = dense[small_tree.leaf_slice(node.id)].astype(np.float64).sum(axis=0)
        found = node_intensity(parcellation, node.id, values)
        one_by_one = (found.mean, found.std, found.median, found.voxels)
        together = measured.of(node.id)
        assert (together.mean, together.std, together.median, together.voxels) == pytest.approx(
            one_by_one, rel=1e-5, abs=1e-6, nan_ok=True
        )
        steps = np.rint(probability * 255).astype(int)
        if steps.sum() == 0:
            assert found.voxels == 0
            assert math.isnan(found.mean)
            continue
        mean = (probability * values).sum() / probability.sum()
        assert found.mean == pytest.approx(mean, rel=1e-6, abs=1e-6)
        assert found.std == pytest.approx(
            math.sqrt((probability * (values - mean) ** 2).sum() / probability.sum()), abs=1e-4
        )
        assert found.voxels == pytest.approx(probability.sum(), rel=1e-6)
        assert found.median == median_by_copies(values, steps)


def test_voxels_outside_the_scan_and_without_a_number_do_not_count(small_tree: LabelTree) -> None:
    parcellation, _dense = stored(small_tree, 3)
    values = np.arange(60, dtype=np.float32).reshape(SHAPE)
    holes = values.copy()
    holes[0], holes[1, 0, 0] = np.nan, np.inf
    found = node_intensity(parcellation, "head", holes)
    assert found.voxels == pytest.approx(39)
    assert found.mean == pytest.approx(values[1:].ravel()[1:].mean())
    nothing = node_intensity(parcellation, "head", np.full(SHAPE, np.nan, np.float32))
    assert nothing.voxels == 0
    assert math.isnan(nothing.median)


def test_a_scan_on_the_grid_is_taken_as_it_is_and_another_is_interpolated() -> None:
    values = np.random.default_rng(0).integers(-1000, 3000, SHAPE).astype(np.int16)
    same = intensities_on(Image(values, GRID), GRID)
    np.testing.assert_array_equal(same, values)
    ramp = Image(np.arange(40, dtype=np.float32).reshape(1, 1, 40).repeat(8, 0).repeat(8, 1), Geometry((40, 8, 8)))
    fine = Geometry((10, 4, 4), (0.5, 1.0, 1.0), (30.0, 2.0, 2.0))
    np.testing.assert_allclose(intensities_on(ramp, fine)[0, 0], 30 + 0.5 * np.arange(10), atol=1e-4)
    beyond = Geometry((10, 4, 4), (1.0, 1.0, 1.0), (35.0, 2.0, 2.0))
    assert np.isnan(intensities_on(ramp, beyond)[0, 0, 5:]).all()
    assert np.isfinite(intensities_on(ramp, beyond)[0, 0, :5]).all()


def test_large_whole_numbers_keep_their_places(small_tree: LabelTree) -> None:
    parcellation, _dense = stored(small_tree, 5)
    values = np.full(SHAPE, 2**24 + 1, np.int32)
    found = node_intensity(parcellation, "head", intensities_on(Image(values, GRID), GRID))
    assert (found.mean, found.median, found.std) == (2**24 + 1, 2**24 + 1, 0)


def test_what_does_not_fit_is_refused(small_tree: LabelTree) -> None:
    parcellation, _dense = stored(small_tree, 1)
    with pytest.raises(ValueError, match="expected intensities of shape"):
        node_intensity(parcellation, "head", np.zeros((2, 2, 2), np.float32))
    with pytest.raises(InputError, match="absent"):
        node_intensity(parcellation, "absent", np.zeros(SHAPE, np.float32))
