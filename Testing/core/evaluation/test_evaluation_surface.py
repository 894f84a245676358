"""Surface distances against MONAI's own metrics on whole volumes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from monai.metrics import compute_hausdorff_distance, compute_surface_dice

from softseg.evaluation.surface import boxes, joined, single_slice_axis, surface_scores


@pytest.mark.parametrize("value", [4, 23, 44, 100, 101])
@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (5.0, 1.0, 1.5)])
def test_real_structures_score_as_monai_says(brain_values, value, spacing):
    pair = np.roll(brain_values, (1, 1, 0), (0, 1, 2)) == value, brain_values == value
    ours = surface_scores(*pair, spacing, tolerance_mm=3.0)
    there = [torch.from_numpy(mask.astype(np.float32))[None, None] for mask in pair]
    hausdorff = compute_hausdorff_distance(*there, include_background=True, percentile=95, spacing=spacing)
    surface = compute_surface_dice(*there, [3.0], include_background=True, spacing=spacing)
    assert ours == pytest.approx((float(hausdorff), float(surface)), abs=1e-5)
    assert surface_scores(pair[1], pair[0], spacing, tolerance_mm=3.0) == pytest.approx(ours)


def test_the_box_around_a_structure_is_enough(brain_values):
    found = np.roll(brain_values, 2, 1)
    positions = [np.where(side == 44, 1, 0).astype(np.int16) for side in (found, brain_values)]
    box = joined(*(boxes(side, 2)[1] for side in positions))
    assert box is not None
    cropped = surface_scores(found[box] == 44, brain_values[box] == 44, (3.0, 3.0, 3.0))
    assert cropped == pytest.approx(surface_scores(found == 44, brain_values == 44, (3.0, 3.0, 3.0)))


def test_a_mask_lies_on_itself(brain_values):
    mask = brain_values == 44
    assert surface_scores(mask, mask, (1.0, 1.0, 1.0)) == (0.0, 1.0)


def test_there_is_no_distance_to_nothing():
    empty, full = np.zeros((3, 3, 3), bool), np.ones((3, 3, 3), bool)
    assert all(map(math.isnan, surface_scores(empty, empty, (1, 1, 1))))
    hausdorff, surface = surface_scores(full, empty, (1, 1, 1))
    assert math.isnan(hausdorff)
    assert surface == 0.0


def test_a_single_slice_is_judged_in_its_plane():
    first, second = np.zeros((2, 1, 9, 9), bool)
    first[0, 2:7, 2:7] = True
    second[0, 3:6, 3:6] = True
    assert single_slice_axis((1, 9, 9)) == 0
    assert single_slice_axis((4, 9, 9)) is None
    flat = surface_scores(first, second, (5.0, 1.0, 1.0), 0.5, flat_axis=0)
    there = [torch.from_numpy(mask[0].astype(np.float32))[None, None] for mask in (first, second)]
    expected = compute_surface_dice(*there, [0.5], include_background=True, spacing=(1.0, 1.0))
    assert flat[1] == pytest.approx(float(expected))
    assert flat[0] == pytest.approx(math.sqrt(2), abs=0.2)
