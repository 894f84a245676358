"""The points that a viewer goes to lie where the tables say, on an oblique and anisotropic grid too."""

from __future__ import annotations

import math

import numpy as np
import pytest

from softseg.evaluation import evaluate
from softseg.image import Geometry, Image, write_image

OBLIQUE = Geometry(
    (24, 26, 20),
    spacing=(1.0, 1.2, 2.0),
    origin=(3.0, -4.0, 5.0),
    direction=(0.0, 1.0, 0.0, 0.8, 0.0, 0.6, 0.6, 0.0, -0.8),
)


def voxel_at(row: dict, prefix: str) -> tuple[int, int, int]:
    """The array index (k, j, i) of a point of the table."""
    ras = [row[f"{prefix}_{axis}"] for axis in "ras"]
    i, j, k, _ = np.linalg.solve(OBLIQUE.affine, [*ras, 1.0])
    assert np.allclose([i, j, k], np.round([i, j, k]), atol=1e-4)
    return round(k), round(j), round(i)


@pytest.fixture
def judged(small_tree, small_values, tmp_path):
    """White matter grew a thick wart and a single far voxel; deep grey is missed; the rest is right."""
    predicted = small_values.copy()
    predicted[small_values == 2] = 3
    predicted[1:4, 1:5, 1:5] = 3
    predicted[18, 24, 22] = 3
    write_image(Image(small_values, OBLIQUE), tmp_path / "reference.nii.gz")
    write_image(Image(predicted, OBLIQUE), tmp_path / "prediction.nii.gz")
    report = evaluate(
        [tmp_path / "prediction.nii.gz"], [tmp_path / "reference.nii.gz"], small_tree, tmp_path / "out", html=False
    )
    return predicted, {row["node"]: row for row in report.nodes if row["level"] == 4}


def test_the_centre_is_a_voxel_of_the_structure(judged, small_values, small_tree):
    _, rows = judged
    for node in ("left-cortex", "right-cortex", "deep", "white"):
        assert small_values[voxel_at(rows[node], "center")] == small_tree.node(node).value


def test_the_error_is_in_the_thick_of_the_wrong_voxels(judged, small_values):
    predicted, rows = judged
    assert predicted[voxel_at(rows["white"], "error")] != small_values[voxel_at(rows["white"], "error")]
    assert small_values[voxel_at(rows["deep"], "error")] == 2
    wart = voxel_at(rows["white"], "error")
    assert wart in {(k, j, i) for k, j, i in np.argwhere((small_values == 2) | (predicted != small_values))}
    assert wart != (18, 24, 22)


def test_a_structure_without_errors_has_no_error_point(judged):
    _, rows = judged
    assert math.isnan(rows["left-cortex"]["error_r"])
