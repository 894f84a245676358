"""The nearest voxel with any of the leaves: against all distances, near and far."""

from __future__ import annotations

import numpy as np
from correction_cases import patient
from hypothesis import given
from hypothesis import strategies as st

from softseg.soft.corrections.nearest import nearest_voxels


@patient
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 90)),
    spacing=st.tuples(*[st.sampled_from([0.3, 0.9375, 1.0, 1.2, 5.0])] * 3),
    probability=st.sampled_from([0.0, 0.002, 0.05, 0.6]),
)
def test_the_nearest_is_found_however_far(
    seed: int, shape: tuple[int, int, int], spacing: tuple[float, float, float], probability: float
) -> None:
    random = np.random.default_rng(seed)
    there = random.random(shape) < probability
    asking = np.flatnonzero(~there & (random.random(shape) < 0.3))
    if not asking.size:
        return

    def presence(low: tuple[int, int, int], high: tuple[int, int, int]) -> np.ndarray:
        return there[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]

    found = nearest_voxels(asking, presence, shape, spacing)
    sources = np.argwhere(there)
    if not len(sources):
        assert (found == -1).all()
        return
    places = np.stack(np.unravel_index(asking, shape), axis=1)
    squares = ((places[:, None].astype(float) - sources) ** 2 * np.square(spacing)).sum(axis=2)
    near = squares <= squares.min(axis=1, keepdims=True) * (1 + 1e-9) + 1e-12
    expected = np.ravel_multi_index(tuple(sources[near.argmax(axis=1)].T), shape)  # the first in C order
    np.testing.assert_array_equal(found, expected)
