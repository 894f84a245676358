"""Images in memory give what their files give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from prediction_kit import CENTRE, STRAIGHT, Intensity, grid, make_model, positions
from scipy.spatial.transform import Rotation

import softseg
from softseg.errors import CancelledError, InputError
from softseg.events import CancelToken, Events
from softseg.image import read_image
from softseg.prediction import predict_case

OBLIQUE = Rotation.from_euler("xyz", [12, -20, 31], degrees=True).as_matrix()
GRIDS = {"straight": STRAIGHT, "oblique": grid(OBLIQUE, (1.4, 1.4, 1.4), (40, 40, 44))}


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("read", [sitk.ReadImage, nibabel.load, read_image], ids=["SimpleITK", "nibabel", "softseg"])
def test_images_of_each_library_give_what_the_file_gives(
    read: Callable[[Path], Any], name: str, scan: Callable[..., Path]
) -> None:
    file = scan(geometry=GRIDS[name])
    expected = predict_case(make_model(), [file]).parcellation
    found = softseg.predict(read(file), make_model())
    assert found.geometry.same_grid(expected.geometry)
    for node in ("bg", "ball"):
        np.testing.assert_allclose(found.probability(node), expected.probability(node), atol=1.01 / 255)


def test_an_array_lies_where_its_spacing_puts_it(scan: Callable[..., Path]) -> None:
    file = scan()
    image = read_image(file)
    found = softseg.predict(image.array, make_model(), spacing=image.geometry.spacing)
    expected = predict_case(make_model(), [file]).parcellation
    assert (found.geometry.spacing, found.geometry.origin) == (image.geometry.spacing, (0.0, 0.0, 0.0))
    np.testing.assert_allclose(found.probability("ball"), expected.probability("ball"), atol=1.01 / 255)


def test_channels_are_taken_in_the_order_of_the_list(scan: Callable[..., Path]) -> None:
    model = make_model(Intensity((0.0, 1.0)), channels=("A", "B"))
    images = [sitk.ReadImage(scan("a.nii.gz", centre=np.array([-10.0, 8.0, -9.0]))), sitk.ReadImage(scan("b.nii.gz"))]
    probability = softseg.predict(images, model).probability("ball")
    np.testing.assert_allclose(
        (positions(STRAIGHT) * probability).reshape(3, -1).sum(axis=1) / probability.sum(), CENTRE, atol=0.5
    )


def test_what_is_wrong_is_named(scan: Callable[..., Path]) -> None:
    image = sitk.ReadImage(scan())
    colours = sitk.Compose(image, image, image)
    holes = sitk.GetArrayFromImage(image)
    holes[3, 4, 5] = np.nan
    for given, said in (
        ([], "there is no image"),
        (colours, "has 3 values a voxel"),
        (holes, "an array has no voxel size"),
        (holes[0], "has the shape"),
        ("scan.nii.gz", "is a str"),
        ([image, image], "expected 1 images"),
    ):
        with pytest.raises(InputError, match=said):
            softseg.predict(given, make_model())
    with pytest.raises(InputError, match="holds NaN or infinity"):
        softseg.predict(holes, make_model(), spacing=(1, 1, 1))
    with pytest.raises(InputError, match="three numbers above 0"):
        softseg.predict(np.nan_to_num(holes), make_model(), spacing=(1, 0, 1))


def test_options_whose_results_nobody_would_get_and_images_without_a_place_are_refused(
    scan: Callable[..., Path],
) -> None:
    image = sitk.ReadImage(scan())
    for options, said in (({"nodes": ("ball",)}, "nodes: is no option"), ({"cut": "1"}, "cut: is no option")):
        with pytest.raises(InputError, match=said):
            softseg.predict(image, make_model(), **options)
    with pytest.raises(InputError, match="fast: loaded models are taken as they are"):
        softseg.predict(image, make_model(), fast=True)
    numbers = np.ones((8, 8, 8), np.float32)
    for affine in (None, np.diag([1.0, 0.0, 1.0, 1.0]), np.full((4, 4), np.nan)):
        with pytest.raises(InputError, match="has no affine that places its voxels"):
            softseg.predict(nibabel.spatialimages.SpatialImage(numbers, affine), make_model())


def test_warnings_are_pythons_and_events_can_cancel(scan: Callable[..., Path]) -> None:
    coarse = sitk.ReadImage(scan(geometry=grid(np.eye(3), (1.0, 1.0, 9.0), (52, 52, 8))))
    with pytest.warns(UserWarning, match="mm"):
        softseg.predict(coarse, make_model())
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        softseg.predict(coarse, make_model(), events=Events(cancel=token))
