"""The stored outlier score: its steps never move a voxel across the threshold, and old files stay readable."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers, as_steps, score_range
from softseg.tree import LabelTree
from softseg.types import OUTLIER_VALUE

Helpers = dict[str, Callable[..., Any]]
SHAPE = (5, 6, 7)
numbers = st.floats(-1e4, 1e4, allow_nan=False)


def stored_scores(scores: np.ndarray, threshold: float, low: float, high: float) -> StoredOutliers:
    low, high = score_range(threshold, low, high)
    steps = as_steps(((scores - low) / (high - low)).astype(np.float32))
    return StoredOutliers.of_volume(steps, "energy", threshold, low, high)


@given(threshold=numbers, low=numbers, high=numbers, seed=st.integers(0, 99))
def test_rounding_never_moves_a_voxel_across_the_threshold(
    threshold: float, low: float, high: float, seed: int
) -> None:
    scores = np.random.default_rng(seed).uniform(min(threshold, low) - 1, max(threshold, high) + 1, SHAPE)
    stored = stored_scores(scores, threshold, low, high)
    assert stored.low < threshold < stored.high
    clear = np.abs(scores - threshold) > 1e-3 * (stored.high - stored.low)
    np.testing.assert_array_equal(stored.mask()[clear], (scores > threshold)[clear])
    np.testing.assert_array_equal(stored.degree() > np.float32(threshold), stored.mask())


@given(threshold=st.floats(0.1, 0.9), chosen=st.floats(-0.5, 1.5))
def test_scores_are_off_by_half_a_step_and_any_threshold_may_be_chosen(threshold: float, chosen: float) -> None:
    scores = np.random.default_rng(0).uniform(0, 1, SHAPE)
    stored = stored_scores(scores, threshold, 0.0, 1.0)
    assert (stored.low, stored.high) == (0, pytest.approx(1, abs=0.15))
    inside = scores < stored.high
    half = (stored.high - stored.low) / 255 / 2
    np.testing.assert_allclose(stored.degree()[inside], scores[inside], atol=half * 1.01)
    np.testing.assert_array_equal(stored.mask(chosen), stored.degree().astype(np.float64) > np.float32(chosen))


def test_only_the_box_of_strange_voxels_is_stored() -> None:
    steps = np.zeros(SHAPE, np.uint8)
    steps[1:3, 2, 4:6] = [[9, 0], [7, 255]]
    stored = StoredOutliers.of_volume(steps, "entropy", 0.5, 0.0, 1.0)
    assert (stored.start, stored.steps.shape) == ((1, 2, 4), (2, 1, 2))
    np.testing.assert_allclose(stored.degree(), steps / 255, atol=1e-6)
    assert StoredOutliers.of_volume(np.zeros(SHAPE, np.uint8), "entropy", 0.5, 0, 1).steps.size == 0


@pytest.fixture
def parcellation(small_tree: LabelTree, helpers: Helpers) -> SoftParcellation:
    grid = Geometry(SHAPE[::-1])
    found = SoftParcellation.from_dense(helpers["blobs"](6, SHAPE), small_tree, grid)
    scores = np.random.default_rng(1).uniform(0, 4, SHAPE)
    return replace(found, outliers=stored_scores(scores, 3.0, 0.1, 3.7))


def test_labels_change_only_where_there_are_outliers(parcellation: SoftParcellation) -> None:
    assert parcellation.outliers is not None
    plain, marked, beyond = parcellation.labels(2), parcellation.labels(2, outliers=True), parcellation.outliers.mask()
    assert 0 < beyond.sum() < beyond.size
    assert (marked[beyond] == OUTLIER_VALUE).all()
    np.testing.assert_array_equal(marked[~beyond], plain[~beyond])


def test_without_background_outliers_are_unlabelled(small_tree: LabelTree, helpers: Helpers) -> None:
    tree = small_tree.remove("background")
    found = SoftParcellation.from_dense(helpers["blobs"](5, SHAPE), tree, Geometry(SHAPE[::-1]))
    scores = np.where(np.indices(SHAPE)[0] > 2, 5.0, 0.0)
    found = replace(found, outliers=stored_scores(scores, 3.0, 0.0, 4.0))
    assert (found.labels(1, outliers=True)[3:] == 0).all()
    assert (found.labels(1, outliers=True)[:3] > 0).all()


def test_labels_with_outliers_need_a_score(parcellation: SoftParcellation) -> None:
    with pytest.raises(InputError, match="holds no outlier score; predict it with --outliers"):
        replace(parcellation, outliers=None).labels(1, outliers=True)


def test_a_score_of_another_grid_is_refused(parcellation: SoftParcellation) -> None:
    other = StoredOutliers.of_volume(np.ones((2, 2, 2), np.uint8), "energy", 0.5, 0, 1)
    with pytest.raises(ValueError, match=r"expected outlier scores of shape \(5, 6, 7\)"):
        replace(parcellation, outliers=other)


def test_round_trip_and_versions(parcellation: SoftParcellation, tmp_path: Path) -> None:
    def version(file: Path) -> int:
        with np.load(file) as archive:
            return int(json.loads(archive["header"].tobytes())["version"])

    file = parcellation.save(tmp_path / "with.soft.npz")
    back, own = SoftParcellation.load(file).outliers, parcellation.outliers
    assert back is not None
    assert own is not None
    assert (back.score_name, back.threshold, back.low, back.high) == ("energy", own.threshold, own.low, own.high)
    np.testing.assert_array_equal(back.degree(), own.degree())
    assert version(file) == 2
    plain = replace(parcellation, outliers=None).save(tmp_path / "without.soft.npz")
    assert version(plain) == 1
    assert SoftParcellation.load(plain).outliers is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 4.0}, "expected finite low < high"),
        ({"high": float("nan")}, "expected finite low < high"),
        ({"start": [4, 0, 0]}, "expected a box inside"),
        ({"score": None, "threshold": "x"}, "could not convert"),
    ],
)
def test_damaged_headers(change: dict[str, Any], message: str, parcellation: SoftParcellation, tmp_path: Path) -> None:
    file = parcellation.save(tmp_path / "with.soft.npz")
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["header"].tobytes())
    header["outliers"] |= change
    arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(file, **arrays)
    with pytest.raises(InputError, match=message):
        SoftParcellation.load(file)


@pytest.mark.parametrize(("lost", "message"), [("array", "it lacks 'outliers'"), ("header", "does not describe")])
def test_a_score_without_its_other_half(
    lost: str, message: str, parcellation: SoftParcellation, tmp_path: Path
) -> None:
    file = parcellation.save(tmp_path / "with.soft.npz")
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    if lost == "array":
        del arrays["outliers"]
    else:
        header = json.loads(arrays["header"].tobytes())
        del header["outliers"]
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(file, **arrays)
    with pytest.raises(InputError, match=message):
        SoftParcellation.load(file)


def test_edited_trees_keep_the_score(parcellation: SoftParcellation, small_tree: LabelTree) -> None:
    assert parcellation.with_tree(small_tree.rename("left", "Left")).outliers is parcellation.outliers
    assert parcellation.with_tree(small_tree.remove("caudate"), {11: 12}).outliers is parcellation.outliers
