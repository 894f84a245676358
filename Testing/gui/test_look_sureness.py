"""The Look panel on what a result does not know: confidence, outliers, single decisions; by mouse and keyboard."""

import numpy as np
import pytest
import qt
import slicer
from gui_actions import click, clickArrow, clickRow, names, settle
from gui_results import labelMapNode, parcellation, phantom, rasOf, readableScenes, shownLabels, strange, tree


@pytest.fixture
def look(moduleWidget):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    panel = moduleWidget.showPanel("Look")
    panel.ui.sureSection.collapsed = False
    moduleWidget.parent.show()
    moduleWidget.parent.activateWindow()
    settle()
    return panel


@pytest.fixture
def result(look):
    look.context.segmentation = look.context.logic.results.add(strange(parcellation()), name="case")
    settle()
    return look.context.segmentation


def composite():
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")


def shownMap():
    return slicer.mrmlScene.GetNodeByID(composite().GetForegroundVolumeID() or "")


def marked():
    node = slicer.mrmlScene.GetNodeByID(composite().GetLabelVolumeID() or "")
    return None if node is None else slicer.util.arrayFromVolume(node) > 0


# -- as deep as sure --------------------------------------------------------------------------------------------------


def test_the_confidence_is_off_at_first_and_merges_what_is_doubtful(look, result):
    before = shownLabels(result)
    assert not look.ui.confidenceCheck.checked
    assert not look.ui.confidenceSlider.enabled
    assert not look.ui.confidenceLabel.visible
    click(look.ui.confidenceCheck)
    assert look.context.logic.confidence.of(result) == 0.9
    coarse = shownLabels(result)
    assert coarse["grey matter"] > 0
    assert sum(coarse[name] for name in ("cortex", "caudate", "putamen")) < sum(
        before[name] for name in ("cortex", "caudate", "putamen")
    )
    assert "level 2: " in look.ui.confidenceLabel.text
    look.ui.confidenceSlider.value = 0.5
    assert shownLabels(result)["caudate"] > coarse["caudate"]
    click(look.ui.confidenceCheck)
    assert shownLabels(result) == before
    assert look.context.logic.confidence.of(result) is None


def test_branches_fold_and_the_pointer_answers_as_deep_as_sure(look, result):
    click(look.ui.confidenceCheck)
    slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").SetCursorPositionRAS(rasOf(4, 5, 3))
    settle()
    assert "<b>grey matter</b> 100%" in look.ui.hoverLabel.text, "half cortex, half caudate"
    clickArrow(look.tree, "grey")
    assert "cortex" not in shownLabels(result)
    assert look.context.logic.confidence.of(result) == 0.9


def test_a_saved_scene_is_as_sure_as_before(look, result, tmp_path):
    click(look.ui.confidenceCheck)
    look.ui.confidenceSlider.value = 0.75
    click(look.ui.outliersCheck)
    look.ui.outlierThresholdSlider.value = 1.0
    look.ui.outlierOpacitySlider.value = 0.3
    before, outside = shownLabels(result), marked()
    readableScenes(tmp_path)
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear()
    settle()
    assert not look.ui.confidenceCheck.checked
    assert slicer.mrmlScene.ReadFromMRB(path)
    settle()
    look.context.segmentation = again = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    settle()
    assert shownLabels(again) == before
    assert look.ui.confidenceCheck.checked
    assert look.ui.confidenceSlider.value == 0.75
    assert look.ui.outliersCheck.checked
    assert look.ui.outlierThresholdSlider.value == pytest.approx(1.0)
    assert look.ui.outlierOpacitySlider.value == pytest.approx(0.3)
    assert np.array_equal(marked(), outside)


# -- outliers ----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("result")
def test_outliers_are_marked_and_the_threshold_is_in_units_of_the_score(look):
    stored = strange(parcellation()).outliers
    slider = look.ui.outlierThresholdSlider
    assert (slider.minimum, slider.maximum) == (-8.0, 4.0)
    assert slider.value == pytest.approx(-2.0)
    assert marked() is None
    click(look.ui.outliersCheck)
    assert np.array_equal(marked(), stored.mask())
    slider.value = 2.5
    assert np.array_equal(marked(), stored.mask(2.5))
    ml = stored.mask(2.5).sum() * 2.0 / 1000
    assert look.ui.outliersLabel.text.startswith(f"{ml:.1f} ml have a score (energy) beyond 2.5")
    look.ui.outlierOpacitySlider.value = 0.25
    assert composite().GetLabelOpacity() == pytest.approx(0.25)
    click(look.ui.outlierResetButton)
    assert slider.value == pytest.approx(-2.0)
    assert np.array_equal(marked(), stored.mask())
    click(look.ui.outliersCheck)
    assert marked() is None


