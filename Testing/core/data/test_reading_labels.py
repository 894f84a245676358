"""Label maps, soft maps and raters become one distribution; contradictions are mended loudly or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softseg.data.labels import (
    class_count,
    clip_soft,
    compose_soft_maps,
    labels_from_map,
    read_labels,
)
from softseg.errors import InputError
from softseg.image import read_image
from softseg.tree import LabelTree


@pytest.fixture
def cord(resources) -> LabelTree:
    return LabelTree.load(resources / "LabelTrees" / "spinal-cord-grey-matter.json")


def compose(maps, tree, warnings=None):
    arrays = {node: np.asarray(array, np.float32).reshape(1, 1, -1) for node, array in maps.items()}
    files = {node: Path(f"{node}.nii") for node in maps}
    warn = pytest.fail if warnings is None else warnings.append
    labels = compose_soft_maps(arrays, tree, files, warn)
    labels.check()
    dense = labels.dense()[:, 0, 0]
    return {node.id: dense[tree.class_index(node.id)] for node in tree.nodes if dense[tree.class_index(node.id)].any()}


def same(found, expected):
    assert set(found) == set(expected)
    for node, values in expected.items():
        np.testing.assert_allclose(found[node], values, atol=1e-6, err_msg=node)


def test_what_is_left_over_goes_to_the_only_child_without_a_map(cord):
    found = compose({"grey-matter": [0.2, 0, 1], "cord": [0.7, 0, 1]}, cord)
    same(found, {"grey-matter": [0.2, 0, 1], "white-matter": [0.5, 0, 0], "background": [0.3, 1, 0]})


def test_both_parts_of_the_cord_leave_the_rest_to_the_background(cord):
    found = compose({"grey-matter": [0.2, 0.5], "white-matter": [0.3, 0.5]}, cord)
    same(found, {"grey-matter": [0.2, 0.5], "white-matter": [0.3, 0.5], "background": [0.5, 0]})


def test_an_inner_node_without_maps_below_keeps_its_probability(cord):
    same(compose({"cord": [0.25, 1]}, cord), {"cord": [0.25, 1], "background": [0.75, 0]})


def test_two_places_for_what_is_left_over_are_ambiguous(cord):
    with pytest.raises(
        InputError, match=r"leave over could be 'background' or 'cord'.*give a soft map for all but one"
    ):
        compose({"grey-matter": [0.2]}, cord)


def test_without_background_the_rest_is_unlabelled(cord):
    tree = cord.remove("background")
    same(
        compose({"grey-matter": [0.2, 0], "white-matter": [0.3, 0]}, tree),
        {"grey-matter": [0.2, 0], "white-matter": [0.3, 0]},
    )


def test_a_leaf_wins_over_its_parent_and_it_is_said(cord):
    warnings: list[str] = []
    found = compose({"grey-matter": [1, 0.2], "cord": [0, 0.5]}, cord, warnings)
    same(found, {"grey-matter": [1, 0.2], "white-matter": [0, 0.3], "background": [0, 0.5]})
    assert warnings == ["cord.nii: in 1 voxels the nodes under 'cord' exceed it; they were believed"]


def test_a_conflict_deep_in_the_tree_is_said_once(make):
    warnings: list[str] = []
    maps = {"grey-left": [0.5], "grey-right": [0.4], "grey": [0.6], "brain": [0.95]}
    found = compose(maps, make.head_tree(), warnings)
    same(found, {"grey-left": [0.5], "grey-right": [0.4], "white": [0.05], "background": [0.05]})
    assert warnings == ["grey.nii: in 1 voxels the nodes under 'grey' exceed it; they were believed"]


def test_siblings_that_sum_to_more_than_one_are_refused(cord):
    with pytest.raises(InputError, match=r"expected soft labels that sum to at most 1, got 1\.4"):
        compose({"grey-matter": [0.7], "white-matter": [0.7]}, cord)


def test_a_slight_overshoot_of_a_sum_is_scaled_and_said(cord):
    warnings: list[str] = []
    found = compose({"grey-matter": [0.55], "white-matter": [0.55]}, cord, warnings)
    same(found, {"grey-matter": [0.5], "white-matter": [0.5]})
    assert "1 sums of soft labels, up to 1.1, were scaled to 1" in warnings[0]


@given(hnp.arrays(np.float32, (2, 12), elements=st.floats(0, 1, width=32)))
def test_any_nested_maps_make_a_full_distribution(maps):
    tree = LabelTree.load(Path(__file__).parents[3] / "Resources" / "LabelTrees" / "spinal-cord-grey-matter.json")
    cord_map, inside = maps[0], maps[0] * maps[1]
    found = compose({"cord": cord_map, "grey-matter": inside}, tree)
    np.testing.assert_allclose(sum(found.values()), 1, atol=1e-5)
    np.testing.assert_allclose(found.get("grey-matter", np.zeros(12)), inside, atol=1e-6)


@pytest.mark.parametrize("values", [[-0.3, 0.5], [0.5, 1.3], [0, 255]])
def test_soft_values_outside_are_refused(values):
    with pytest.raises(InputError, match=r"soft\.nii: labels: expected soft labels in 0\.\.1, got"):
        clip_soft(np.array(values), "soft.nii", pytest.fail)
    with pytest.raises(InputError, match="NaN"):
        clip_soft(np.array([np.nan, 1]), "soft.nii", pytest.fail)


def test_real_soft_masks_overshoot_and_are_clipped_with_a_warning(shared_data, cord):
    maps, warnings = {}, []
    for node, name in (("grey-matter", "mt_mt1_gmseg"), ("white-matter", "mt_mt1_wmseg")):
        file = shared_data / "cord_fixtures" / f"{name}.nii.gz"
        maps[node] = clip_soft(read_image(file).array, file, warnings.append)
    labels = compose_soft_maps(maps, cord, {node: Path(node) for node in maps}, warnings.append)
    labels.check()
    assert len(warnings) == 3
    assert len(np.unique(labels.dense()[cord.leaf_index("grey-matter")])) > 50
    np.testing.assert_allclose(labels.total(), 1, atol=1e-5)


def test_label_values_become_classes_and_coarse_ones_inner_nodes(make):
    tree = make.head_tree()
    array = np.array([0, 1, 2, 3, 9], np.float64).reshape(1, 1, 5)
    labels = labels_from_map(array, tree, "l.nii", pytest.fail)
    expected = [tree.class_index(node) for node in ("background", "grey-left", "grey-right", "white", "grey")]
    assert labels.largest().ravel().tolist() == expected
    assert labels.classes == class_count(tree)


def test_a_value_that_the_tree_lacks_is_named_with_its_file(make):
    with pytest.raises(InputError, match=r"l\.nii: labels: label value 7 not in the label tree 'head'"):
        labels_from_map(np.array([[[0, 7]]]), make.head_tree(), "l.nii", pytest.fail)


def test_soft_values_need_a_tree_of_one_structure(make):
    soft = np.array([[[0, 0.25, 1.0]]])
    labels = labels_from_map(soft, make.flat_tree(), "l.nii", pytest.fail)
    np.testing.assert_allclose(labels.dense()[make.flat_tree().leaf_index("lesion")], soft)
    with pytest.raises(InputError, match="the tree has 3 structures; give soft maps by node"):
        labels_from_map(soft, make.head_tree(), "l.nii", pytest.fail)
    with pytest.raises(InputError, match="NaN"):
        labels_from_map(np.array([[[np.nan, 1]]]), make.flat_tree(), "l.nii", pytest.fail)


def test_labels_on_another_grid_are_refused(make):
    make.head("a")
    make.cases[0]["labels"] = make.write("l.nii", make.head_labels((20, 22, 24)), origin=(4, 0, 0))
    dataset = make.load()
    geometry = read_image(dataset.cases[0].images["T1"]).geometry
    with pytest.raises(InputError, match=r"l\.nii: labels: lies on another grid than the images"):
        read_labels(dataset.cases[0], dataset, geometry, lambda image: image.array, pytest.fail)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_values_one_rounding_step_from_whole_are_labels(make, kind):
    tree = make.head_tree()
    exact = np.array([[[0, 1, 2, 3]]])
    near = exact.astype(kind) + np.array([0, -3e-5, 9e-4, -1e-4], kind)
    said: list[str] = []
    labels = labels_from_map(near, tree, "l.nii", said.append)
    np.testing.assert_array_equal(labels.dense(), labels_from_map(exact, tree, "l.nii", pytest.fail).dense())
    assert said == ["l.nii: 3 values were rounded to whole label values, the largest difference was 0.0009"]
    with pytest.raises(
        InputError, match=r"l\.nii: labels: expected whole label values, got 2\.002 at voxel \(2, 0, 0\)"
    ):
        labels_from_map(exact + np.array([0, 0, 2e-3, 0]), tree, "l.nii", pytest.fail)


def test_soft_maps_are_not_rounded(make):
    soft = np.array([[[0.0005, 0.4, 0.9995]]])
    labels = labels_from_map(soft, make.flat_tree(), "l.nii", pytest.fail)
    np.testing.assert_allclose(labels.dense()[make.flat_tree().leaf_index("lesion")], soft)
