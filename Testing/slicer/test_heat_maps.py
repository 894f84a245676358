"""Heat maps: values, look, and the pixels that the slice pipeline of Slicer makes of them."""

from dataclasses import replace

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.ShownMap import DISAGREEMENT, OUTLIER_SCORE, UNCERTAINTY, ShownMap
from vtk.util import numpy_support

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree

SIZE = (32, 32, 8)


class SliceView:
    """One axial slice view without a window; its pixels are read from the end of Slicer's own pipeline."""

    def __init__(self, scene):
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene, True)
        application = slicer.vtkMRMLApplicationLogic()
        application.SetMRMLScene(scene)
        self._keep = application
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application)
        self.logic.SetMRMLScene(scene)
        self.node = self.logic.AddSliceNode("Red")
        self.node.SetOrientationToAxial()
        self.composite = self.logic.GetSliceCompositeNode()

    def pixels(self, geometry):
        """RGBA ``(j, i)`` of the slice through the middle, one pixel per voxel, of a grid along the axes."""
        i, j, k = geometry.size
        centre = geometry.affine @ [(i - 1) / 2, (j - 1) / 2, k // 2, 1]
        self.node.SetDimensions(i, j, 1)
        self.node.SetFieldOfView(i * geometry.spacing[0], j * geometry.spacing[1], geometry.spacing[2])
        self.node.JumpSliceByCentering(*centre[:3])
        self.logic.UpdatePipeline()
        connection = self.logic.GetImageDataConnection()
        connection.GetProducer().Update()
        image = connection.GetProducer().GetOutputDataObject(connection.GetIndex())
        rgba = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
        return rgba.reshape(image.GetDimensions()[1], image.GetDimensions()[0], -1).astype(int)


@pytest.fixture
def view(scene):
    """A slice view."""
    return SliceView(scene)


@pytest.fixture
def ramp(tree):
    """The stem's probability grows from 0 on one side to 1 on the other; the rest is background."""
    geometry = Geometry(SIZE, (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    dense = np.zeros((len(tree.leaves), *geometry.shape), np.float32)
    dense[tree.leaf_index("stem")] = np.linspace(0, 1, SIZE[0], dtype=np.float32)
    dense[tree.leaf_index("background")] = 1 - dense[tree.leaf_index("stem")]
    return SoftParcellation.from_dense(dense, tree, geometry)


@pytest.fixture
def shown(logic, ramp, addVolume, view):
    """The ramp's segmentation over a mid grey scan that is the view's background."""
    scan = addVolume(np.full(ramp.geometry.shape, 100, np.int16), ramp.geometry)
    scan.CreateDefaultDisplayNodes()
    grey = slicer.vtkMRMLColorTableNode()
    grey.SetTypeToGrey()
    scan.GetDisplayNode().SetAndObserveColorNodeID(slicer.mrmlScene.AddNode(grey).GetID())
    scan.GetDisplayNode().SetAutoWindowLevel(False)
    scan.GetDisplayNode().SetWindowLevelMinMax(0, 200)
    view.composite.SetBackgroundVolumeID(scan.GetID())
    return logic.results.add(ramp, scan)


def columns(view, ramp):
    """The mean colour of each column of voxels, from probability 0 to 1 (the view is radiological: right is left)."""
    pixels = view.pixels(ramp.geometry)[4:-4].mean(axis=0)[:, :3]
    return pixels if pixels[0].std() < pixels[-1].std() else pixels[::-1]


def test_pixels_below_the_threshold_are_the_scan_and_those_above_are_coloured(logic, shown, view, ramp):
    grey = columns(view, ramp)
    assert np.ptp(grey) < 2, "without a heat map there is only the scan"
    logic.showNode(shown, "stem", threshold=0.5, opacity=1.0)
    colours = columns(view, ramp)
    changed = np.abs(colours - grey).max(axis=1) > 10
    probability = np.linspace(0, 1, SIZE[0])
    np.testing.assert_array_equal(changed[probability < 0.47], False)
    np.testing.assert_array_equal(changed[probability > 0.6], True)
    logic.maps.style(shown, threshold=0.2)
    changed = np.abs(columns(view, ramp) - grey).max(axis=1) > 10
    assert changed[(probability > 0.28) & (probability < 0.3)].all() or changed[probability > 0.3].sum() > 20


def test_opacity_mixes_heat_map_and_scan(logic, shown, view, ramp):
    grey = columns(view, ramp)[-4]
    logic.showNode(shown, "stem", threshold=0.05, opacity=1.0)
    full = columns(view, ramp)[-4]
    logic.maps.style(shown, opacity=0.5)
    half = columns(view, ramp)[-4]
    np.testing.assert_allclose(half, (full + grey) / 2, atol=4)
    logic.maps.style(shown, opacity=0.0)
    np.testing.assert_allclose(columns(view, ramp)[-4], grey, atol=2)


def test_hiding_brings_back_the_view_as_it_was(logic, shown, view, ramp, addVolume):
    other = addVolume(np.full(ramp.geometry.shape, 30, np.int16), ramp.geometry, "other")
    view.composite.SetForegroundVolumeID(other.GetID())
    view.composite.SetForegroundOpacity(0.3)
    logic.showNode(shown, "stem")
    assert view.composite.GetForegroundVolumeID() != other.GetID()
    logic.showNode(shown, "brain", opacity=0.9)
    logic.maps.hide(shown)
    assert view.composite.GetForegroundVolumeID() == other.GetID()
    assert view.composite.GetForegroundOpacity() == pytest.approx(0.3)
    assert logic.maps.shown(shown) is None


def test_a_foreground_that_was_removed_meanwhile_does_not_come_back(logic, shown, view, ramp, addVolume, scene):
    other = addVolume(np.full(ramp.geometry.shape, 30, np.int16), ramp.geometry, "other")
    view.composite.SetForegroundVolumeID(other.GetID())
    logic.showNode(shown, "stem")
    scene.RemoveNode(other)
    logic.maps.hide(shown)
    assert view.composite.GetForegroundVolumeID() is None


def test_values_are_the_parcellations_and_the_node_is_used_again(logic, make, anyGrid):
    parcellation = make(anyGrid)
    node = logic.results.add(parcellation)
    heat = logic.showNode(node, "cortex")
    np.testing.assert_allclose(slicer.util.arrayFromVolume(heat), parcellation.probability("cortex"), atol=1e-6)
    image = heat.GetImageData()
    assert logic.showNode(node, "stem") is heat
    assert heat.GetImageData() is image
    np.testing.assert_allclose(slicer.util.arrayFromVolume(heat), parcellation.probability("stem"), atol=1e-6)
    from SoftSegSlicerLib.Scene import Grids

    assert Grids.geometryOfVolume(heat).same_grid(anyGrid)


def test_segments_are_outlines_only_while_a_map_is_on(logic, parcellation):
    node = logic.results.add(parcellation)
    display = node.GetDisplayNode()
    display.SetVisibility2DOutline(False)
    logic.showNode(node, "brain")
    assert (display.GetVisibility2DFill(), display.GetVisibility2DOutline()) == (False, True)
    logic.maps.showUncertainty(node)
    logic.maps.hide(node)
    assert (display.GetVisibility2DFill(), display.GetVisibility2DOutline()) == (True, False)


def test_the_look_is_read_back_and_only_what_is_given_changes(logic, parcellation):
    node = logic.results.add(parcellation)
    assert logic.maps.styleOf(node)["threshold"] == 0.05
    heat = logic.showNode(node, "brain", threshold=0.3, contour=True)
    logic.showNode(node, "stem")
    logic.maps.style(node, opacity=0.25)
    style = logic.maps.styleOf(node)
    assert (style["threshold"], style["opacity"], style["contour"]) == (0.3, 0.25, True)
    display = heat.GetDisplayNode()
    assert (display.GetLowerThreshold(), display.GetApplyThreshold()) == (0.3, 1)
    assert (display.GetWindowLevelMin(), display.GetWindowLevelMax()) == (0, 1)
    assert not display.GetAutoWindowLevel()


def test_the_legend_is_small_and_names_the_structure(logic, parcellation):
    node = logic.results.add(parcellation)
    heat = logic.showNode(node, "left")
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(heat)
    assert legend.GetTitleText() == "left cortex"
    assert max(legend.GetSize()) <= 0.25
    assert legend.GetLabelTextProperty().GetFontSize() <= 10
    above = (1 - legend.GetPosition()[1]) * (1 - legend.GetSize()[1])
    assert above * 240 >= 24, "the title is drawn above the legend's box, and has to fit into a low view"
    assert legend.GetVisibility()
    logic.showNode(node, "stem", legend=False)
    assert not legend.GetVisibility()


def test_a_colour_map_that_is_there_is_taken(logic, parcellation, scene):
    colours = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "Viridis")
    colours.SetTypeToUser()
    colours.SetNumberOfColors(2)
    node = logic.results.add(parcellation)
    heat = logic.showNode(node, "brain", colorMap="Viridis")
    assert heat.GetDisplayNode().GetColorNode() is colours
    assert "Viridis" in logic.maps.colorMaps()
    assert logic.maps.styleOf(node)["colorMap"] == "Viridis"


def test_the_contour_runs_where_the_probability_is_one_half(logic, ramp, scene):
    node = logic.results.add(ramp)
    heat = logic.showNode(node, "stem", contour=True)
    model = heat.GetNodeReference("softseg.contour")
    points = numpy_support.vtk_to_numpy(model.GetPolyData().GetPoints().GetData())
    i = (np.linalg.inv(ramp.geometry.affine) @ np.c_[points, np.ones(len(points))].T)[0]
    np.testing.assert_allclose(i, (SIZE[0] - 1) / 2, atol=0.2)
    assert (model.GetDisplayNode().GetVisibility2D(), model.GetDisplayNode().GetVisibility3D()) == (1, 0)
    logic.maps.style(node, contour=False)
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 0


@pytest.mark.parametrize("name", ["disagreement", "uncertainty map", "outlier score", "decision in stem"])
def test_a_node_may_be_called_like_another_map(logic, ramp, tree, name):
    """Scenes keep these words for the other maps; what a map shows follows from its role, not from the word alone."""
    called = LabelTree([replace(node, id=name) if node.id == "stem" else node for node in tree.nodes])
    node = logic.results.add(replace(ramp, tree=called))
    heat = logic.showNode(node, name)
    assert logic.maps.shown(node) == ShownMap.probability(name)
    assert heat.GetAttribute("SoftSeg.ShownNode") == name
    logic.folding.setTree(node, called)
    assert logic.maps.shown(node) == ShownMap.probability(name), "the map is that of the node after an edit, too"


@pytest.mark.parametrize(
    ("role", "text", "shown"),
    [
        ("softseg.heatMap", "stem", ShownMap.probability("stem")),
        ("softseg.entropy", "uncertainty map", UNCERTAINTY),
        ("softseg.entropy", "decision in stem", ShownMap.decision("stem")),
        ("softseg.outlierScore", "outlier score", OUTLIER_SCORE),
        ("softseg.disagreement", "disagreement", DISAGREEMENT),
    ],
)
def test_the_words_that_scenes_keep(role, text, shown):
    assert (shown.role, shown.text) == (role, text)
    assert ShownMap.of(role, text) == shown


def test_uncertainty_is_the_entropy_at_the_cut_and_follows_it(logic, parcellation):
    node = logic.results.add(parcellation)
    entropy = logic.maps.showUncertainty(node)
    assert logic.maps.shown(node) == UNCERTAINTY
    np.testing.assert_allclose(slicer.util.arrayFromVolume(entropy), parcellation.entropy(3, True), atol=1e-6)
    display = entropy.GetDisplayNode()
    assert display.GetWindowLevelMax() == pytest.approx(np.log(4) / np.log(6))
    logic.collapse(node, 1)
    np.testing.assert_allclose(slicer.util.arrayFromVolume(entropy), parcellation.entropy(1, True), atol=1e-6)
    assert display.GetWindowLevelMax() == 1
    heat = logic.showNode(node, "stem")
    assert heat is not entropy
    assert logic.maps.shown(node) == ShownMap.probability("stem")


def test_a_cloud_in_3d_is_denser_where_the_share_is_larger(logic, parcellation):
    node = logic.results.add(parcellation)
    with pytest.raises(InputError, match="no map is shown"):
        logic.maps.showVolumeRendering(node, True)
    logic.showNode(node, "brain", threshold=0.3)
    display = logic.maps.showVolumeRendering(node, True)
    opacity = display.GetVolumePropertyNode().GetVolumeProperty().GetScalarOpacity()
    values = [opacity.GetValue(share) for share in (0.0, 0.29, 0.6, 1.0)]
    assert values[0] == values[1] == 0
    assert 0 < values[2] < values[3]
    logic.maps.hide(node)
    assert not display.GetVisibility()


def test_the_slice_shows_outliers_in_their_colour_and_nothing_else_of_the_layer(logic, tree, view, addVolume):
    geometry = Geometry((32, 32, 8), (1.0, 1.0, 2.0), (0.0, 0.0, 0.0))
    dense = np.zeros((len(tree.leaves), *geometry.shape), np.float32)
    dense[tree.leaf_index("background")] = 1
    steps = np.zeros(geometry.shape, np.uint8)
    steps[:, 8:24, 8:24] = 200
    soft = replace(
        SoftParcellation.from_dense(dense, tree, geometry),
        outliers=StoredOutliers.of_volume(steps, "energy", 0.0, -10.0, 15.5),
    )
    scan = addVolume(np.full(geometry.shape, 100, np.int16), geometry)
    view.composite.SetBackgroundVolumeID(scan.GetID())
    node = logic.results.add(soft, scan)
    plain = view.pixels(geometry)
    logic.outliers.show(node, 1.0)
    marked = view.pixels(geometry)
    inside = marked[12:20, 12:20, :3]
    assert (np.abs(inside - np.array([242, 38, 217])) <= 2).all(), "the colour of outliers"
    np.testing.assert_array_equal(marked[:4], plain[:4])
    logic.outliers.hide(node)
    np.testing.assert_array_equal(view.pixels(geometry), plain)


def test_maps_that_cannot_be_are_refused(logic, parcellation, addVolume, tree, grid):
    node = logic.results.add(parcellation)
    with pytest.raises(InputError, match="no node 'heart'"):
        logic.showNode(node, "heart")
    crisp = logic.results.adopt(addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    for call in (lambda: logic.showNode(crisp, "brain"), lambda: logic.maps.showUncertainty(crisp)):
        with pytest.raises(InputError, match="no probability maps"):
            call()


def test_the_scan_is_untouched_where_nothing_is_shown(logic, shown, view, ramp):
    grey = columns(view, ramp)
    probability = np.linspace(0, 1, SIZE[0])
    for threshold in (0.0, 0.05, 0.5):
        for opacity in (0.4, 0.6, 1.0):
            logic.showNode(shown, "stem", threshold=threshold, opacity=opacity)
            nothing = (probability < threshold - 0.05) | (probability == 0)
            np.testing.assert_allclose(columns(view, ramp)[nothing], grey[nothing], atol=2)
            assert logic.maps.styleOf(shown)["threshold"] == pytest.approx(threshold)


def test_a_map_takes_the_place_of_that_of_another_result_with_its_legend(logic, shown, ramp, view):
    first = logic.showNode(shown, "stem")
    other = logic.results.add(ramp)
    second = logic.showNode(other, "stem")
    assert view.composite.GetForegroundVolumeID() == second.GetID()
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode
    assert not legend(first).GetVisibility()
    assert legend(second).GetVisibility()
    logic.maps.hide(other)
    assert not legend(second).GetVisibility()
    assert view.composite.GetForegroundVolumeID() is None


def test_segments_are_never_drawn_neither_filled_nor_as_outlines(logic, shown):
    """Slicer's slice controllers warn of it, each time and in each view."""
    display, seen = shown.GetDisplayNode(), []
    display.SetVisibility2DOutline(False)

    def look(*_args):
        seen.append(display.GetVisibility2DFill() or display.GetVisibility2DOutline())

    display.AddObserver("ModifiedEvent", look)
    logic.showNode(shown, "stem")
    logic.maps.hide(shown)
    assert seen
    assert all(seen)
    assert (display.GetVisibility2DFill(), display.GetVisibility2DOutline()) == (1, 0)


def test_a_new_result_is_shown_and_the_others_are_hidden(logic, shown, ramp, scene):
    logic.showNode(shown, "stem")
    people = scene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    people.CreateDefaultDisplayNodes()
    other = logic.results.add(ramp)
    assert not shown.GetDisplayVisibility()
    assert logic.maps.shown(shown) is None
    assert other.GetDisplayVisibility()
    assert people.GetDisplayVisibility()
    logic.results.showAlone(shown)
    assert shown.GetDisplayVisibility()
    assert not other.GetDisplayVisibility()
