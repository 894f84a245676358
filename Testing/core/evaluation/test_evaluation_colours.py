"""Reports of cubes are drawn on false colours."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.data.cubes import Cube
from softseg.data.cubes.false_colour import false_colour
from softseg.evaluation.pictures import Stage, labels_figure
from softseg.evaluation.scans import upright_scan
from softseg.evaluation.slices import blend, grey, is_picture
from softseg.image import Geometry, Image

CUBE = np.random.default_rng(0).gamma(2, 100, (9, 1, 12, 14)).astype(np.float32)


def test_a_cube_is_shown_in_its_colours_and_an_image_in_grey() -> None:
    cube = Cube(CUBE, Geometry((14, 12, 1)))
    colours = upright_scan(cube)
    np.testing.assert_array_equal(colours, false_colour(cube))
    turned = Cube(CUBE[:, :, ::-1], Geometry((14, 12, 1), direction=(1, 0, 0, 0, -1, 0, 0, 0, 1), origin=(0, 11, 0)))
    np.testing.assert_array_equal(upright_scan(turned), colours)
    assert is_picture(colours)
    image = upright_scan(Image(CUBE[0], Geometry((14, 12, 1))))
    np.testing.assert_array_equal(image, CUBE[0])
    assert not is_picture(image)


def test_labels_lie_over_colours() -> None:
    colours = grey(
        upright_scan(Cube(CUBE, Geometry((14, 12, 1)))), (1, 12, 14), (slice(0, 1), slice(0, 12), slice(0, 14))
    )
    assert colours.max() <= 1
    labels = np.full((12, 14), -1, np.int16)
    labels[:6] = 0
    out = blend(colours[0], labels, [(0, 255, 0)], opacity=1.0)
    assert (out[:6] == (0, 255, 0)).all()
    np.testing.assert_allclose(out[6:], colours[0, 6:] * 255, atol=1)


@pytest.mark.parametrize("colour", [True, False])
def test_sides_of_a_patient_are_written_on_scans_only(colour: bool) -> None:
    labels = np.zeros((1, 12, 14), np.int16)
    scan = upright_scan(Cube(CUBE, Geometry((14, 12, 1)))) if colour else CUBE[0]
    stage = Stage.of(scan, [labels], (1.0, 1.0, 1.0), {1: [(200, 0, 0)]})
    figure = labels_figure(stage, [("level 1", 1, labels, None)])
    written = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert ({"R", "L"} <= written) != colour
