"""Surfaces of the segments that are shown: as Slicer's converter makes them, kept through folds, never out of date."""

import numpy as np
import pytest
import slicer
import vtk
from SoftSegSlicerLib.Scene import Grids, Segments
from vtk.util import numpy_support

from softseg.image import Geometry
from softseg.soft import SoftParcellation

SURFACE = "Closed surface"
pytestmark = pytest.mark.usefixtures("converter")


@pytest.fixture
def node(logic, parcellation):
    node = logic.results.add(parcellation)
    logic.surfaces.show(node)
    return node


@pytest.fixture
def hard(logic, parcellation, tree, grid):
    """A result without doubt: a fold changes no voxel of the nodes that stay."""
    labels, values = parcellation.labels(3), [leaf.value for leaf in tree.leaves]
    dense = (labels == np.array(values)[:, None, None, None]).astype(np.float32)
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, grid))
    logic.surfaces.show(node)
    return node


def surfaces(node):
    segmentation = node.GetSegmentation()
    return {id_: segmentation.GetSegment(id_).GetRepresentation(SURFACE) for id_ in segmentation.GetSegmentIDs()}


def points(surface):
    """The points of a surface, in an order that does not depend on how they were found."""
    array = numpy_support.vtk_to_numpy(surface.GetPoints().GetData()).round(3)
    return array[np.lexsort(array.T)]


def assertAsSlicerMakesThem(node):
    """Each surface is what Slicer makes from the whole label map that is shown."""
    segmentation = node.GetSegmentation()
    for id_, surface in surfaces(node).items():
        segment, copy = segmentation.GetSegment(id_), slicer.vtkSegment()
        copy.SetLabelValue(segment.GetLabelValue())
        copy.AddRepresentation("Binary labelmap", segment.GetRepresentation("Binary labelmap"))
        alone = slicer.vtkSegmentation()
        alone.CopyConversionParameters(segmentation)
        alone.AddSegment(copy, id_)
        assert alone.CreateRepresentation(SURFACE)
        expected = copy.GetRepresentation(SURFACE)
        assert expected.GetNumberOfPoints() > 0
        assert surface.GetNumberOfPolys() == expected.GetNumberOfPolys()
        np.testing.assert_allclose(points(surface), points(expected), atol=2e-3)


def test_surfaces_of_the_cut_are_those_that_slicer_makes_from_the_folded_labels(logic, node):
    for cut in (3, 2, ["background", "cortex", "putamen", "caudate", "stem"], 1, 0, 3):
        logic.collapse(node, cut)
        assertAsSlicerMakesThem(node)


@pytest.mark.parametrize("method", ["0", "1"])
def test_the_settings_of_the_segmentation_count(logic, node, method):
    segmentation = node.GetSegmentation()
    segmentation.SetConversionParameter("Conversion method", method)
    segmentation.SetConversionParameter("Smoothing factor", "0.2")
    logic.collapse(node, 2)
    assertAsSlicerMakesThem(node)


def test_a_fold_makes_only_what_it_did_not_make_before(logic, hard):
    made = []
    logic.surfaces.onWanted = lambda each: made.append(logic.surfaces.pendingOf(each))
    logic.collapse(hard, ["background", "cortex", "putamen", "caudate", "stem"])
    assert made == [["cortex"]]
    list(logic.surfaces.steps(hard))
    del made[:]
    logic.collapse(hard, 3)
    logic.collapse(hard, ["background", "cortex", "putamen", "caudate", "stem"])
    assert made == []


def test_surfaces_of_what_stays_are_the_same_objects(logic, hard):
    before = surfaces(hard)
    logic.collapse(hard, ["background", "left", "right", "nuclei", "stem"])
    after = surfaces(hard)
    assert [id_ for id_ in after if after[id_] is before.get(id_)] == ["left", "right", "stem"]


def test_slicer_makes_none_while_a_result_is_folded(logic, node):
    """An added segment without a surface would be converted there and then, from the whole label map."""
    logic.surfaces.onWanted = lambda _node: None
    logic.collapse(node, 2)
    fresh = surfaces(node)
    assert set(fresh) == {"cortex", "nuclei", "stem"}
    assert fresh["cortex"].GetNumberOfPoints() == fresh["nuclei"].GetNumberOfPoints() == 0
    done = list(logic.surfaces.steps(node))
    assert done[-1][0] == done[-1][1] == len(done)
    assertAsSlicerMakesThem(node)