def test_outliers_get_no_label_if_wanted(look, result):
    before = shownLabels(result)
    click(look.ui.leaveOutCheck)
    assert sum(shownLabels(result).values()) < sum(before.values())
    click(look.ui.exportLabelMapButton)
    labels = slicer.util.arrayFromVolume(slicer.util.getNode("case labels"))
    assert not labels[strange(parcellation()).outliers.mask()].any()
    click(look.ui.leaveOutCheck)
    assert shownLabels(result) == before


@pytest.mark.usefixtures("result")
def test_the_score_is_a_map_of_its_own(look):
    click(look.ui.scoreButton)
    stored = strange(parcellation()).outliers
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), stored.degree(), atol=1e-5)
    assert not look.ui.thresholdSlider.enabled
    look.ui.outlierThresholdSlider.value = 1.0
    assert shownMap().GetDisplayNode().GetLowerThreshold() == pytest.approx(1.0)
    clickRow(look.tree, "grey")
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), stored.degree(), atol=1e-5)
    click(look.ui.probabilityButton)
    assert shownMap().GetDisplayNode().GetLowerThreshold() == pytest.approx(0.05)
    assert look.ui.thresholdSlider.enabled


@pytest.mark.usefixtures("result")
def test_the_pointer_says_that_a_voxel_is_an_outlier(look):
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS(rasOf(9, 5, 3))
    settle()
    assert "outlier (energy" in look.ui.hoverLabel.text
    crosshair.SetCursorPositionRAS(rasOf(2, 5, 3))
    settle()
    assert "outlier" not in look.ui.hoverLabel.text


def test_without_a_score_it_is_said_how_to_get_one(look):
    look.context.segmentation = look.context.logic.results.add(parcellation())
    settle()
    assert not look.ui.scoreButton.visible
    assert not look.ui.outliersCheck.enabled
    assert not look.ui.outliersFrame.visible
    assert "No outlier score: segment the scan with the option 'Outliers'" in look.ui.outliersLabel.text
    assert look.ui.confidenceCheck.enabled


def test_a_segmentation_made_elsewhere_is_sure_of_everything(look):
    look.context.segmentation = look.context.logic.results.adopt(labelMapNode([0, 1, 2, 3, 4]), tree())
    settle()
    for name in ("confidenceCheck", "confidenceSlider", "outliersCheck", "leaveOutCheck"):
        assert not getattr(look.ui, name).enabled, name
    assert not look.ui.outliersLabel.visible


def test_of_two_results_each_keeps_its_own(look, result):
    click(look.ui.confidenceCheck)
    click(look.ui.scoreButton)
    other = look.context.logic.results.add(parcellation(), name="other")
    look.context.segmentation = other
    settle()
    assert not look.ui.confidenceCheck.checked
    assert look.ui.labelsButton.checked
    look.context.segmentation = result
    settle()
    assert look.ui.confidenceCheck.checked
    assert look.ui.labelsButton.checked, "its map went when the other result came"


# -- one decision ------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("result")
def test_uncertainty_is_of_the_labels_or_of_the_decision_in_the_selected_structure(look):
    assert not look.ui.decisionSelector.visible
    click(look.ui.uncertaintyButton)
    assert look.ui.decisionSelector.visible
    look.ui.decisionSelector.currentIndex = 1
    assert shownMap() is None
    assert "Select a structure" in look.ui.mapWhyLabel.text
    clickRow(look.tree, "grey")
    expected = parcellation().branch_entropy("grey")
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), expected, atol=1e-6)
    clickRow(look.tree, "caudate")
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), expected, atol=1e-6), "the decision that leads to it"
    click(look.ui.probabilityButton)
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), parcellation().probability("caudate"), atol=1e-6)
    click(look.ui.uncertaintyButton)
    look.ui.decisionSelector.currentIndex = 0
    assert np.allclose(slicer.util.arrayFromVolume(shownMap()), parcellation().entropy(2, normalize=True), atol=1e-5)


def test_pictures(look, screenshot):
    logic = look.context.logic
    look.context.segmentation = node = logic.results.add(strange(phantom(), 2.0), name="T1 segmentation")
    logic.collapse(node, 4)
    look.refresh()
    settle()
    click(look.ui.confidenceCheck)
    click(look.ui.outliersCheck)
    click(look.ui.uncertaintyButton)
    look.ui.decisionSelector.currentIndex = 1
    clickRow(look.tree, "basal-ganglia")
    for path in screenshot(look.widget, "look-sure"):
        assert qt.QPixmap(str(path)).width() == look.widget.width
    assert names(look.tree)
