"""The Look panel over real scenes: folding, maps, hovering, adoption, saved scenes; by mouse and keyboard."""

import numpy as np
import pytest
import qt
import slicer
from gui_actions import CTRL, click, clickArrow, clickRow, key, names, settle, write
from gui_results import labelMapNode, parcellation, phantom, rasOf, readableScenes, shownLabels, tree
from SoftSegSlicerLib.Scene.ShownMap import ShownMap

from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from softseg.tree.matching import ADD, LEAVE_OUT

LEAVES = ["cortex", "caudate", "putamen", "white matter"]


@pytest.fixture
def look(moduleWidget):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")  # the application has one, whatever scene is loaded
    panel = moduleWidget.showPanel("Look")
    moduleWidget.parent.show()
    moduleWidget.parent.activateWindow()
    settle()
    return panel


@pytest.fixture
def result(look):
    node = look.context.logic.results.add(parcellation(), name="case")
    look.context.segmentation = node
    settle()
    return node


def row(panel, id_):
    return [panel.tree.itemOf(id_).text(column) for column in range(3)]


def foreground():
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    node = slicer.mrmlScene.GetNodeByID(composite.GetForegroundVolumeID() or "")
    return node, composite.GetForegroundOpacity()


def test_shows_volume_and_certainty_of_every_node(look, result):
    volumes = look.context.logic.volumes.ofNodes(result)
    assert names(look.tree)[0] == "head"
    assert row(look, "grey") == ["grey matter", f"{volumes['grey'].softMl:.2f}", f"{volumes['grey'].certainty:.0%}"]
    assert float(row(look, "grey")[1]) == pytest.approx(
        sum(float(row(look, id_)[1]) for id_ in ("cortex", "caudate", "putamen")), abs=0.02
    )
    assert "soft" in look.tree.headerItem().toolTip(1).lower()


def test_folding_a_branch_merges_its_segments_and_opening_parts_them(look, result):
    before = shownLabels(result)
    assert sorted(before) == sorted(LEAVES)
    segments = result.GetSegmentation()
    clickArrow(look.tree, "grey")
    folded = shownLabels(result)
    assert sorted(folded) == ["grey matter", "white matter"]
    # soft sums: a voxel of grey matter in sum may be none of its parts
    assert folded["grey matter"] >= before["cortex"] + before["caudate"] + before["putamen"]
    assert result.GetSegmentation() is segments
    clickArrow(look.tree, "grey")
    assert shownLabels(result) == before


def test_keyboard_folds_as_well(look, result):
    clickRow(look.tree, "grey")
    key(look.tree, "Left")
    assert sorted(shownLabels(result)) == ["grey matter", "white matter"]
    key(look.tree, "Right")
    assert sorted(shownLabels(result)) == sorted(LEAVES)


def test_menu_opens_and_folds_whole_branches(look, result):
    texts = [action.text for action in look.tree.actions()]
    fold, others = (look.tree.actions()[texts.index(text)] for text in ("Fold everything below", "Fold all others"))
    clickRow(look.tree, "head")
    fold.trigger()
    settle()
    assert names(look.tree) == ["head"]
    look.tree.actions()[texts.index("Unfold everything below")].trigger()
    settle()
    assert sorted(shownLabels(result)) == sorted(LEAVES)
    clickRow(look.tree, "white")
    others.trigger()
    settle()
    assert sorted(shownLabels(result)) == ["grey matter", "white matter"]


def test_level_slider_folds_all_and_follows_the_branches(look, result):
    assert look.ui.levelSlider.value == 2
    key(look.ui.levelSlider, "Left")
    assert sorted(shownLabels(result)) == ["grey matter", "white matter"]
    assert names(look.tree) == ["head", "  background", "  grey matter", "  white matter"]
    assert look.ui.levelLabel.text == "1 of 2, 2 labels"
    clickArrow(look.tree, "grey")
    assert look.ui.levelSlider.value == 2
    assert look.ui.levelLabel.text == "2 of 2, 4 labels"


@pytest.mark.usefixtures("result")
def test_other_panels_hear_of_the_cut(look):
    heard = []
    look.context.addObserver("cutChanged", lambda **data: heard.append(data))
    clickArrow(look.tree, "grey")
    assert len(heard) == 1


