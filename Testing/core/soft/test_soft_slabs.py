"""Dense distributions brought to another grid slab by slab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.image import Geometry, Image
from softseg.soft import Slab, SoftLabels, resample_dense_slabs, resample_labels

Helpers = dict[str, Callable[..., Any]]


def whole(slabs: list[Slab], classes: int, shape: tuple[int, int, int], background: int | None = 0) -> np.ndarray:
    assert [slab.rows.start for slab in slabs] == [0, *[slab.rows.stop for slab in slabs[:-1]]]
    assert slabs[-1].rows.stop == shape[0]
    return np.concatenate([slab.dense(classes, shape, background) for slab in slabs], axis=1)


def reference(probability: np.ndarray, source: Geometry, target: Geometry, outside: float) -> np.ndarray:
    image = sitk.Cast(Image(probability, source).to_sitk(), sitk.sitkFloat64)
    grid = (target.size, sitk.Transform(), sitk.sitkLinear, target.origin, target.spacing, target.direction)
    return sitk.GetArrayFromImage(sitk.Resample(image, *grid, outside))


def oriented(geometry: Geometry, orientation: str) -> Geometry:
    return Geometry.of(sitk.DICOMOrient(Image(np.zeros(geometry.shape, np.uint8), geometry).to_sitk(), orientation))


@pytest.mark.parametrize("case", ["LPS", "RSA", "PIL", "oblique"])
@pytest.mark.parametrize("background", [0, 2, None])
def test_slabs_equal_simpleitk_with_background_outside(case: str, background: int | None, helpers: Helpers) -> None:
    source = helpers["turned"]((14, 13, 12), (2.0, 2.0, 2.5))
    dense = helpers["blobs"](4, source.shape)
    if background == 2:
        dense = dense[[2, 1, 0, 3]]
    if case == "oblique":
        target = helpers["turned"]((24, 23, 31), (1.3, 1.5, 1.0), (0.4, 0.5))
    else:
        grid = helpers["turned"]((24, 23, 31), (1.3, 1.5, 1.0))
        target = oriented(replace(grid, origin=tuple(x + 1.7 for x in grid.origin)), case)  # type: ignore[arg-type]
    slabs = list(resample_dense_slabs(dense, source, target, background, most_values=20_000))
    assert len(slabs) > 3
    out = whole(slabs, 4, target.shape, background)
    for class_, probability in enumerate(dense):
        outside = 1.0 if class_ == background else 0.0
        np.testing.assert_allclose(out[class_], reference(probability, source, target, outside), atol=2e-3)


def test_coarser_grids_get_area_averages_as_labels_do(helpers: Helpers) -> None:
    source = helpers["turned"]((16, 15, 14), (1.0, 1.0, 1.0))
    dense = helpers["blobs"](5, source.shape)
    target = source.resampled((2.0, 3.0, 1.5))
    out = whole(list(resample_dense_slabs(dense, source, target, 0)), 5, target.shape)
    expected = resample_labels(SoftLabels.from_dense(dense), source, target).dense()
    np.testing.assert_allclose(out, expected, atol=1e-3)


def test_absent_classes_and_background_are_left_out(helpers: Helpers) -> None:
    source = helpers["turned"]((20, 20, 20), (2.0, 2.0, 2.0))
    dense = np.zeros((6, *source.shape), np.float32)
    dense[0] = 1
    dense[0, 8:12, 8:12, 8:12] = 0.25
    dense[4, 8:12, 8:12, 8:12] = 0.75
    target = source.resampled((1.0, 1.0, 1.0))
    slabs = list(resample_dense_slabs(dense, source, target, 0, most_values=6 * 1600 * 5))
    spoken = [slab for slab in slabs if slab.values.size]
    assert 2 <= len(spoken) <= 4 < len(slabs)
    assert all(slab.classes.tolist() == [0, 4] for slab in spoken)
    assert max(slab.values.size for slab in spoken) < 2 * 5 * 12 * 12
    assert whole(slabs, 6, target.shape).sum(axis=0) == pytest.approx(1)


def test_a_target_outside_the_source_is_background(helpers: Helpers) -> None:
    source = helpers["turned"]((8, 8, 8), (1.0, 1.0, 1.0))
    dense = helpers["blobs"](3, source.shape)
    for angles in ((0.0, 0.0), (0.3, 0.1)):
        target = replace(helpers["turned"]((5, 5, 5), (1.0, 1.0, 1.0), angles), origin=(100.0, 0.0, 0.0))
        out = whole(list(resample_dense_slabs(dense, source, target, 1)), 3, target.shape, 1)
        assert (out[1] == 1).all()
        assert (out[[0, 2]] == 0).all()


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected a distribution of shape \(C, \(3, 2, 1\)\), got \(2, 1, 2, 3\)"):
        next(resample_dense_slabs(np.zeros((2, 1, 2, 3), np.float32), Geometry((1, 2, 3)), Geometry((1, 1, 1))))
