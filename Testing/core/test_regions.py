"""Regions of labels: boxes against numpy, and digests that follow the shape of each label alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from softseg.regions import label_regions

_SMALL = arrays(np.uint8, st.tuples(*[st.integers(1, 5)] * 3), elements=st.integers(0, 4))


@given(_SMALL)
def test_the_box_is_the_smallest_that_holds_the_label(labels):
    found = label_regions(labels, range(1, 8))
    assert set(found) == set(np.unique(labels).tolist()) - {0}
    for value, region in found.items():
        voxels = np.argwhere(labels == value)
        assert [part.start for part in region.box] == voxels.min(axis=0).tolist()
        assert [part.stop - 1 for part in region.box] == voxels.max(axis=0).tolist()


@given(_SMALL, st.data())
def test_a_digest_changes_with_the_shape_of_its_label_alone(labels, data):
    place = tuple(data.draw(st.integers(0, size - 1)) for size in labels.shape)
    changed = labels.copy()
    changed[place] = data.draw(st.integers(0, 4))
    before, after = label_regions(labels, range(1, 5)), label_regions(changed, range(1, 5))
    for value in range(1, 5):
        same = np.array_equal(labels == value, changed == value)
        assert (before.get(value) == after.get(value)) == same


def test_the_same_shape_elsewhere_is_another_region():
    labels = np.zeros((4, 4, 4), np.uint16)
    labels[0, 0, 0], labels[2, 2, 2] = 300, 7
    found = label_regions(labels, [300, 7, 9])
    assert set(found) == {300, 7}
    assert found[300].digest != found[7].digest


def test_values_begin_with_one():
    with pytest.raises(ValueError, match="begin with 1, got 0"):
        label_regions(np.zeros((1, 1, 1), np.uint8), [0, 2])
    assert label_regions(np.zeros((1, 1, 1), np.uint8), []) == {}
