"""Corrections of results in the scene: said, listed, taken back, kept through edits, copies and files."""

import numpy as np
import pytest
from editor import box
from scipy import ndimage
from SoftSegSlicerLib.Scene import Grids, References, Segments
from worlds import linearTransform

from softseg.errors import InputError
from softseg.soft import SoftParcellation
from softseg.tree import Node


@pytest.fixture
def node(logic, parcellation):
    """A result at its leaves."""
    return logic.results.add(parcellation)


@pytest.fixture
def stroke(grid):
    """Voxels of several structures and of background."""
    return box(grid, (4, 9), (4, 12), (4, 9))


def test_a_correction_shows_in_labels_maps_volumes_and_exports(logic, node, stroke, grid, shownLabels, parcellation):
    logic.showNode(node, "stem")
    before = logic.volumes.ofNodes(node)
    logic.volumes.table(node)
    logic.corrections.add(node, "stem", stroke, author="A. Reader", time="2026-01-31T12:00:00Z")
    assert (shownLabels(node, grid, logic)[stroke] == 200).all()
    assert (Grids.arrayOf(References.referenced(node, References.HEAT_MAP).GetImageData())[stroke] == 1).all()
    after = logic.volumes.ofNodes(node)
    gained = (1 - parcellation.probability("stem")[stroke]).sum() * grid.voxel_volume_ml
    assert after["stem"].softMl - before["stem"].softMl == pytest.approx(gained, rel=1e-3)
    assert sum(v.softMl for v in (after["brain"], after["background"])) == pytest.approx(
        sum(v.softMl for v in (before["brain"], before["background"])), rel=1e-3
    )
    table = References.referenced(node, References.VOLUMES)
    row = [each.id for each in logic.results.treeOf(node).nodes].index("stem")
    assert table.GetTable().GetColumnByName("Soft volume (ml)").GetValue(row) == pytest.approx(after["stem"].softMl)
    exported = logic.exports.labelMap(node)
    assert (Grids.arrayOf(exported.GetImageData())[stroke] == 200).all()
    logic.confidence.set(node, 0.95)
    assert (shownLabels(node, grid, logic)[stroke] == 200).all()
    (correction,) = logic.corrections.of(node)
    assert (correction.author, correction.time) == ("A. Reader", "2026-01-31T12:00:00Z")
    assert correction.conditioned + correction.nearest + correction.even == stroke.sum()


def test_undo_brings_back_every_byte_and_redo_the_correction(logic, node, stroke, parcellation, grid, shownLabels):
    logic.corrections.add(node, "stem", stroke)
    logic.corrections.add(node, "cortex", np.roll(stroke, 3, axis=0))
    both = shownLabels(node, grid, logic)
    assert logic.corrections.undo(node)
    assert logic.corrections.undo(node)
    assert not logic.corrections.undo(node)
    now = logic.results.parcellationOf(node)
    for name in ("counts", "leaves", "shares"):
        assert getattr(now, name).tobytes() == getattr(parcellation, name).tobytes()
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))
    assert logic.corrections.redo(node)
    assert logic.corrections.redo(node)
    assert not logic.corrections.redo(node)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), both)


def test_one_of_several_corrections_is_taken_back(logic, node, stroke):
    logic.corrections.add(node, "stem", stroke)
    logic.corrections.add(node, "putamen", stroke)
    second, first = reversed(logic.corrections.of(node))
    logic.corrections.remove(node, first.id)
    assert logic.corrections.of(node) == [second]
    assert (logic.results.parcellationOf(node).probability("putamen")[stroke] == 1).all()
    with pytest.raises(InputError, match="no correction 'nobody'"):
        logic.corrections.remove(node, "nobody")
    assert logic.corrections.undo(node)
    assert logic.corrections.of(node) == [first, second]


def test_not_a_node_conditions_on_all_others(logic, node, parcellation):
    left = parcellation.labels(3) == 7
    logic.corrections.add(node, "left", left, isNode=False)
    assert (logic.results.parcellationOf(node).probability("left")[left] == 0).all()
    with pytest.raises(InputError, match="every leaf"):
        logic.corrections.add(node, "head", left, isNode=False)
    assert len(logic.corrections.of(node)) == 1


