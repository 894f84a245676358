"""Distributions that will be averaged are kept nearly exactly, whatever order they come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.soft.fine import MOST_KEPT, SCALE, FineStore, side_by_side
from softseg.types import FloatArray


def given_back(stores: list[FineStore], leaves: int, background: int | None, voxels: int) -> list[FloatArray]:
    """Put everything together: float32 ``(voxels, leaves)`` for each store."""
    found = [np.zeros((voxels, leaves), np.float32) for _ in stores]
    if background is not None:
        for whole in found:
            whole[:, background] = 1
    last = -1
    for where, classes, samples in side_by_side(stores):
        assert where[0] > last
        assert (np.diff(where) > 0).all()
        last = int(where[-1])
        for whole, sample in zip(found, samples, strict=True):
            whole[where] = 0
            whole[np.ix_(where, classes)] = sample
    return found


def nodes_off(one: FloatArray, other: FloatArray) -> float:
    """Return the largest difference of a run of neighbouring leaves, which any node of a tree is."""
    off = np.concatenate([np.zeros((len(one), 1)), np.cumsum(one.astype(np.float64) - other, axis=1)], axis=1)
    return float((off.max(axis=1) - off.min(axis=1)).max())


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    leaves=st.sampled_from([2, 7, 135, 300]),
    sharpness=st.sampled_from([0.01, 0.1, 5.0]),
    background=st.booleans(),
)
def test_nodes_are_kept_to_a_step(seed: int, leaves: int, sharpness: float, background: bool) -> None:
    generator = np.random.default_rng(seed)
    bare = int(generator.integers(leaves)) if background else None
    voxels = 8400
    stores, wanted = [], []
    for _ in range(2):
        store = FineStore(leaves, bare, voxels)
        whole = np.zeros((voxels, leaves), np.float32)
        if bare is not None:
            whole[:, bare] = 1
        places = generator.permutation(voxels)[:60]
        for part in np.array_split(places, 3):  # in any order, each with some of the leaves
            classes = np.sort(generator.permutation(leaves)[: max(2, leaves * 2 // 3)])
            part = np.sort(part)
            values = generator.dirichlet(np.full(classes.size, sharpness), part.size).astype(np.float32)
            values[:2] *= np.float32(0.7)  # sums below 1, as behind NormReLU
            store.add(part, classes, np.ascontiguousarray(values.T))
            whole[part] = 0
            whole[np.ix_(part, classes)] = values
        stores.append(store)
        wanted.append(whole)
    for store, one, other in zip(stores, given_back(stores, leaves, bare, voxels), wanted, strict=True):
        assert one.min() >= 0
        assert one.sum(axis=1).max() <= 1 + 1e-6
        assert nodes_off(one, other) <= store.error + 2e-6
        if leaves == 300 and sharpness > 1:  # 200 leaves with a probability each
            assert 1 / SCALE < store.error <= 65 / SCALE
        elif leaves < MOST_KEPT or sharpness < 0.1:
            assert store.error == 1 / SCALE


def test_flat_distributions_take_bounded_room() -> None:
    store = FineStore(1000, None, 50)
    store.add(np.arange(50), np.arange(1000), np.full((1000, 50), 1e-3, np.float32))
    store.finish()
    assert store.nbytes <= 50 * (1 + 4 * MOST_KEPT)
    (found,) = given_back([store], 1000, None, 50)
    assert nodes_off(found, np.full((50, 1000), 1e-3, np.float32)) <= store.error


def test_what_is_background_takes_no_room() -> None:
    store = FineStore(3, 1, 100)
    values = np.tile(np.array([[0], [1], [0]], np.float32), 100)
    values[:, 40] = 0.2, 0.5, 0.3
    store.add(np.arange(100), np.arange(3), values)
    ((voxels, classes, (sample,)),) = side_by_side([store])
    assert (voxels.tolist(), classes.tolist()) == ([40], [0, 1, 2])
    assert sample[0] == pytest.approx([0.2, 0.5, 0.3], abs=1 / SCALE)
    assert store.nbytes == 100 + 3 * 3


def test_where_only_one_says_something_the_other_is_background() -> None:
    stores = [FineStore(2, 0, 8), FineStore(2, 0, 8)]
    stores[1].add(np.array([5]), np.array([1]), np.ones((1, 1), np.float32))
    ((voxels, _, samples),) = side_by_side(stores)
    assert voxels.tolist() == [5]
    assert samples[0].tolist() == [[1, 0]]
    assert samples[1].tolist() == [[0, 1]]
