"""Look-ups and counts in parts against those of numpy in one go."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.lookup import look_up, value_counts


@given(
    seed=st.integers(0, 2**32 - 1),
    kind=st.sampled_from([np.uint8, np.uint16, np.int16, np.int64]),
    places=st.integers(1, 300),
    table_kind=st.sampled_from([np.uint8, np.uint16, np.float32]),
)
def test_every_value_is_looked_up(seed: int, kind: type, places: int, table_kind: type) -> None:
    random = np.random.default_rng(seed)
    labels = random.integers(0, min(2 * places, np.iinfo(kind).max) + 1, (3, 5, 7)).astype(kind)
    table = random.integers(0, 256 if random.random() < 0.5 else 60000, places).astype(table_kind)
    found = look_up(labels, table)
    assert found.dtype == table.dtype
    np.testing.assert_array_equal(found, table[np.minimum(labels.astype(int), places - 1)])


@pytest.mark.parametrize("shape", [(0,), (1,), (70, 40, 50)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32])
def test_parts_are_put_together(shape: tuple[int, ...], kind: type) -> None:
    labels = np.random.default_rng(0).integers(0, 200, shape).astype(kind)
    np.testing.assert_array_equal(value_counts(labels), np.bincount(labels.reshape(-1)))
    table = np.arange(1000, 1200, dtype=np.uint16)
    np.testing.assert_array_equal(look_up(labels, table), labels.astype(int) + 1000)
