"""The segments of a result are those of the cut that is shown; native tools find nothing else, and are told at once."""

import collections

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene import Grids, References, Segments

from softseg.image import Geometry
from softseg.soft import SoftParcellation


def ids(node):
    return list(node.GetSegmentation().GetSegmentIDs())


@pytest.fixture
def node(logic, parcellation):
    return logic.results.add(parcellation)


@pytest.fixture
def heard(node):
    """How often observers of the segmentation node were told of what since :meth:`clear`."""
    events = {
        "added": slicer.vtkSegmentation.SegmentAdded,
        "removed": slicer.vtkSegmentation.SegmentRemoved,
        "modified": slicer.vtkSegmentation.SegmentModified,
        "voxels": slicer.vtkSegmentation.SourceRepresentationModified,
        "display": slicer.vtkMRMLDisplayableNode.DisplayModifiedEvent,
    }
    counts = collections.Counter()

    def counting(name):
        return lambda *_: counts.update([name])

    for name, event in events.items():
        node.AddObserver(event, counting(name))
    return counts


def test_there_are_segments_of_the_cut_and_no_others_in_the_order_of_the_tree(logic, node):
    assert ids(node) == ["left", "right", "putamen", "caudate", "stem"]
    for cut, expected in (
        (1, ["brain"]),
        (2, ["cortex", "nuclei", "stem"]),
        (["background", "cortex", "putamen", "caudate", "stem"], ["cortex", "putamen", "caudate", "stem"]),
        (["background", "left", "right", "nuclei", "stem"], ["left", "right", "nuclei", "stem"]),
        (0, ["head"]),
        (3, ["left", "right", "putamen", "caudate", "stem"]),
    ):
        logic.collapse(node, cut)
        assert ids(node) == expected
        assert list(node.GetDisplayNode().GetVisibleSegmentIDs()) == expected


def test_native_statistics_find_what_is_shown(logic, node, parcellation):
    logic.collapse(node, 2)
    labels, voxels = parcellation.labels(2), {}
    for id_ in ids(node):
        image = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(id_, image)
        voxels[id_] = int(np.count_nonzero(Grids.arrayOf(image)))
    tree = parcellation.tree
    assert voxels == {id_: int((labels == tree.value_of(id_)).sum()) for id_ in ("cortex", "nuclei", "stem")}


def test_a_node_without_voxels_has_no_segment_until_it_has_some(logic, tree):
    """Putamen wins nowhere; with caudate, as nuclei, it does."""
    geometry = Geometry((4, 4, 4), (1.0, 1.0, 1.0))
    shares = {"left": 0.35, "putamen": 0.3, "caudate": 0.3, "background": 0.05}
    dense = np.zeros((len(tree.leaves), 4, 4, 4), np.float32)
    for id_, share in shares.items():
        dense[tree.leaf_index(id_)] = share
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, geometry))
    assert ids(node) == ["left"]
    logic.collapse(node, 2)
    assert ids(node) == ["nuclei"]
    logic.collapse(node, 3)
    assert ids(node) == ["left"]


def test_where_nothing_has_voxels_one_segment_carries_the_tree(logic, tree):
    dense = np.zeros((len(tree.leaves), 4, 4, 4), np.float32)
    dense[tree.leaf_index("background")] = 1
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, Geometry((4, 4, 4), (1.0, 1.0, 1.0))))
    assert ids(node) == ["left"]
    logic.collapse(node, 2)
    assert ids(node) == ["cortex"]
    assert logic.results.cutOf(node) == tree.cut_at(2)


def test_observers_hear_of_each_kind_of_change_once(logic, node, heard):
    for level in (1, 3, 2, 0, 3):
        heard.clear()
        logic.collapse(node, level)
        assert heard["added"] == heard["removed"] == 1
        assert heard["voxels"] == 1
        assert heard["modified"] <= 2
        assert heard["display"] == 0


def test_observers_hear_once_of_an_edit_of_every_node(logic, node, heard, tree):
    edited = tree
    for leaf in tree.leaves:
        if leaf != tree.background:
            edited = edited.rename(leaf.id, f"{leaf.name} new").recolor(leaf.id, (1, 2, 3))
    heard.clear()
    logic.folding.setTree(node, edited)
    assert heard == {"modified": 1}
    heard.clear()
    logic.folding.setTree(node, edited)
    assert not heard


def test_a_hundred_segments_are_told_of_together(logic):
    from softseg.resources import label_tree_path
    from softseg.tree import LabelTree

    tree, random = LabelTree.load(label_tree_path("brain-134")), np.random.default_rng(0)
    hard = random.integers(0, len(tree.leaves), (12, 12, 12))
    dense = (hard == np.arange(len(tree.leaves))[:, None, None, None]).astype(np.float32)
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, Geometry((12, 12, 12), (1.0, 1.0, 1.0))))
    told = []
    for event in (slicer.vtkSegmentation.SegmentAdded, slicer.vtkSegmentation.SegmentRemoved):
        node.AddObserver(event, lambda *_: told.append(1))
    for level in (3, tree.depth):
        del told[:]
        logic.collapse(node, level)
        assert len(told) == 2
        expected = [n.id for n in tree.cut_at(level).nodes if n != tree.background]
        assert ids(node) == expected