def test_voxels_may_be_segments_and_label_maps_anywhere_in_the_world(logic, node, stroke, grid, scene, addVolume):
    labels = addVolume(stroke.astype(np.uint8), grid, "mask", "vtkMRMLLabelMapVolumeNode")
    turn = np.eye(4)
    turn[:3, 3] = [30, -20, 10]
    node.SetAndObserveTransformNodeID(linearTransform(scene, turn).GetID())
    labels.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    correction = logic.corrections.add(node, "stem", labels)
    np.testing.assert_array_equal(correction.voxels, stroke)
    other = logic.results.add(SoftParcellation.from_dense(*_oneHot(stroke, logic.results.treeOf(node)), grid))
    other.SetAndObserveTransformNodeID(node.GetTransformNodeID())
    correction = logic.corrections.add(node, "putamen", (other, "putamen"))
    np.testing.assert_array_equal(correction.voxels, stroke)
    with pytest.raises(InputError, match="no segment 'nobody'"):
        logic.corrections.add(node, "putamen", (other, "nobody"))
    with pytest.raises(InputError, match="shape"):
        logic.corrections.add(node, "putamen", stroke[1:])


def _oneHot(mask, tree):
    dense = np.zeros((len(tree.leaves), *mask.shape), np.float32)
    dense[tree.leaf_index("background")] = ~mask
    dense[tree.leaf_index("putamen")] = mask
    return dense, tree


def test_corrections_survive_edits_of_the_tree(logic, node, stroke, tree):
    logic.corrections.add(node, "left", stroke)
    logic.folding.setTree(node, tree.merge(["left", "right"]), {"right": "left"})
    assert (logic.results.parcellationOf(node).probability("left")[stroke] == 1).all()
    logic.folding.setTree(node, tree.rename("left", "other", new_id="other"), {"left": "other"})
    assert (logic.results.parcellationOf(node).probability("other")[stroke] == 1).all()
    assert logic.corrections.nodeOf(node, logic.corrections.of(node)[0]).id == "other"
    logic.folding.setTree(node, tree.remove("left"))
    assert (logic.results.parcellationOf(node).probability("background")[stroke] == 1).all()
    logic.folding.setTree(node, tree)
    assert (logic.results.parcellationOf(node).probability("left")[stroke] == 1).all()


def test_a_group_that_was_made_and_dissolved_is_still_what_was_meant(logic, node, stroke, tree):
    grouped = tree.group(["stem", "nuclei"], Node("deep", "deep", "brain"))
    logic.folding.setTree(node, grouped)
    logic.corrections.add(node, "deep", stroke)
    assert (logic.results.parcellationOf(node).probability("deep")[stroke] == 1).all()
    logic.folding.setTree(node, tree)
    assert (logic.results.parcellationOf(node).probability("brain")[stroke] == 1).all()


def test_a_leaf_that_was_added_can_be_painted(logic, node, stroke, tree, grid, shownLabels):
    logic.folding.setTree(node, tree.add(Node("lesion", "lesion", "brain", value=99)))
    logic.corrections.add(node, "lesion", stroke)
    assert (shownLabels(node, grid, logic)[stroke] == 99).all()
    assert logic.volumes.ofNodes(node)["lesion"].softMl == pytest.approx(stroke.sum() * grid.voxel_volume_ml)


def test_parts_of_a_leaf_that_was_split_can_be_painted(logic, node, parcellation, tree, grid, shownLabels):
    parts = [Node("front", "front", "stem", value=201), Node("back", "back", "stem", value=202)]
    logic.folding.setTree(node, tree.split("stem", parts))
    logic.collapse(node, logic.results.treeOf(node).depth)
    stem = parcellation.labels(3) == 200
    part = stem & (np.arange(stem.shape[0])[:, None, None] < np.argwhere(stem)[:, 0].mean())
    logic.corrections.add(node, "front", part)
    shown = shownLabels(node, grid, logic)
    assert (shown[part] == 201).all()
    assert (shown[stem & ~part] == 200).all()
    logic.collapse(node, 2)
    logic.collapse(node, logic.results.treeOf(node).depth)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), shown)


def test_a_clone_has_the_corrections_of_its_own(logic, node, stroke, scene):
    logic.corrections.add(node, "stem", stroke)
    clone = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "clone")
    clone.Copy(node)
    assert logic.corrections.of(clone) == logic.corrections.of(node)
    logic.corrections.undo(clone)
    assert logic.corrections.of(clone) == []
    assert len(logic.corrections.of(node)) == 1


def test_a_hardened_transform_takes_corrections_along(logic, node, stroke, scene):
    from worlds import bentTransform

    logic.corrections.add(node, "stem", stroke)
    node.SetAndObserveTransformNodeID(bentTransform(scene).GetID())
    node.HardenTransform()
    corrected = logic.results.parcellationOf(node)
    (correction,) = logic.corrections.of(node)
    assert 0.5 * stroke.sum() < correction.voxel_count < 2 * stroke.sum()
    assert (corrected.probability("stem")[correction.voxels] == 1).all()


