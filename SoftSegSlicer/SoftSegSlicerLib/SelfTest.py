"""The steps of the module's own tests; they run in the application and in the stand-in host alike."""
# ruff: noqa: PT009 - unittest runs these in the application

import numpy as np
import slicer
import vtk

from softseg.image import Geometry
from softseg.resources import label_tree_path
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree
from SoftSegSlicerLib.Scene.ShownMap import ShownMap

SHAPE = (12, 20, 16)


def headlessResult(logic):
    """Return a segmentation of a small scan in the scene: two leaves of the brain tree side by side."""
    tree = LabelTree.load(label_tree_path("brain-134"))
    shares = np.zeros((len(tree.leaves), *SHAPE), np.float32)
    left, right = (tree.leaf_index(leaf.id) for leaf in tree.leaves[1:3])
    shares[left, 3:9, 4:10, 4:12] = 0.7
    shares[right, 3:9, 4:10, 4:12] = 0.3
    shares[right, 3:9, 10:16, 4:12] = 1.0
    shares[tree.leaf_index(tree.background.id)] = 1 - shares.sum(axis=0)
    volume = slicer.util.addVolumeFromArray(shares[left] * 100, name="scan")
    geometry = Geometry(SHAPE[::-1], (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))
    parcellation = SoftParcellation.from_dense(shares, tree, geometry)
    return volume, logic.results.add(parcellation, volume)


def checkFolding(test, logic):
    """Fold to the root's level and back; look at a leaf; read its volume."""
    _volume, segmentation = headlessResult(logic)
    tree = logic.results.treeOf(segmentation)
    leaf = tree.leaves[1].id
    logic.folding.collapse(segmentation, 1)
    test.assertEqual(
        [node.id for node in logic.results.cutOf(segmentation).nodes], [n.id for n in tree.cut_at(1).nodes]
    )
    logic.folding.collapse(segmentation, tree.depth)
    heatMap = logic.maps.show(segmentation, leaf)
    test.assertAlmostEqual(float(slicer.util.arrayFromVolume(heatMap).max()), 0.7, delta=0.01)
    volumes = logic.volumes.ofNodes(segmentation)
    test.assertAlmostEqual(volumes[leaf].softMl, 0.7 * 6 * 6 * 8 / 1000, delta=0.01)
    logic.maps.hide(segmentation)


def checkUncertainty(test, logic):
    """Hold the labels to a confidence; look at one decision; be told that there is no outlier score."""
    _volume, segmentation = headlessResult(logic)
    tree = logic.results.treeOf(segmentation)
    parent = tree.path(tree.leaves[1].id)[-2].id
    logic.confidence.set(segmentation, 0.9)
    shown = [tree.node(id_).name for id_ in segmentation.GetDisplayNode().GetVisibleSegmentIDs()]
    test.assertIn(tree.node(parent).name, shown)
    test.assertAlmostEqual(sum(logic.confidence.depths(segmentation).values()), 1.0)
    logic.confidence.set(segmentation, None)
    logic.maps.showDecision(segmentation, parent)
    test.assertEqual(logic.maps.shown(segmentation), ShownMap.decision(parent))
    test.assertIsNone(logic.outliers.of(segmentation))
    logic.maps.hide(segmentation)


def checkFollowing(test, logic):
    """Harden a transform, fold, clone, delete: map and labels stay together, and the clone stays whole."""
    _volume, segmentation = headlessResult(logic)
    leaf = logic.results.treeOf(segmentation).leaves[1].id
    heatMap = logic.maps.show(segmentation, leaf)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 50.0)
    transform.SetMatrixTransformToParent(matrix)
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    test.assertEqual(heatMap.GetTransformNodeID(), transform.GetID())
    segmentation.HardenTransform()
    logic.folding.collapse(segmentation, 1)
    origins = [_originOf(segmentation), heatMap.GetOrigin()]
    np.testing.assert_allclose(origins, [(50.0, 0.0, 0.0)] * 2, atol=1e-3)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    cloning = slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem
    item = cloning(hierarchy, hierarchy.GetItemByDataNode(segmentation), "the clone")
    clone = hierarchy.GetItemDataNode(item) or slicer.mrmlScene.GetFirstNodeByName("the clone")
    slicer.mrmlScene.RemoveNode(segmentation)
    logic.folding.collapse(clone, logic.results.treeOf(clone).depth)
    heatMap = logic.maps.show(clone, leaf)
    np.testing.assert_allclose([_originOf(clone), heatMap.GetOrigin()], [(50.0, 0.0, 0.0)] * 2, atol=1e-3)
    slicer.mrmlScene.RemoveNode(clone)
    test.assertEqual(slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLTextNode"), 0)


def _originOf(segmentation):
    """Return where the first voxel of the grid of the labels lies (RAS, mm)."""
    matrix = vtk.vtkMatrix4x4()
    segmentation.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap").GetImageToWorldMatrix(matrix)
    return tuple(matrix.GetElement(row, 3) for row in range(3))


def checkPanels(test, widget):
    """Open every panel; Segment says why it cannot start, and starts to be able to when a scan is chosen."""
    for name in ("Look", "Tree", "Train", "Compare", "Segment"):
        test.assertIsNotNone(widget.showPanel(name).widget)
    panel = widget.panel("Segment")
    test.assertFalse(panel.ui.applyButton.enabled)
    test.assertIn("Choose a volume", panel.ui.applyButton.toolTip)
    volume, _segmentation = headlessResult(widget.logic)
    panel.inputs.selector("MR").setCurrentNode(volume)
    slicer.app.processEvents()
    test.assertTrue(panel.ui.applyButton.enabled)
