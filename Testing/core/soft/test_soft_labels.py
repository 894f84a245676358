"""SoftLabels: distributions in a few slots."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.soft import SoftLabels
from softseg.types import IGNORE_INDEX


def test_crisp_labels_become_probabilities_and_come_back() -> None:
    array = np.array([[[0, 4], [IGNORE_INDEX, 2]]])
    labels = SoftLabels.from_class_indices(array, 5)
    assert labels.slots == 1
    assert labels.shape == (1, 2, 2)
    assert labels.total().ravel().tolist() == [1, 1, 0, 1]
    assert labels.largest().tolist() == array.tolist()
    assert labels.dense()[:, 0, 1, 0].sum() == 0
    assert labels.volumes().tolist() == [1, 0, 1, 0, 1]


@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(1, 12), st.booleans())
@settings(max_examples=40, deadline=None)
def test_the_largest_probabilities_are_kept_unchanged(seed: int, classes: int, k: int, sparse: bool) -> None:
    random = np.random.default_rng(seed)
    dense = random.dirichlet(np.full(classes, 0.3), (3, 2, 2)).transpose(3, 0, 1, 2).astype(np.float32)
    dense /= max(1, dense.sum(axis=0).max())
    if sparse:
        dense[:, 0] = 0
    labels = SoftLabels.from_dense(dense, k=k)
    labels.check()
    back = labels.dense()
    kept = back > 0
    assert np.array_equal(back[kept], dense[kept])
    assert (np.diff(labels.probabilities, axis=0) <= 0).all()
    dropped = np.sort(dense, axis=0)[: max(0, classes - k)].sum(axis=0)
    np.testing.assert_allclose(back.sum(axis=0), dense.sum(axis=0) - dropped, atol=1e-6)


def test_dense_over_the_leaves_refuses_inner_nodes() -> None:
    labels = SoftLabels.from_class_indices(np.array([[[0, 5]]]), 6)
    with pytest.raises(ValueError, match="a voxel holds class 5, expected less than 5"):
        labels.dense(5)


def test_cropping_copies_nothing() -> None:
    labels = SoftLabels.from_class_indices(np.arange(24).reshape(2, 3, 4), 24)
    part = labels.cropped((slice(1, 2), slice(0, 2), slice(3, 4)))
    assert part.largest().ravel().tolist() == [15, 19]
    assert np.shares_memory(part.indices, labels.indices)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([[0.5], [0.7]], "sum to at most 1"),
        ([[1.2], [0.0]], "probabilities in 0..1"),
        ([[-0.1], [0.0]], "probabilities in 0..1"),
        ([[np.nan], [0.0]], "probabilities in 0..1"),
    ],
)
def test_check_says_what_is_wrong(probabilities: list[list[float]], message: str) -> None:
    labels = SoftLabels(np.array([[0], [1]], np.uint16), np.array(probabilities, np.float32), 2)
    with pytest.raises(ValueError, match=message):
        labels.check()


def test_construction_refuses_other_types_and_shapes() -> None:
    with pytest.raises(ValueError, match="uint16 indices and float32 probabilities, got int64"):
        SoftLabels(np.zeros((1, 2), int), np.zeros((1, 2), np.float32), 2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of one shape"):
        SoftLabels(np.zeros((1, 2), np.uint16), np.zeros((1, 3), np.float32), 2)
    with pytest.raises(ValueError, match=r"class indices in 0..2 or -1, got -2..1"):
        SoftLabels.from_class_indices(np.array([-2, 1]), 3)
    with pytest.raises(ValueError, match="integer class indices, got float64"):
        SoftLabels.from_class_indices(np.array([0.5]), 3)
