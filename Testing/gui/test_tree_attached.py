"""The Tree panel together with the segmentation that is shown: every edit is seen in the scene at once."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
from gui_actions import CTRL, click, clickArrow, clickRow, drop, key, names, settle, write, writeCell
from gui_results import labelMapNode, parcellation, phantom, readableScenes, shownLabels, tree


@pytest.fixture
def window(moduleWidget):
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLCrosshairNode")
    moduleWidget.parent.show()
    moduleWidget.parent.activateWindow()
    context = moduleWidget.context
    context.segmentation = context.logic.results.add(parcellation(), name="case")
    return moduleWidget


@pytest.fixture
def panel(window):
    panel = window.showPanel("Tree")
    settle()
    return panel


@pytest.fixture
def node(panel):
    return panel.context.segmentation


def segmentNames(node):
    segmentation = node.GetSegmentation()
    return {id_: segmentation.GetSegment(id_).GetName() for id_ in segmentation.GetSegmentIDs()}


def test_opens_with_the_tree_of_the_segmentation(panel):
    assert panel.editor.tree == tree()
    assert panel.ui.attachCheck.checked
    assert "'case'" in panel.ui.attachCheck.text


def test_rename_and_color_reach_the_segment(panel, node):
    clickRow(panel.tree, "cortex")
    key(panel.tree, "F2")
    writeCell(panel.tree, "neocortex")
    assert segmentNames(node)["cortex"] == "neocortex"
    panel.edit(lambda editor: editor.recolor(["cortex"], (10, 20, 30)))
    color = node.GetSegmentation().GetSegment("cortex").GetColor()
    assert tuple(round(255 * channel) for channel in color) == (10, 20, 30)
    assert panel.context.logic.results.treeOf(node) == panel.editor.tree


def test_merge_acts_on_the_voxels_and_undo_brings_them_back(panel, node):
    before = shownLabels(node)
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", CTRL)
    click(panel.ui.mergeButton)
    merged = shownLabels(node)
    assert "putamen" not in merged
    assert merged["caudate"] >= before["caudate"] + before["putamen"]
    key(panel.tree, "Z", CTRL)
    assert shownLabels(node) == before
    click(panel.ui.redoButton)
    assert shownLabels(node) == merged


def test_deleted_structures_are_background_and_come_back(panel, node):
    before = shownLabels(node)
    clickRow(panel.tree, "putamen")
    key(panel.tree, "Delete")
    after = shownLabels(node)
    assert "putamen" not in after
    assert after["cortex"] == before["cortex"]
    click(panel.ui.undoButton)
    assert shownLabels(node) == before


def test_split_structure_keeps_its_voxels(panel, node):
    before = shownLabels(node)
    clickRow(panel.tree, "white")
    click(panel.ui.splitButton)
    assert sum(shownLabels(node).values()) == sum(before.values())
    assert not panel.ui.treeMessageLabel.visible
    click(panel.ui.undoButton)
    assert shownLabels(node) == before


def test_moved_structure_counts_in_its_new_group(panel, node):
    drop(panel.tree, ["white"], "grey", "on")
    panel.context.logic.collapse(node, 1)
    assert list(shownLabels(node)) == ["grey matter"]


def test_grouped_structures_fold_together(panel, node, window):
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", CTRL)
    click(panel.ui.groupButton)
    writeCell(panel.tree, "striatum")
    look = window.showPanel("Look")
    settle()
    assert "      caudate" in names(look.tree)
    id_ = panel.editor.tree.find("striatum").id
    clickArrow(look.tree, id_)
    assert sorted(shownLabels(node)) == ["cortex", "striatum", "white matter"]
    clickRow(look.tree, id_)
    shown = slicer.util.arrayFromVolume(node.GetNodeReference("softseg.heatMap"))
    soft = parcellation()
    assert np.allclose(shown, soft.probability("caudate") + soft.probability("putamen"), atol=1e-6)


def test_look_panel_follows_the_edits(panel, window):
    look = window.showPanel("Look")
    settle()
    volume = look.tree.itemOf("cortex").text(1)
    window.showPanel("Tree")
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    clickRow(panel.tree, "putamen")
    key(panel.tree, "Delete")
    window.showPanel("Look")
    settle()
    assert "    neocortex" in names(look.tree)
    assert "    putamen" not in names(look.tree)
    assert look.tree.itemOf("cortex").text(1) == volume
    assert look.tree.itemOf("background").text(1) != ""


def test_edit_that_the_result_cannot_follow_is_refused(panel, node):
    scene = shownLabels(node)
    before = panel.editor.tree
    clickRow(panel.tree, "background")
    write(panel.ui.nodeValueEdit, "9")
    assert "background" in panel.message.text
    assert panel.editor.tree == before
    assert shownLabels(node) == scene


def test_tree_that_does_not_fit_is_edited_on_its_own(panel, node):
    scene = shownLabels(node)
    panel.files.new("multiple-sclerosis")
    assert "lacks 2 structures of the segmentation: putamen, white matter" in panel.message.text
    assert not panel.ui.attachCheck.checked
    assert panel.editor.tree.name == "multiple-sclerosis"
    assert shownLabels(node) == scene
    assert panel.context.logic.results.treeOf(node) == tree()
    click(panel.ui.attachCheck)
    assert "lacks 2 structures" in panel.message.text
    assert not panel.ui.attachCheck.checked
    assert panel.editor.tree.name == "multiple-sclerosis"


def test_another_tree_of_the_same_labels_takes_over_and_can_be_undone(panel, node, tmp_path):
    other = tree().rename("cortex", "neocortex").move("white", "grey").with_name("other")
    other.save(tmp_path / "other.json")
    panel.context.dialogs.path = str(tmp_path / "other.json")
    click(panel.ui.openButton)
    assert panel.ui.attachCheck.checked
    assert segmentNames(node)["cortex"] == "neocortex"
    click(panel.ui.undoButton)
    assert panel.context.logic.results.treeOf(node) == tree()


def test_detached_tree_leaves_the_segmentation_alone_and_can_be_brought_back(panel, node):
    click(panel.ui.attachCheck)
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    assert segmentNames(node)["cortex"] == "cortex"
    click(panel.ui.attachCheck)
    assert segmentNames(node)["cortex"] == "neocortex"
    click(panel.ui.undoButton)
    assert segmentNames(node)["cortex"] == "cortex"


def test_history_goes_on_after_detaching(panel, node):
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    click(panel.ui.attachCheck)
    click(panel.ui.undoButton)
    assert panel.editor.tree == tree()
    assert segmentNames(node)["cortex"] == "neocortex"


def test_tree_edited_on_its_own_is_not_lost_to_a_new_segmentation(panel, window):
    click(panel.ui.attachCheck)
    window.showPanel("Look")
    window.showPanel("Tree")
    assert not panel.ui.attachCheck.checked
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    panel.context.segmentation = panel.context.logic.results.add(parcellation(), name="second")
    settle()
    assert panel.editor.tree.node("cortex").name == "neocortex"
    assert panel.ui.attachCheck.text == "Changes act on 'second'"
    assert not panel.ui.attachCheck.checked
    panel.files.takeShown()
    assert "unsaved changes" in panel.context.dialogs.asked[-1]
    assert panel.editor.tree == tree()
    assert panel.ui.attachCheck.checked


def test_deleted_segmentation_leaves_its_tree_to_be_saved(panel, node, tmp_path):
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    slicer.mrmlScene.RemoveNode(node)
    settle()
    assert panel.attached is None
    assert not panel.ui.attachCheck.enabled
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "isocortex")
    assert panel.editor.tree.node("cortex").name == "isocortex"
    panel.context.dialogs.path = str(tmp_path / "kept.json")
    click(panel.ui.saveButton)
    assert "isocortex" in (tmp_path / "kept.json").read_text()


def test_edits_go_on_after_the_scene_was_saved_and_loaded(panel, node, tmp_path):
    before = shownLabels(node)
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", CTRL)
    click(panel.ui.mergeButton)
    merged = shownLabels(node)
    readableScenes(tmp_path)
    path = str(tmp_path / "scene.mrb")
    assert slicer.mrmlScene.WriteToMRB(path)
    slicer.mrmlScene.Clear()
    settle()
    assert slicer.mrmlScene.ReadFromMRB(path)
    settle()
    again = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    panel.context.segmentation = again
    settle()
    assert shownLabels(again) == merged
    clickRow(panel.tree, "cortex")
    clickRow(panel.tree, "caudate", CTRL)
    click(panel.ui.mergeButton)
    assert shownLabels(again)["cortex"] >= merged["cortex"] + merged["caudate"]
    click(panel.ui.undoButton)
    assert shownLabels(again) == merged
    assert sum(merged.values()) >= sum(before.values())


def test_label_map_made_elsewhere_follows_edits(panel):
    logic = panel.context.logic
    panel.context.segmentation = adopted = logic.results.adopt(labelMapNode([0, 1, 2, 3, 4]), tree())
    settle()
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", CTRL)
    click(panel.ui.mergeButton)
    assert shownLabels(adopted) == {"cortex": 40, "caudate": 80, "white matter": 40}
    clickRow(panel.tree, "white")
    key(panel.tree, "Delete")
    assert shownLabels(adopted) == {"cortex": 40, "caudate": 80}
    click(panel.ui.undoButton)
    click(panel.ui.undoButton)
    assert shownLabels(adopted) == dict.fromkeys(["cortex", "caudate", "putamen", "white matter"], 40)


def test_both_panels_work_where_nothing_is_installed(tmp_path):
    modules = ("softseg", "SoftSegSlicerLib", "slicerhost")
    folders = [str(Path(importlib.util.find_spec(name).origin).parents[1]) for name in modules]
    code = (
        "import sys\n"
        "for name in ('torch', 'monai', 'pydantic', 'typer', 'rich', 'matplotlib', 'yaml', 'nibabel'):\n"
        "    sys.modules[name] = None\n"
        f"sys.path[:0] = {folders!r}\n"
        "import slicerhost; slicerhost.install()\n"
        "from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic\n"
        "from SoftSegSlicerLib.PanelContext import PanelContext\n"
        "from SoftSegSlicerLib.Panels.Look.LookPanel import LookPanel\n"
        "from SoftSegSlicerLib.Panels.Tree.TreePanel import TreePanel\n"
        "class Parameters: segmentation = None\n"
        "context = PanelContext(SoftSegSlicerLogic())\n"
        "context.parameterNode = Parameters()\n"
        "look, tree = LookPanel(context), TreePanel(context)\n"
        "tree.files.new('brain-134')\n"
        "tree.edit(lambda editor: editor.delete(['csf']))\n"
        "print(len(tree.editor.tree.leaves))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip().isdigit(), done.stderr


def test_picture(window, screenshot):
    window.context.segmentation = window.context.logic.results.add(phantom(), name="T1 segmentation")
    panel = window.showPanel("Tree")
    settle()
    panel.edit(lambda editor: editor.group(["putamen", "caudate"], "dorsal striatum"))
    panel.edit(lambda editor: editor.rename("thalamus-proper", "thalamus"))
    click(panel.ui.changesButton)
    clickRow(panel.tree, "caudate")
    for path in screenshot(panel.widget, "tree"):
        assert path.stat().st_size > 10_000
