"""A scene that was saved before the terms changed opens with all that it showed."""

from pathlib import Path

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene.ShownMap import ShownMap

SCENE = Path(__file__).resolve().parents[1] / "fixtures" / "before-terms" / "scene.mrb"


@pytest.fixture
def node(scene, tmp_path):
    remote = slicer.vtkMRMLRemoteIOLogic()  # an opened bundle is unpacked into its cache folder
    remote.GetCacheManager().SetRemoteCacheDirectory(str(tmp_path))
    remote.SetMRMLScene(scene)
    remote.AddDataIOToScene()
    scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())  # the Colors module does it in the application
    assert scene.ReadFromMRB(str(SCENE))
    yield scene.GetFirstNodeByName("old")
    remote.RemoveDataIOFromScene()


def test_tree_cut_and_segments(logic, node):
    assert logic.results.isManaged(node)
    assert [leaf.id for leaf in logic.results.treeOf(node).leaves] == ["background", "core", "rim"]
    assert [each.id for each in logic.results.cutOf(node).nodes] == ["background", "ball"]
    assert list(node.GetSegmentation().GetSegmentIDs()) == ["root", "ball"], "root: where the ball is less sure"


def test_volumes_confidence_and_map(logic, node):
    volumes = {id_: (volume.softMl, volume.hardMl) for id_, volume in logic.volumes.ofNodes(node).items()}
    assert volumes["core"] == pytest.approx((4.120941, 2.312), abs=1e-5)
    assert volumes["rim"] == pytest.approx((1.899075, 0.024), abs=1e-5)
    assert logic.confidence.of(node) == 0.7
    assert logic.maps.shown(node) == ShownMap.probability("core")
    assert logic.maps.styleOf(node)["threshold"] == pytest.approx(0.2)
    heat = slicer.util.arrayFromVolume(node.GetNodeReference("softseg.heatMap"))
    np.testing.assert_allclose(heat.sum() * 8e-3, volumes["core"][0], rtol=1e-4)


def test_the_correction_is_listed_and_can_be_removed(logic, node):
    (correction,) = logic.corrections.of(node)
    assert (correction.node_id, correction.author, correction.voxel_count) == ("rim", "A. Reader", 3)
    soft = logic.results.parcellationOf(node)
    assert soft.probability("rim")[5, 6, 4:7].tolist() == [1.0] * 3
    logic.corrections.remove(node, correction.id)
    assert logic.results.parcellationOf(node).probability("rim")[5, 6, 5] < 1


def test_it_folds(logic, node):
    logic.confidence.set(node, None)
    logic.collapse(node, 2)
    assert sorted(node.GetSegmentation().GetSegmentIDs()) == ["core", "rim"]
    labels = logic.results.parcellationOf(node).labels(2)
    assert {1, 2} <= set(np.unique(labels).tolist())
