"""Weights along an axis: averages over the target's voxels, of what the source has, and of nothing else."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from softseg.image import Geometry, Image
from softseg.soft.grids import AxisWeights
from softseg.soft.resample import resample_image


@given(
    target=st.integers(1, 12),
    source=st.integers(1, 12),
    scale=st.floats(-30, 30).filter(lambda scale: abs(scale) > 1e-3),
    offset=st.floats(-40, 40),
)
def test_weights_are_overlaps_of_voxels(target: int, source: int, scale: float, offset: float) -> None:
    found = AxisWeights.of(target, source, scale, offset)
    dense = np.zeros((target, source))
    for row, (indices, weights) in enumerate(zip(found.indices, found.weights, strict=True)):
        for index, weight in zip(indices, weights, strict=True):
            if weight > 0:
                dense[row, index] += weight
    width = max(1.0, abs(scale))
    for row in range(target):
        centre = offset + scale * row
        if min(abs(centre + 0.5), abs(centre - source + 0.5)) < 1e-3:
            continue  # on the border, where rounding decides
        overlap = [max(0.0, min(centre + width / 2, n + 0.5) - max(centre - width / 2, n - 0.5)) for n in range(source)]
        inside = -0.5 < centre < source - 0.5
        expected = np.asarray(overlap) / sum(overlap) if inside else np.zeros(source)
        np.testing.assert_allclose(dense[row], expected, atol=2e-3)


def test_voxels_of_nothing_are_averaged_without_more_memory_than_the_source_has() -> None:
    source = Geometry((4, 3, 2), (1e-30, 1.0, 1.0), (0.0, 0.0, 0.0))
    target = Geometry((1, 3, 2), (2.0, 1.0, 1.0), (0.0, 0.0, 0.0))
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    found = resample_image(Image(array, source), target).array
    np.testing.assert_allclose(found[..., 0], array.mean(axis=-1), atol=1e-4)