def test_steps_end_where_the_result_is_folded_meanwhile(logic, node):
    logic.surfaces.onWanted = lambda _node: None
    logic.collapse(node, 2)
    steps = logic.surfaces.steps(node)
    next(steps)
    logic.collapse(node, 1)
    assert list(steps) == []
    assert logic.surfaces.pendingOf(node) == ["brain"]
    list(logic.surfaces.steps(node))
    assertAsSlicerMakesThem(node)


def test_what_an_effect_wrote_into_a_surface_is_not_kept(logic, node):
    """Slicer's effects convert a segment into the surface that it has."""
    surfaces(node)["left"].ShallowCopy(vtk.vtkPolyData())
    logic.collapse(node, 2)
    logic.collapse(node, 3)
    assertAsSlicerMakesThem(node)


def test_only_surfaces_whose_voxels_changed_are_made_again(logic, hard, tree):
    before = {id_: points(surface) for id_, surface in surfaces(hard).items()}
    wanted = []
    logic.surfaces.onWanted = lambda each: wanted.extend(logic.surfaces.pendingOf(each))
    logic.folding.setTree(hard, tree.merge(["putamen", "caudate"]), {"caudate": "putamen"})
    assert wanted == ["putamen"]
    list(logic.surfaces.steps(hard))
    assertAsSlicerMakesThem(hard)
    np.testing.assert_array_equal(points(surfaces(hard)["left"]), before["left"])


def test_hidden_and_folded_nodes_leave_no_surfaces_behind(logic, node):
    logic.collapse(node, 1)
    assert set(surfaces(node)) == {"brain"}
    logic.surfaces.show(node, False)
    assert not node.GetSegmentation().ContainsRepresentation(SURFACE)
    assert not logic.surfaces.areShown(node)
    logic.collapse(node, 3)
    assert set(surfaces(node).values()) == {None}


def test_segments_that_people_added_keep_their_surfaces(logic, node):
    segmentation = node.GetSegmentation()
    id_ = segmentation.AddEmptySegment("lesion", "lesion")
    lesion = segmentation.GetSegment(id_)
    surface = lesion.GetRepresentation(SURFACE)
    for level in (1, 3, 2):
        logic.collapse(node, level)
        assert lesion.GetRepresentation(SURFACE) is surface


def test_surfaces_that_slicer_made_follow_a_fold(logic, parcellation):
    node = logic.results.add(parcellation)
    assert node.GetSegmentation().CreateRepresentation(SURFACE)
    assert logic.surfaces.areShown(node)
    assertAsSlicerMakesThem(node)
    logic.collapse(node, 2)
    assertAsSlicerMakesThem(node)


def test_views_are_told_once_of_all_surfaces(logic, node):
    told = []
    event = slicer.vtkSegmentation.RepresentationModified
    node.AddObserver(event, lambda *_: told.append(1))
    logic.surfaces.onWanted = lambda _node: None
    logic.collapse(node, 2)
    assert len(told) == 1
    list(logic.surfaces.steps(node))
    logic.surfaces.draw(node)
    assert len(told) == 2


def test_the_layer_is_still_watched_by_slicer_after_a_fold_with_surfaces(logic, node):
    logic.collapse(node, 1)
    image = Segments.layerOf(node)
    Grids.arrayOf(image)[4:6, 4:6, 4:6] = 0
    image.GetPointData().GetScalars().Modified()
    image.Modified()
    assert not node.GetSegmentation().ContainsRepresentation(SURFACE), "what people paint drops them, as in Slicer"


def test_an_empty_result_has_empty_surfaces(logic, tree):
    dense = np.zeros((len(tree.leaves), 4, 4, 4), np.float32)
    dense[tree.leaf_index("background")] = 1
    node = logic.results.add(SoftParcellation.from_dense(dense, tree, Geometry((4, 4, 4), (1.0, 1.0, 1.0))))
    logic.surfaces.show(node)
    assert [surface.GetNumberOfPoints() for surface in surfaces(node).values()] == [0]
