"""Simulated raters: what they may change, what they never change, and the datasets made of them."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from softseg.cli import run
from softseg.data import Dataset
from softseg.data.disagreement import Disagreement, agreement, simulate_raters
from softseg.data.rater_dataset import write_raters
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import Image, read_image, write_image

SPACINGS = [(1.0, 1.0, 1.0), (1.0, 0.6, 0.8), (5.0, 0.5, 0.5)]


def scene(shape: tuple[int, int, int] = (5, 18, 20)) -> np.ndarray:
    """A large structure around a small one, a bar at the edge of the image, a structure of one voxel."""
    labels = np.zeros(shape, np.uint8)
    labels[1:4, 4:14, 3:13] = 2
    labels[1:4, 7:11, 6:10] = 1
    labels[:, :, 16:] = 7
    labels[2, 2, 14] = 9
    return labels


def distance_to(labels: np.ndarray, value: int, spacing: tuple[float, ...], in_plane: bool) -> np.ndarray:
    """By brute force: mm from every voxel to the nearest voxel of a class, within the slice where ``in_plane``."""
    places = np.stack(np.unravel_index(np.arange(labels.size), labels.shape), axis=1)
    scale = np.array([1e9 if in_plane else spacing[0], *spacing[1:]])
    return cdist(places * scale, np.argwhere(labels == value) * scale).min(axis=1).reshape(labels.shape)


@given(
    shift=st.floats(0, 1.5),
    border=st.floats(0, 1.5),
    habit=st.floats(0, 1),
    scale=st.floats(0.7, 6),
    seed=st.integers(0, 99),
    spacing=st.sampled_from(SPACINGS),
)
@example(shift=0.0, border=1.25, habit=0.0, scale=1.0, seed=13, spacing=(5.0, 0.5, 0.5))  # behind a thin structure
@settings(deadline=None, max_examples=25)
def test_bounds_hold_for_any_number_of_classes(
    shift: float, border: float, habit: float, scale: float, seed: int, spacing: tuple[float, float, float]
) -> None:
    labels = scene()
    in_plane = spacing[0] > 3 * min(spacing)
    moved = spacing[1:] if in_plane else spacing
    reach = shift + border + float(np.linalg.norm(moved))
    raters = simulate_raters(labels, Disagreement(2, shift, border, scale, habit), spacing, seed=seed)
    near = {value: distance_to(labels, value, spacing, in_plane) <= reach for value in np.unique(labels)}
    for drawn in raters:
        assert drawn.shape == labels.shape
        assert drawn.dtype == labels.dtype
        for value in np.unique(drawn):
            assert near[value][drawn == value].all(), "a label appears only near where it was"
        for value, close in near.items():
            others = np.any([near[other] for other in near if other != value], axis=0)
            sure = (labels == value) & ~others
            assert (drawn[sure] == value).all(), "a label stays where no other is near"
            assert close.any()


@pytest.mark.parametrize("spacing", SPACINGS)
def test_without_bounds_everybody_draws_the_same(spacing: tuple[float, float, float]) -> None:
    for drawn in simulate_raters(scene(), Disagreement(3, 0, 0), spacing):
        np.testing.assert_array_equal(drawn, scene())


def test_raters_differ_and_the_same_seed_repeats_them() -> None:
    how = Disagreement(4, 1.0, 1.5)
    first = simulate_raters(scene(), how, (1, 1, 1), seed=5)
    for one, again in zip(first, simulate_raters(scene(), how, (1, 1, 1), seed=5), strict=True):
        np.testing.assert_array_equal(one, again)
    assert all(not np.array_equal(a, b) for a, b in itertools.combinations(first, 2))
    assert not np.array_equal(first[0], simulate_raters(scene(), how, (1, 1, 1), seed=6)[0])
    assert not np.array_equal(first[0], simulate_raters(scene(), how, (1, 1, 1), seed=5, scan=1)[0])


def ball(size: int = 25, radius: float = 7.0) -> np.ndarray:
    """A ball in the middle of a cube."""
    k, j, i = np.indices((size,) * 3) - size // 2
    return (k**2 + j**2 + i**2 <= radius**2).astype(np.int16)


def test_a_shift_of_whole_voxels_moves_the_map_and_keeps_its_shape() -> None:
    """The only rater's shift is read off the centre of the ball: a bounded move, of the whole."""
    for seed in range(6):
        drawn = simulate_raters(ball(), Disagreement(1, 2.0, 0.0), (1, 1, 1), seed=seed)[0]
        moved = np.argwhere(drawn).mean(axis=0) - 12
        assert np.linalg.norm(moved) <= 2.0 + 0.3
        assert abs(int(drawn.sum()) - int(ball().sum())) < 0.1 * ball().sum()
        whole = tuple(np.rint(moved).astype(int))
        overlap = (np.roll(ball(), whole, (0, 1, 2)) & drawn).sum()
        assert overlap > 0.88 * ball().sum()


