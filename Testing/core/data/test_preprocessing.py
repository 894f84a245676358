"""From files to network input: geometry, normalisation, and images that are refused."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.data import Plan, preprocess_images
from softseg.data.plan import Crop, Normalization
from softseg.data.preprocess import crop_box, normalize
from softseg.errors import InputError
from softseg.image import Geometry, Image, reorient


def plan_of(**changes) -> Plan:
    content = {
        "channels": ("T1",),
        "spacing": (1.0, 1.0, 1.0),
        "patch_size": (16, 16, 16),
        "normalization": {"T1": {"kind": "z-score"}},
    }
    return Plan.model_validate({**content, **changes})


def image_of(array, **grid) -> Image:
    return Image(array, Geometry(size=array.shape[::-1], **grid))


def mark_of(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """LPS position (mm) of the brightest voxel."""
    k, j, i = np.unravel_index(array.argmax(), array.shape)
    return (geometry.ijk_to_lps() @ [i, j, k, 1])[:3]


ROTATION = sitk.Euler3DTransform((0, 0, 0), 0.1, -0.2, 0.15).GetMatrix()


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SLA"])
@pytest.mark.parametrize("crop", ["none", "nonzero", "center"])
@pytest.mark.parametrize("oblique", [False, True])
def test_a_marked_voxel_stays_where_it_is(orientation, crop, oblique):
    array = np.zeros((24, 20, 22), np.float32)
    array[4:20, 5:17, 6:18] = 1
    array[12, 11, 9] = 50
    image = image_of(
        array,
        spacing=(1.0, 1.0, 1.0),
        origin=(5, -7, 11),
        direction=ROTATION if oblique else (1, 0, 0, 0, 1, 0, 0, 0, 1),
    )
    image = reorient(image, orientation)
    plan = plan_of(crop=Crop(kind=crop, margin_mm=2, size_mm=(12, 12, 12)))
    out, geometry = preprocess_images([image], plan)
    assert out.shape == (1, *geometry.shape)
    assert out.dtype == np.float32
    np.testing.assert_allclose(mark_of(out[0], geometry), mark_of(image.array, image.geometry), atol=1e-6)
    if crop != "none":
        assert out.size < array.size


def test_a_box_around_the_middle_is_normalised_by_itself():
    array = np.random.default_rng(0).normal(100, 10, (6, 40, 40)).astype(np.float32)
    array[:, :10] += 1000
    out, _ = preprocess_images([image_of(array)], plan_of(crop=Crop(kind="center", size_mm=(None, 16, 16))))
    inside = array[:, 12:28, 12:28]
    np.testing.assert_allclose(out[0], (inside - inside.mean()) / inside.std(), atol=1e-4)


def test_resampling_keeps_the_mark_within_half_a_voxel():
    array = np.zeros((30, 30, 30), np.float32)
    array[14:18, 8:12, 20:24] = 1
    image = image_of(array, spacing=(0.5, 1.0, 0.7))
    out, geometry = preprocess_images([image], plan_of(spacing=(2.0, 2.0, 2.0)))
    np.testing.assert_allclose(geometry.spacing, 2.0)
    points = np.stack(np.meshgrid(*map(np.arange, out.shape[1:]), indexing="ij"), -1)[..., ::-1]
    weight = out[0] - out[0].min()
    where = (points * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    centre = (geometry.ijk_to_lps() @ [*where, 1])[:3]
    np.testing.assert_allclose(centre, np.array([21.5, 9.5, 15.5]) * [0.5, 1.0, 0.7], atol=0.15)


def test_null_spacing_keeps_the_slices():
    array = np.random.default_rng(0).normal(size=(7, 30, 30)).astype(np.float32)
    image = image_of(array, spacing=(0.5, 0.5, 4.0))
    out, geometry = preprocess_images(
        [image], plan_of(dimensions=2, spacing=(None, 0.5, 0.5), patch_size=(16, 16), orientation="LPS")
    )
    assert out.shape == (1, 7, 30, 30)
    assert geometry.spacing_kji == (4.0, 0.5, 0.5)
    np.testing.assert_allclose(out[0], (array - array.mean()) / array.std(), atol=1e-5)


def test_zscore_inside_agrees_with_monai():
    from monai.transforms import NormalizeIntensity

    array = np.random.default_rng(0).normal(100, 20, (12, 12, 12)).astype(np.float32)
    array[:6] = 0
    mine = normalize(array, Normalization(kind="z-score-nonzero"))
    theirs = np.asarray(NormalizeIntensity(nonzero=True)(array.copy()))
    np.testing.assert_allclose(mine[6:], theirs[6:], atol=1e-4)
    assert np.unique(mine[:6]).size == 1
    assert mine[0, 0, 0] < mine[6:].min()


def test_percentiles_and_windows():
    array = np.linspace(0, 1000, 1001, dtype=np.float32).reshape(7, 11, 13)
    how = normalize(array, Normalization(kind="percentile", lower=10, upper=90))
    assert (how.min(), how.max()) == (-1, 1)
    assert np.median(how) == pytest.approx(0, abs=1e-5)
    ct = normalize(array, Normalization(kind="ct", lower=100, upper=200, mean=150, sd=10))
    assert (ct.min(), ct.max()) == (-5, 5)
    integers = normalize(array.astype(np.uint16), Normalization(kind="z-score"))
    np.testing.assert_allclose(integers, normalize(array, Normalization(kind="z-score")), atol=1e-5)


def test_the_box_of_an_empty_image_is_everything():
    box = crop_box([np.zeros((3, 4, 5))], (1, 1, 1), Crop(kind="nonzero"))
    assert box == (slice(0, 3), slice(0, 4), slice(0, 5))


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda a: a.__setitem__((1, 2, 3), np.nan), "t1.nii: channel T1: 1 voxels are NaN or infinite"),
        (lambda a: a.__setitem__((1, 2, 3), np.inf), "t1.nii: channel T1: 1 voxels are NaN or infinite"),
        (lambda a: a.fill(7), "t1.nii: channel T1: the image is constant"),
    ],
)
def test_bad_voxels_are_refused(spoil, expected):
    array = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    spoil(array)
    with pytest.raises(InputError) as caught:
        preprocess_images([image_of(array)], plan_of(), ["t1.nii"])
    assert expected in str(caught.value)


def test_channels_must_be_there_and_lie_on_one_grid():
    array = np.random.default_rng(0).normal(size=(8, 8, 8)).astype(np.float32)
    plan = plan_of(channels=("T1", "T2"), normalization={"T1": {}, "T2": {}})
    with pytest.raises(InputError, match=r"expected 2 channels \(T1, T2\), got 1"):
        preprocess_images([image_of(array)], plan, ["a.nii"])
    moved = image_of(array, origin=(3.0, 0, 0))
    with pytest.raises(InputError, match=r"b\.nii: channel T2: lies on another grid than channel T1"):
        preprocess_images([image_of(array), moved], plan, ["a.nii", "b.nii"])
    almost = image_of(array, origin=(0.05, 0, 0))
    assert preprocess_images([image_of(array), almost], plan)[0].shape == (2, 8, 8, 8)