def test_selecting_a_node_shows_its_probability(look, result):
    clickRow(look.tree, "grey")
    node, opacity = foreground()
    assert np.array_equal(slicer.util.arrayFromVolume(node), parcellation().probability("grey"))
    assert opacity == pytest.approx(look.ui.opacitySlider.value)
    assert not result.GetDisplayNode().GetVisibility2DFill()
    clickRow(look.tree, "white")
    assert foreground()[0] is node
    assert np.array_equal(slicer.util.arrayFromVolume(node), parcellation().probability("white"))
    clickRow(look.tree, "white", CTRL)
    assert foreground()[0] is None
    assert result.GetDisplayNode().GetVisibility2DFill()
    assert "Select a structure" in look.ui.mapWhyLabel.text
    assert look.ui.labelsButton.checked, "labels are what is shown"


def test_a_new_result_is_shown_and_the_one_before_goes_with_its_map(look, result):
    clickRow(look.tree, "grey")
    other = look.context.logic.results.add(parcellation(), name="other")
    assert (result.GetDisplayVisibility(), other.GetDisplayVisibility()) == (0, 1)
    assert foreground()[0] is None, "its map went with it"


def test_style_controls_act_on_the_map(look, result):
    assert not look.ui.thresholdSlider.enabled
    clickRow(look.tree, "cortex")
    look.ui.thresholdSlider.value = 0.3
    look.ui.opacitySlider.value = 0.25
    node, opacity = foreground()
    assert node.GetDisplayNode().GetLowerThreshold() == pytest.approx(0.3)
    assert opacity == pytest.approx(0.25)
    click(look.ui.contourCheck)
    click(look.ui.legendCheck)
    style = look.context.logic.maps.styleOf(result)
    assert (style["contour"], style["legend"]) == (True, False)
    clickRow(look.tree, "white")
    assert look.context.logic.maps.styleOf(result) == style


def test_color_map_is_chosen_by_name(look, result):
    clickRow(look.tree, "cortex")
    for index in range(look.ui.colorMapSelector.count):
        look.ui.colorMapSelector.currentIndex = index
        style = look.context.logic.maps.styleOf(result)
        assert style["colorMap"] == look.ui.colorMapSelector.currentText


def test_volume_rendering_is_switched(look, result):
    clickRow(look.tree, "cortex")
    click(look.ui.volumeRenderingCheck)
    assert look.context.logic.maps.volumeRenderingShown(result)
    click(look.ui.volumeRenderingCheck)
    assert not look.context.logic.maps.volumeRenderingShown(result)


@pytest.mark.usefixtures("result")
def test_uncertainty_is_that_of_the_shown_labels(look):
    click(look.ui.uncertaintyButton)
    fine = slicer.util.arrayFromVolume(foreground()[0]).copy()
    assert np.allclose(fine, parcellation().entropy(2, normalize=True), atol=1e-5)
    clickArrow(look.tree, "grey")
    coarse = slicer.util.arrayFromVolume(foreground()[0])
    assert np.allclose(coarse, parcellation().entropy(1, normalize=True), atol=1e-5)
    assert not look.ui.contourCheck.enabled
    click(look.ui.labelsButton)
    assert foreground()[0] is None


@pytest.mark.usefixtures("result")
def test_labels_mode_leaves_the_slices_alone(look):
    click(look.ui.labelsButton)
    clickRow(look.tree, "cortex")
    assert foreground()[0] is None
    click(look.ui.probabilityButton)
    assert foreground()[0] is not None


def hover(ras):
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    crosshair.SetCursorPositionRAS(ras)
    settle()


@pytest.mark.usefixtures("result")
def test_hovering_names_the_path_with_its_shares(look):
    soft = parcellation()
    hover(rasOf(4, 5, 3))
    shares = {id_: soft.probability(id_)[3, 5, 4] for id_ in ("grey", "caudate", "cortex")}
    largest = max(("caudate", "cortex"), key=shares.get)
    text = look.ui.hoverLabel.text
    assert f"<b>{largest}</b> {shares[largest]:.0%}" in text
    assert f"grey matter&nbsp;{shares['grey']:.0%}" in text
    hover((500.0, 500.0, 500.0))
    assert look.ui.hoverLabel.text == "Move the mouse over a slice view to see the structure there."