def test_habits_stay_from_scan_to_scan() -> None:
    """With nothing but habits, who draws the largest ball in one scan does so in all."""
    how = Disagreement(5, 0.0, 3.0, habit=1.0)
    sizes = [[int(drawn.sum()) for drawn in simulate_raters(ball(), how, (1, 1, 1), scan=scan)] for scan in range(2)]
    assert sizes[0] == sizes[1]
    assert max(sizes[0]) > 1.3 * min(sizes[0])


def test_nothing_moves_between_thick_slices() -> None:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[1, 5:11, 5:11] = 1
    for drawn in simulate_raters(labels, Disagreement(5, 1.0, 1.0), (4.0, 1.0, 1.0)):
        assert not drawn[[0, 2]].any()
    thin = simulate_raters(labels, Disagreement(5, 1.0, 1.0), (1.0, 1.0, 1.0))
    assert any(drawn[[0, 2]].any() or not drawn[1].any() for drawn in thin)


def test_unlabelled_voxels_stay_so_and_nothing_else_becomes_so() -> None:
    labels = scene()
    labels[:, :, 5:8] = 255
    for drawn in simulate_raters(labels, Disagreement(4, 1.0, 1.0), (1, 1, 1), unlabelled=255):
        np.testing.assert_array_equal(drawn == 255, labels == 255)


def test_agreement_is_the_mean_dice_of_pairs() -> None:
    one, two, three = (np.zeros((1, 1, 8), np.uint8) for _ in range(3))
    one[..., :4], two[..., 2:4], three[..., 6] = 1, 1, 3
    found = agreement([one, two, three])
    assert found[1] == pytest.approx((2 * 2 / 6 + 0 + 0) / 3)
    assert found[3] == 0
    assert agreement([one, one])[1] == 1


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"count": 0}, "count: expected at least 1, got 0"),
        ({"shift_mm": -1.0}, "shift: expected mm"),
        ({"border_mm": float("nan")}, "border: expected mm"),
        ({"scale_mm": 0.0}, "scale: expected mm, more than 0"),
        ({"habit": 1.5}, "habit: expected a fraction"),
    ],
)
def test_wrong_bounds_are_one_line(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        Disagreement(**{"count": 2, **wrong})


def test_a_dataset_of_raters_is_a_dataset(make: Any, tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "test")):
        make.head(name, split)
    source = make.load()
    arguments = ["data", "raters", str(source.path), "--out", str(tmp_path / "out"), "--count", "3", "--border", "1.5"]
    assert run([*arguments, "--quiet"]) == 0
    result = Dataset.load(tmp_path / "out" / "DATA.json")
    assert run(["data", "check", str(result.path), "--quiet"]) == 0
    known = {node.value for node in source.tree.nodes}
    for case, before in zip(result.cases, source.cases, strict=True):
        assert case.images == before.images
        assert isinstance(case.labels, list)
        maps = [read_image(path).array for path in case.labels]
        assert len(maps) == 3
        assert all(set(np.unique(drawn)) <= known for drawn in maps)
        assert not np.array_equal(maps[0], maps[1])
    with (tmp_path / "out" / "raters.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["case"], row["node"]) for row in rows} == {
        (case, node) for case in "ab" for node in ("grey-left", "grey-right", "white")
    }
    first = [read_image(path).array for path in result.case("a").labels]
    assert float(rows[0]["dice"]) == pytest.approx(agreement(first)[1], abs=1e-4)


