"""Corrections from edited label maps, as labels of mixed depth, and the choice of voxels and nodes."""

from __future__ import annotations

import numpy as np
import pytest
from correction_cases import apply, cases, patient, random_corrections, random_parcellation
from hypothesis import given
from scipy import ndimage

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.correcting import ball
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node

SHAPE = (4, 5, 6)


def parcellation(background: bool = True, seed: int = 0) -> SoftParcellation:
    nodes = [Node("all", "all", None), Node("brain", "brain", "all"), Node("cortex", "cortex", "brain", value=30)]
    nodes += [Node("left", "left", "cortex", value=1), Node("right", "right", "cortex", value=2)]
    nodes += [Node("stem", "stem", "brain", value=3), Node("out", "out", "all", value=0 if background else 4)]
    tree = LabelTree(nodes)
    dense = np.random.default_rng(seed).dirichlet((0.5,) * len(tree.leaves), SHAPE).astype(np.float32)
    return SoftParcellation.from_dense(np.moveaxis(dense, -1, 0).copy(), tree, Geometry((6, 5, 4), (1.0, 2.0, 3.0)))


@patient
@given(case=cases)
def test_an_edited_label_map_comes_back(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    random = np.random.default_rng(case[0])
    cut = model.tree.cut_at(int(random.integers(0, model.tree.depth + 1)))
    before = model.labels(cut)
    values = [value for value in cut.values if value]
    edited = np.where(random.random(before.shape) < 0.3, random.choice([*values, 0]), before).astype(np.uint16)
    if 0 not in cut.values and model.tree.background is not None:
        edited[edited == 0] = before[edited == 0]  # 0 is finer than this cut
    erased = (edited == 0) & (before != 0)
    if model.tree.background is None and len(cut.nodes) == 1 and erased.any():
        with pytest.raises(InputError, match="what was erased can be nothing else"):
            model.corrected_by_labels(cut, edited)
        edited[erased] = before[erased]
        erased[:] = False
    corrected = model.corrected_by_labels(cut, edited, author="me")
    if model.tree.background is None:
        assert (corrected.labels(cut)[erased] != before[erased]).all()
        edited = np.where(erased, corrected.labels(cut), edited)
    np.testing.assert_array_equal(corrected.labels(cut), edited)
    assert all(one.author == "me" for one in corrected.corrections)


def test_each_node_gets_one_correction_and_nothing_new_is_the_same() -> None:
    model = parcellation()
    cut = model.tree.cut_at(2)
    labels = model.labels(cut)
    assert model.corrected_by_labels(cut, labels) is model
    edited = labels.copy()
    edited[0, :, 1], edited[0, :, 2], edited[0, :, 3] = 30, 3, 0
    corrected = model.corrected_by_labels(cut, edited)
    assert [(one.node_id, one.is_node) for one in corrected.corrections] == [
        ("cortex", True),
        ("stem", True),
        ("out", True),
    ]
    np.testing.assert_array_equal(corrected.corrected_voxels, edited != labels)
    box = (slice(0, 1), slice(1, 4), slice(0, 6))
    part = model.corrected_by_labels(cut, edited[box], box=box)
    assert (part.labels(cut)[box] == edited[box]).all()
    assert not part.corrected_voxels[1:].any()


def test_erased_without_background_is_not_what_it_was() -> None:
    model = parcellation(background=False)
    labels = model.labels(3)
    edited = np.where(np.arange(6) < 2, 0, labels)
    corrected = model.corrected_by_labels(3, edited)
    assert all(not one.is_node for one in corrected.corrections)
    erased = (edited == 0) & (labels != 0)
    assert (corrected.labels(3)[erased] != labels[erased]).all()
    for one in corrected.corrections:
        assert corrected.probability(one.node_id)[one.voxels].max() == 0


def test_a_value_of_no_node_is_named() -> None:
    model = parcellation()
    edited = model.labels(3)
    edited[0, 0, :2] = 30, 77
    with pytest.raises(InputError, match="no node of the cut has the values 30, 77"):
        model.corrected_by_labels(3, edited)
    with pytest.raises(ValueError, match="expected labels of shape"):
        model.corrected_by_labels(3, edited[0])


def test_outliers_in_an_edited_map_say_nothing() -> None:
    model = parcellation()
    steps = np.zeros(SHAPE, np.uint8)
    steps[2] = 255
    scored = SoftParcellation(
        model.tree,
        model.geometry,
        model.start,
        model.counts,
        model.leaves,
        model.shares,
        outliers=StoredOutliers.of_volume(steps, "energy", 0.5, 0.0, 1.0),
    )
    for labels in (scored.labels(3), scored.labels(3, outliers=True)):
        assert scored.corrected_by_labels(3, labels) is scored
        edited = labels.copy()
        edited[2, 0] = 3
        corrected = scored.corrected_by_labels(3, edited)
        np.testing.assert_array_equal(corrected.corrected_voxels, edited != labels)
        assert (corrected.labels(3, outliers=True)[2, 0][labels[2, 0] != 3] == 3).all()
    with pytest.raises(InputError, match="value 65535"):
        scored.corrected_by_labels(3, np.where(steps == 0, 65535, labels))


def test_what_was_said_is_a_label_map_of_mixed_depth() -> None:
    model = parcellation()
    values = model.tree.node_values()

    def row(number: int) -> np.ndarray:
        out = np.zeros(SHAPE, bool)
        out[0, number] = True
        return out

    corrected = model.corrected("cortex", row(0) | row(1) | row(2)).corrected("left", row(1), is_node=False)
    corrected = corrected.corrected("out", row(3)).corrected("out", row(4), is_node=False)
    corrected = corrected.corrected("cortex", row(2), is_node=False)
    said = corrected.correction_map()
    assert said.dtype == np.uint16
    expected = [values["cortex"], values["right"], values["all"], 0, values["brain"]]
    assert [set(said[0, number].tolist()) for number in range(5)] == [{value} for value in expected]
    assert not said[1:].any()
    assert corrected.corrected_voxels[0, 3].all()


@patient
@given(case=cases)
def test_what_is_said_holds_what_is_left(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    corrected = apply(model, random_corrections(model, case[0]))
    names = {value: id_ for id_, value in model.tree.node_values().items()}
    said = corrected.correction_map()
    for voxel in map(tuple, np.argwhere(corrected.corrected_voxels)):
        assert corrected.probability(names[int(said[voxel])])[voxel] == 1


def test_a_region_is_what_is_connected_at_the_cut() -> None:
    model = parcellation()
    labels = model.labels(2)
    voxel = (1, 2, 3)
    found = model.region(2, voxel)
    assert found[voxel]
    assert (labels[found] == labels[voxel]).all()
    grown = ndimage.binary_dilation(found)
    assert (labels[grown & ~found] != labels[voxel]).all()
    with pytest.raises(ValueError, match="expected a voxel"):
        model.region(2, (0, 0, 6))


def test_a_ball_is_measured_in_mm() -> None:
    grid = Geometry((9, 8, 7), (0.5, 1.0, 2.0))
    centre, radius = (3.0, 4.2, 5.0), 2.5
    places = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), -1)
    distance = np.sqrt((((places - centre) * grid.spacing_kji) ** 2).sum(-1))
    np.testing.assert_array_equal(ball(grid, centre, radius), distance <= radius)
    assert np.argwhere(ball(grid, (1, 2, 3), 0)).tolist() == [[1, 2, 3]]
    assert not ball(grid, (100, 0, 0), 3).any()
    with pytest.raises(ValueError, match="radius of 0 mm or more"):
        ball(grid, (1, 2, 3), -1)


def test_suggestions_are_the_siblings_and_what_the_model_saw() -> None:
    model = parcellation()
    voxel = (1, 2, 3)
    shown = model.labels(3)[voxel]
    found = model.suggestions(3, voxel)
    assert [one.probability for one in found] == sorted((one.probability for one in found), reverse=True)
    for one in found:
        assert one.probability == pytest.approx(float(model.probability(one.node_id)[voxel]))
        assert model.tree.value_of(one.node_id) != shown
    sibling = {1: "right", 2: "left"}.get(int(shown))
    assert sibling is None or any(one.node_id == sibling and one.is_sibling for one in found)
    scribble = np.zeros(SHAPE, bool)
    scribble[voxel] = True
    corrected = model.corrected("stem", scribble)
    assert "stem" not in [one.node_id for one in corrected.suggestions(3, voxel)]
    assert any(one.probability > 0 for one in corrected.suggestions(3, voxel))