def test_what_people_set_for_a_segment_is_there_again_when_it_comes_back(logic, node):
    display, left = node.GetDisplayNode(), node.GetSegmentation().GetSegment("left")
    display.SetSegmentVisibility("left", False)
    display.SetSegmentOpacity2DFill("left", 0.25)
    display.SetSegmentVisibility3D("right", False)
    display.SetSegmentOverrideColor("right", 0.1, 0.2, 0.3)
    left.SetColor(0.5, 0.25, 0.125)
    left.SetName("my left")
    logic.collapse(node, 2)
    assert display.GetSegmentVisibility("cortex")
    logic.collapse(node, 1)
    logic.collapse(node, 3)
    left = node.GetSegmentation().GetSegment("left")
    assert left.GetName() == "my left"
    np.testing.assert_allclose(left.GetColor(), (0.5, 0.25, 0.125), atol=0.5 / 255)  # the tree keeps 8 bits
    assert not display.GetSegmentVisibility("left")
    assert display.GetSegmentVisibility("right")
    assert display.GetSegmentOpacity2DFill("left") == 0.25
    assert not display.GetSegmentVisibility3D("right")
    np.testing.assert_allclose(list(display.GetSegmentOverrideColor("right")), (0.1, 0.2, 0.3))
    assert node.GetAttribute(References.LOOKS) is None


def test_what_people_set_is_saved_with_the_scene_while_it_is_folded(logic, node):
    node.GetDisplayNode().SetSegmentOpacity("stem", 0.5)
    logic.collapse(node, 1)
    assert "stem" in node.GetAttribute(References.LOOKS)
    copy = slicer.vtkMRMLSegmentationNode()
    copy.CopyContent(node)
    assert copy.GetAttribute(References.LOOKS) == node.GetAttribute(References.LOOKS)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"left": 1}', '{"left": {"Opacity3D": "x"}}', '{"left": {"color": [1, 2]}}', '{"left": {"x": 1}}'],
)
def test_what_people_set_is_passed_over_where_it_is_damaged(logic, node, text):
    logic.collapse(node, 1)
    node.SetAttribute(References.LOOKS, text)
    logic.collapse(node, 3)
    assert ids(node) == ["left", "right", "putamen", "caudate", "stem"]
    assert node.GetSegmentation().GetSegment("left").GetName() == "left cortex"


def test_an_edit_of_the_tree_wins_over_a_name_that_was_set_before_it(logic, node, tree):
    segmentation = node.GetSegmentation()
    for id_ in ("left", "stem"):
        segmentation.GetSegment(id_).SetName(f"my {id_}")
    node.GetDisplayNode().SetSegmentVisibility("left", False)
    logic.folding.setTree(node, tree.rename("right", "other"))
    assert segmentation.GetSegment("left").GetName() == "my left", "another node was edited"
    logic.collapse(node, 2)
    logic.folding.setTree(node, logic.results.treeOf(node).rename("left", "edited"))
    logic.collapse(node, 3)
    assert segmentation.GetSegment("left").GetName() == "edited"
    assert segmentation.GetSegment("stem").GetName() == "my stem"
    assert not node.GetDisplayNode().GetSegmentVisibility("left")


def test_segments_that_people_added_stay_and_are_not_told_to_change(logic, node):
    segmentation = node.GetSegmentation()
    lesion = segmentation.AddEmptySegment("lesion", "lesion")
    added = segmentation.GetSegment(lesion)
    node.GetDisplayNode().SetSegmentOpacity(lesion, 0.5)
    for level in (1, 3, 2, 3):
        logic.collapse(node, level)
        assert segmentation.GetSegment(lesion) is added
        assert node.GetDisplayNode().GetSegmentOpacity3D(lesion) == 0.5
    assert [id_ for id_ in ids(node) if id_ != lesion] == ["left", "right", "putamen", "caudate", "stem"]


def test_segments_that_an_earlier_version_left_hidden_are_gone_after_a_fold(logic, node, tree):
    image = Segments.layerOf(node)
    Segments.ensureSegments(node, tree, ["cortex", "nuclei", "brain"], image)
    for id_ in ("cortex", "nuclei", "brain"):
        node.GetDisplayNode().SetSegmentVisibility(id_, False)
    logic.collapse(node, 2)
    assert ids(node) == ["cortex", "nuclei", "stem"]
    assert list(node.GetDisplayNode().GetVisibleSegmentIDs()) == ["cortex", "nuclei", "stem"]
    logic.collapse(node, 1)
    assert list(node.GetDisplayNode().GetVisibleSegmentIDs()) == ["brain"]


@pytest.fixture
def editor(scene):
    """The node that holds what Segment Editor has selected."""
    scene.RegisterNodeClass(slicer.vtkMRMLSegmentEditorNode())
    return scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")


def test_the_selection_in_segment_editor_follows_its_voxels_and_comes_back(logic, node, editor):
    editor.SetAndObserveSegmentationNode(node)
    editor.SetSelectedSegmentID("caudate")
    logic.collapse(node, 2)
    assert editor.GetSelectedSegmentID() == "nuclei"
    logic.collapse(node, 1)
    assert editor.GetSelectedSegmentID() == "brain"
    logic.collapse(node, 3)
    assert editor.GetSelectedSegmentID() == "caudate"
    logic.collapse(node, 2)
    editor.SetSelectedSegmentID("cortex")
    logic.collapse(node, 3)
    assert editor.GetSelectedSegmentID() == "left", "the first part of what was selected"
    logic.collapse(node, 2)
    assert editor.GetSelectedSegmentID() == "cortex"


def test_the_selection_of_another_segmentation_stays(logic, node, make, grid, editor):
    other = logic.results.add(make(grid))
    editor.SetAndObserveSegmentationNode(other)
    editor.SetSelectedSegmentID("caudate")
    logic.collapse(node, 1)
    assert editor.GetSelectedSegmentID() == "caudate"