@pytest.mark.usefixtures("result")
def test_hovering_stops_at_the_cut(look):
    clickArrow(look.tree, "grey")
    hover(rasOf(4, 5, 3))
    assert "<b>grey matter</b>" in look.ui.hoverLabel.text


def test_search_shows_folded_structures_and_changes_nothing(look, result):
    clickArrow(look.tree, "grey")
    before = shownLabels(result)
    write(look.ui.searchEdit, "puta", end="Return")
    assert names(look.tree) == ["head", "  grey matter", "    putamen"]
    assert shownLabels(result) == before
    assert look.context.logic.maps.shown(result) == ShownMap.probability("putamen")
    key(look.ui.searchEdit, "Escape")
    assert names(look.tree) == ["head", "  background", "  grey matter", "  white matter"]
    assert shownLabels(result) == before


def test_level_chosen_during_a_search_is_seen_after_it(look, result):
    write(look.ui.searchEdit, "puta", end="")
    key(look.ui.levelSlider, "Left")
    assert sorted(shownLabels(result)) == ["grey matter", "white matter"]
    key(look.ui.searchEdit, "Escape")
    assert names(look.tree) == ["head", "  background", "  grey matter", "  white matter"]


def test_export_makes_true_segments_and_a_label_map(look, result):
    clickArrow(look.tree, "grey")
    click(look.ui.exportSegmentationButton)
    made = slicer.mrmlScene.GetNodesByClass("vtkMRMLSegmentationNode").GetItemAsObject(1)
    assert f"'{made.GetName()}' was created." == look.message.text
    assert shownLabels(made) == shownLabels(result)
    click(look.ui.exportLabelMapButton)
    labels = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLLabelMapVolumeNode")
    assert np.array_equal(slicer.util.arrayFromVolume(labels), parcellation().labels(1))


# -- made elsewhere -------------------------------------------------------------------------------------------------


def treeFile(look, tmp_path):
    path = tmp_path / "tree.json"
    tree().save(path)
    look.context.dialogs.path = str(path)
    settle()  # the trees that fit are listed when the panel is drawn
    look.ui.adoptTreeSelector.currentIndex = look.ui.adoptTreeSelector.count - 1


def test_label_map_gets_a_tree_and_can_be_folded(look, tmp_path):
    node = labelMapNode([0, 1, 2, 3, 4])
    assert not look.ui.adoptFrame.visible
    look.ui.segmentationSelector.setCurrentNode(node)
    settle()
    assert look.ui.adoptFrame.visible
    assert "'labels' has no label tree yet" in look.ui.adoptLabel.text
    treeFile(look, tmp_path)
    click(look.ui.adoptButton)
    assert not look.ui.adoptFrame.visible
    adopted = look.context.segmentation
    before = shownLabels(adopted)
    assert before == dict.fromkeys(LEAVES, 40)
    clickArrow(look.tree, "grey")
    assert shownLabels(adopted) == {"grey matter": 120, "white matter": 40}
    clickArrow(look.tree, "grey")
    assert shownLabels(adopted) == before


def test_without_soft_maps_the_controls_say_why_they_are_off(look, tmp_path):
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 1, 4]))
    treeFile(look, tmp_path)
    click(look.ui.adoptButton)
    for name in ("labelsButton", "probabilityButton", "uncertaintyButton", "thresholdSlider", "legendCheck"):
        assert not getattr(look.ui, name).enabled, name
    assert "no probability maps" in look.ui.mapWhyLabel.text
    assert look.ui.mapWhyLabel.visible
    assert "no probability maps" in look.tree.headerItem().toolTip(2)
    assert row(look, "cortex") == ["cortex", "0.04", "\N{EN DASH}"]
    clickRow(look.tree, "cortex")
    assert not look.ui.messageLabel.visible