def test_a_file_keeps_corrections_and_brings_them_back(logic, node, stroke, tmp_path, parcellation):
    logic.corrections.add(node, "cortex", stroke, author="A. Reader")
    path = logic.results.parcellationOf(node).save(tmp_path / "it.soft.npz")
    again = logic.results.load(path)
    assert logic.corrections.of(again) == logic.corrections.of(node)
    assert logic.corrections.of(again)[0].author == "A. Reader"
    assert logic.corrections.undo(again)
    assert logic.results.parcellationOf(again).shares.tobytes() == parcellation.shares.tobytes()


def test_removing_the_latest_correction_can_be_undone(logic, node, stroke):
    logic.corrections.add(node, "stem", stroke)
    logic.corrections.add(node, "cortex", np.roll(stroke, 3, axis=0))
    both = logic.corrections.of(node)
    logic.corrections.remove(node, both[-1].id)
    assert logic.corrections.undo(node)
    assert logic.corrections.of(node) == both
    assert logic.corrections.redo(node)
    assert logic.corrections.of(node) == both[:1]


def test_a_saved_scene_brings_corrections_back_and_they_can_be_undone(logic, node, stroke):
    logic.corrections.add(node, "cortex", stroke)
    before, correction = logic.results.parcellationOf(node), logic.corrections.of(node)[0]
    texts = {role: References.textOf(node, role) for role in (References.CORRECTIONS, References.PARCELLATION)}
    logic.forget()
    assert logic.corrections.of(node) == [correction]
    assert logic.results.parcellationOf(node).shares.tobytes() == before.shares.tobytes()
    assert texts[References.CORRECTIONS] == References.textOf(node, References.CORRECTIONS)
    assert len(texts[References.CORRECTIONS]) < 0.1 * len(texts[References.PARCELLATION])
    assert logic.corrections.undo(node)
    assert logic.corrections.of(node) == []


def test_damaged_corrections_are_named(logic, node, stroke):
    logic.corrections.add(node, "cortex", stroke)
    References.setText(node, References.CORRECTIONS, "", '{"corrections": [{"id": 3}]}')
    with pytest.raises(InputError, match="corrections in the scene are damaged"):
        logic.corrections.of(node)


def test_crisp_results_keep_what_was_said(logic, addVolume, grid, tree, parcellation, shownLabels, stroke):
    labels = addVolume(parcellation.labels(3).astype(np.uint8), grid, "labels", "vtkMRMLLabelMapVolumeNode")
    node = logic.results.adopt(labels, tree)
    logic.collapse(node, 2)
    array = Grids.arrayOf(Segments.layerOf(node))
    before = shownLabels(node, grid, logic)
    array[4:9, 4:12, 4:9] = tree.value_of("cortex")
    Segments.layerOf(node).Modified()
    logic.collapse(node, 3)
    shown = shownLabels(node, grid, logic)
    new = shown == tree.value_of("cortex")
    np.testing.assert_array_equal(new, stroke & (before != tree.value_of("cortex")))
    kept = stroke & ~new
    np.testing.assert_array_equal(shown[kept], parcellation.labels(3)[kept])
    assert logic.volumes.ofNodes(node)["cortex"].hardMl >= stroke.sum() * grid.voxel_volume_ml
    assert logic.corrections.undo(node)
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(3))


def test_results_with_corrections_are_found_with_their_scans(logic, node, stroke, make, grid, addVolume):
    scan = addVolume(np.zeros(grid.shape, np.int16), grid)
    other = logic.results.add(make(grid, 1), scan)
    assert logic.corrections.results() == []
    logic.corrections.add(node, "stem", stroke)
    logic.corrections.add(other, "stem", stroke)
    assert logic.corrections.results() == [(node, None), (other, scan)]


def test_uncertainty_and_the_pointer_follow(logic, node, stroke, grid):
    logic.maps.showUncertainty(node)
    logic.corrections.add(node, "stem", stroke)
    entropy = Grids.arrayOf(References.referenced(node, References.ENTROPY).GetImageData())
    inside = ndimage.binary_erosion(stroke)
    assert (entropy[inside] == 0).all()
    k, j, i = np.argwhere(inside)[0]
    ras = (grid.affine @ [i, j, k, 1])[:3]
    assert logic.points.describe(node, ras)[-1] == ("stem", 1.0)