def test_only_the_named_splits_change(make: Any, tmp_path: Path) -> None:
    for name, split in (("a", "train"), ("b", "test")):
        make.head(name, split)
    source = make.load()
    result = Dataset.load(write_raters(source, tmp_path / "out", Disagreement(2), splits=["train"]))
    assert isinstance(result.case("a").labels, list)
    assert result.case("b").labels == source.case("b").labels
    with pytest.raises(InputError, match="case a has several raters already"):
        write_raters(result, tmp_path / "again", Disagreement(2))


def test_soft_maps_become_raters_of_the_largest_probability(make: Any, tmp_path: Path) -> None:
    soft = np.zeros((4, 10, 10), np.float32)
    soft[1:3, 3:7, 3:7], soft[1:3, 3:7, 7] = 1.0, 0.7
    image = make.write("x.nii.gz", soft + 1)
    make.case("x", image, {"lesion": make.write("soft.nii.gz", soft)})
    sink = ListSink()
    file = write_raters(make.load(make.flat_tree()), tmp_path / "out", Disagreement(1, 0, 0), events=Events(sink))
    drawn = read_image(Dataset.load(file).case("x").labels[0]).array
    np.testing.assert_array_equal(drawn, soft > 0.5)
    assert any("8 voxels have soft labels" in event.get("text", "") for event in sink.events)


def test_a_value_for_unlabelled_voxels_survives(make: Any, tmp_path: Path) -> None:
    make.head("a")
    labels = read_image(make.folder / "a-labels.nii.gz")
    hidden = labels.array.copy()
    hidden[:, :4] = 255
    write_image(Image(hidden, labels.geometry), make.folder / "a-labels.nii.gz")
    make.cases[0]["unlabelled"] = 255
    result = Dataset.load(write_raters(make.load(), tmp_path / "out", Disagreement(2)))
    assert result.case("a").unlabelled == 255
    for path in result.case("a").labels:
        np.testing.assert_array_equal(read_image(path).array == 255, hidden == 255)


def test_a_label_without_value_is_refused(make: Any, tmp_path: Path) -> None:
    """All that the soft map says is "brain", which has no value in label maps."""
    image = make.write("x.nii.gz", np.ones((4, 8, 8), np.float32))
    brain = np.zeros((4, 8, 8), np.float32)
    brain[1:3, 2:6, 2:6] = 1
    make.case("x", image, {"brain": make.write("brain.nii.gz", brain)})
    with pytest.raises(InputError, match="no value for 'brain'"):
        write_raters(make.load(), tmp_path / "out", Disagreement(2))


def test_real_grey_matter(shared_data: Path) -> None:
    """One real scan: raters disagree at the border, in plane, by an amount that is written down."""
    root = shared_data / "cord"
    scan = "sub-9604/anat/sub-9604_run-1_T2starw"
    mask = read_image(root / "derivatives" / "labels" / f"{scan}_gmseg-manual.nii.gz")
    labels = (mask.array > 0.5).astype(np.uint8)
    raters = simulate_raters(labels, Disagreement(5, 0.3, 0.5), mask.geometry.spacing_kji)
    fraction = np.mean(raters, axis=0)
    assert 0.5 < agreement(raters)[1] < 0.98
    disputed = (fraction > 0) & (fraction < 1)
    assert disputed.sum() > 100
    empty = ~labels.any(axis=(1, 2))
    assert empty.any()
    assert not fraction[empty].any()