def test_what_belongs_to_what_is_asked_before_a_tree_is_used(look, tmp_path):
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 1, 77]))
    treeFile(look, tmp_path)
    click(look.ui.adoptButton)
    asked = look.context.dialogs.matchings[-1]
    assert [(match.item.value, match.open) for match in asked.matches] == [(1, False), (77, True)]
    assert "77" in look.message.text  # nothing was chosen for it
    assert look.ui.adoptFrame.visible
    look.context.dialogs.chosen = None
    click(look.ui.adoptButton)
    assert look.ui.adoptFrame.visible  # cancelled
    look.context.dialogs.chosen = {77: LEAVE_OUT}
    click(look.ui.adoptButton)
    assert shownLabels(look.context.segmentation) == {"cortex": 40}
    assert not look.ui.messageLabel.visible


def labelsOfTree(look, name, changed=()):
    """A label map without names that has the values of a shipped tree's leaves, in cubes; some of them changed."""
    values = [leaf.value for leaf in LabelTree.load(label_tree_path(name)).leaves if leaf.value]
    values[: len(changed)] = changed
    array = np.zeros((len(values), 4, 4), np.uint16)
    array[:, :2] = np.array(values, np.uint16)[:, None, None]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "elsewhere")
    node.CreateDefaultDisplayNodes()
    slicer.util.updateVolumeFromArray(node, array)
    look.ui.segmentationSelector.setCurrentNode(node)
    settle()
    return node


def test_the_tree_that_fits_is_suggested_with_counts_and_taken_by_one_click(look):
    node = labelsOfTree(look, "freesurfer-aseg-dkt")
    slicer.util.setSliceViewerLayers(label=node)
    assert look.ui.adoptTreeSelector.currentText == "freesurfer-aseg-dkt (105 of 105 labels fit)"
    assert "The tree 'freesurfer-aseg-dkt' fits 105 of 105 labels, matched by value." in look.ui.adoptLabel.text
    click(look.ui.adoptButton)
    assert look.context.dialogs.matchings == []  # nothing is open, so nothing is asked
    assert look.context.logic.results.treeOf(look.context.segmentation).name == "freesurfer-aseg-dkt"
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    assert not composite.GetLabelVolumeID()  # else both would be drawn, one over the other
    clickArrow(look.tree, "csf")
    assert "CSF" in shownLabels(look.context.segmentation)


def test_labels_that_no_structure_has_are_counted_and_asked_about(look):
    labelsOfTree(look, "freesurfer-aseg-dkt", changed=(700, 701))
    assert look.ui.adoptTreeSelector.currentText == "freesurfer-aseg-dkt (103 of 105 labels fit)"
    look.context.dialogs.chosen = {700: ADD, 701: ADD}
    click(look.ui.adoptButton)
    assert len(look.context.dialogs.matchings[-1].open) == 2
    assert len(look.context.logic.results.treeOf(look.context.segmentation).leaves) == 108


def test_a_segmentation_of_totalsegmentator_folds_after_one_click(look):
    names = ["liver", "right kidney", "left kidney", "vertebrae_L1", "L2 vertebra", "spleen"]
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "total")
    node.CreateDefaultDisplayNodes()
    labels = labelMapNode(list(range(len(names) + 1)))
    slicer.modules.segmentations.logic().ImportLabelmapToSegmentationNode(labels, node)
    slicer.mrmlScene.RemoveNode(labels)
    segmentation = node.GetSegmentation()
    for n, name in enumerate(names):
        segmentation.GetNthSegment(n).SetName(name)
    look.ui.segmentationSelector.setCurrentNode(node)
    settle()
    assert look.ui.adoptTreeSelector.currentText == "totalsegmentator (6 of 6 labels fit)"
    click(look.ui.adoptButton)
    assert look.context.dialogs.matchings == []
    clickArrow(look.tree, "spine")
    assert shownLabels(look.context.segmentation)["spine"] == 80


def test_a_tree_file_is_offered_again(look, tmp_path):
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 1, 2, 3, 4]))
    settle()
    treeFile(look, tmp_path)
    click(look.ui.adoptButton)
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 1, 2, 3, 4]))
    settle()
    texts = [look.ui.adoptTreeSelector.itemText(n) for n in range(look.ui.adoptTreeSelector.count)]
    assert "tree.json (4 of 4 labels fit)" in texts


def test_labels_that_no_tree_has_say_so(look):
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 30001, 30002]))
    settle()
    assert "no known tree fits its labels" in look.ui.adoptLabel.text


