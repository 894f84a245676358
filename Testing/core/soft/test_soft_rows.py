"""Steps along the first axis equal NumPy's own, bit for bit."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from softseg.soft.rows import cumulate, largest, last_true, raise_to_largest
from softseg.types import BoolArray, FloatArray

SHAPES = st.tuples(st.integers(1, 6), st.integers(0, 5))


@given(arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)))
def test_sums_and_largest_equal_numpys(values: FloatArray) -> None:
    np.testing.assert_array_equal(largest(values), values.argmax(axis=0))
    np.testing.assert_array_equal(cumulate(values.copy()), np.cumsum(values, axis=0, dtype=np.float32))
    np.testing.assert_array_equal(raise_to_largest(values.copy()), np.maximum.accumulate(values, axis=0))


@given(arrays(np.bool_, SHAPES))
def test_the_last_that_is_true(chosen: BoolArray) -> None:
    expected = [max(np.flatnonzero(column), default=-1) for column in chosen.T]
    np.testing.assert_array_equal(last_true(chosen), expected)