def test_tree_file_that_is_none_says_so(look, tmp_path):
    look.ui.segmentationSelector.setCurrentNode(labelMapNode([0, 1]))
    path = tmp_path / "notes.json"
    path.write_text("{}")
    look.context.dialogs.path = str(path)
    look.ui.adoptTreeSelector.currentIndex = look.ui.adoptTreeSelector.count - 1
    click(look.ui.adoptButton)
    assert "notes.json" in look.message.text
    assert look.ui.adoptFrame.visible


# -- scenes -----------------------------------------------------------------------------------------------------------


def test_deleted_segmentation_leaves_a_panel_that_works(look, result):
    clickRow(look.tree, "grey")
    slicer.mrmlScene.RemoveNode(result)
    settle()
    assert names(look.tree) == []
    assert not look.ui.exportLabelMapButton.enabled
    assert look.context.segmentation is None
    hover((0.0, 0.0, 0.0))
    other = look.context.logic.results.add(parcellation(), name="other")
    look.context.segmentation = other
    settle()
    clickRow(look.tree, "grey")
    assert np.array_equal(slicer.util.arrayFromVolume(foreground()[0]), parcellation().probability("grey"))


@pytest.mark.usefixtures("result")
def test_closed_scene_leaves_a_panel_that_works(look):
    clickRow(look.tree, "grey")
    slicer.mrmlScene.Clear()
    settle()
    assert names(look.tree) == []
    assert look.ui.segmentationSelector.currentNode() is None
    look.context.segmentation = look.context.logic.results.add(parcellation())
    settle()
    assert names(look.tree)[0] == "head"
    clickArrow(look.tree, "grey")
    assert sorted(shownLabels(look.context.segmentation)) == ["grey matter", "white matter"]


def test_saved_scene_brings_everything_back(look, result, tmp_path):
    clickArrow(look.tree, "grey")
    clickRow(look.tree, "white")
    look.ui.thresholdSlider.value = 0.2
    look.ui.opacitySlider.value = 0.4
    click(look.ui.contourCheck)
    before = shownLabels(result)
    readableScenes(tmp_path)
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear()
    settle()
    look.ui.thresholdSlider.value = 0.9
    assert slicer.mrmlScene.ReadFromMRB(path)
    settle()
    again = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    look.context.segmentation = again
    settle()
    assert shownLabels(again) == before
    assert names(look.tree) == ["head", "  background", "  grey matter", "  white matter"]
    assert look.tree.selectedIds() == ["white"]
    assert look.ui.probabilityButton.checked
    assert look.ui.thresholdSlider.value == pytest.approx(0.2)
    assert look.ui.opacitySlider.value == pytest.approx(0.4)
    assert look.ui.contourCheck.checked
    assert np.allclose(slicer.util.arrayFromVolume(foreground()[0]), parcellation().probability("white"), atol=1e-6)
    clickArrow(look.tree, "grey")
    assert sorted(shownLabels(again)) == sorted(LEAVES)


def test_damaged_tree_in_the_scene_is_said(look, result):
    look.context.segmentation = None
    result.GetNodeReference("softseg.tree").SetText("not a tree")
    look.ui.segmentationSelector.setCurrentNode(result)
    settle()
    assert look.ui.messageLabel.visible
    assert names(look.tree) == []


def test_picture(look, screenshot):
    logic = look.context.logic
    look.context.segmentation = logic.results.add(phantom(), name="T1 segmentation")
    logic.collapse(look.context.segmentation, 4)
    look.refresh()
    settle()
    clickRow(look.tree, "basal-ganglia")
    hover((10.0, 12.0, -4.0))
    for path in screenshot(look.widget, "look"):
        assert qt.QPixmap(str(path)).width() == look.widget.width


def test_picture_of_a_segmentation_made_elsewhere(look, screenshot):
    node = labelMapNode([0, 1, 2, 3, 4], name="aparc+aseg")
    look.ui.segmentationSelector.setCurrentNode(node)
    settle()
    for path in screenshot(look.widget, "look-adopt"):
        assert qt.QPixmap(str(path)).width() == look.widget.width
    look.context.segmentation = look.context.logic.results.adopt(node, tree())
    settle()
    for path in screenshot(look.widget, "look-crisp"):
        assert qt.QPixmap(str(path)).width() == look.widget.width
