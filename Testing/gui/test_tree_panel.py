"""The Tree panel without a segmentation: real clicks, keys and drags on the real module."""

import pytest
import qt
from gui_actions import CTRL, SHIFT, click, clickRow, drop, key, names, openEditor, settle, write, writeCell

from softseg.tree import LabelTree, Node


def small():
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", color=(0, 0, 0), value=0),
            Node("grey", "grey matter", "head"),
            Node("cortex", "cortex", "grey", color=(100, 100, 100), value=1),
            Node("caudate", "caudate", "grey", color=(200, 100, 0), value=2),
            Node("putamen", "putamen", "grey", color=(0, 100, 200), value=3),
            Node("white", "white matter", "head", color=(240, 240, 240), value=4),
        ],
        "small",
    )


@pytest.fixture
def panel(moduleWidget):
    panel = moduleWidget.showPanel("Tree")
    panel.takeTree(small(), "")
    moduleWidget.parent.show()
    moduleWidget.parent.activateWindow()
    settle()
    return panel


def ids(panel, parent):
    return [child.id for child in panel.editor.tree.children(parent)]


def test_opens_with_a_tree_that_can_be_edited_at_once(moduleWidget):
    panel = moduleWidget.showPanel("Tree")
    settle()
    click(panel.ui.addButton)
    writeCell(panel.tree, "liver")
    assert names(panel.tree) == ["everything", "  background", "  liver"]
    assert panel.editor.tree.node("liver").value == 1


def test_f2_renames_in_place(panel):
    clickRow(panel.tree, "cortex")
    key(panel.tree, "F2")
    writeCell(panel.tree, "cerebral cortex")
    assert panel.editor.tree.node("cortex").name == "cerebral cortex"
    assert "    cerebral cortex" in names(panel.tree)
    assert panel.ui.nodeNameEdit.text == "cerebral cortex"


def test_escape_leaves_the_name_as_it_was(panel):
    clickRow(panel.tree, "cortex")
    key(panel.tree, "F2")
    writeCell(panel.tree, "x", end="Escape")
    assert panel.editor.tree == small()


@pytest.mark.parametrize(("text", "reason"), [("", "cannot be empty"), ("Putamen", "already a 'putamen'")])
def test_bad_name_is_refused_in_the_panel_and_the_row_shows_the_old_one(panel, text, reason):
    clickRow(panel.tree, "cortex")
    key(panel.tree, "F2")
    writeCell(panel.tree, text)
    assert reason in panel.message.text
    assert panel.ui.treeMessageLabel.visible
    assert "    cortex" in names(panel.tree)
    assert panel.editor.tree == small()
    write(panel.ui.nodeNameEdit, "neocortex")
    assert panel.editor.tree.node("cortex").name == "neocortex"
    assert not panel.ui.treeMessageLabel.visible


def test_keys_undo_and_redo(panel):
    clickRow(panel.tree, "cortex")
    key(panel.tree, "Delete")
    assert "cortex" not in panel.editor.tree
    key(panel.tree, "Z", CTRL)
    assert panel.editor.tree == small()
    assert panel.tree.itemOf("cortex").text(0) == "cortex"
    key(panel.tree, "Z", CTRL | SHIFT)
    assert "cortex" not in panel.editor.tree
    click(panel.ui.undoButton)
    assert panel.editor.tree == small()
    assert not panel.ui.undoButton.enabled
    assert "Delete 'cortex'" in panel.ui.redoButton.toolTip


def test_undo_key_inside_a_cell_is_the_cell_s_own(panel):
    clickRow(panel.tree, "white")
    key(panel.tree, "Delete")
    clickRow(panel.tree, "cortex")
    key(panel.tree, "F2")
    cell = openEditor(panel.tree)
    key(cell, "A")
    key(cell, "Z", CTRL)
    assert "white" not in panel.editor.tree
    assert cell.text == "cortex"


def test_group_selected_and_name_the_group(panel):
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", CTRL)
    click(panel.ui.groupButton)
    writeCell(panel.tree, "striatum")
    assert names(panel.tree)[2:] == [
        "  grey matter",
        "    cortex",
        "    striatum",
        "      caudate",
        "      putamen",
        "  white matter",
    ]
    clickRow(panel.tree, "striatum")
    click(panel.ui.ungroupButton)
    assert ids(panel, "grey") == ["cortex", "caudate", "putamen"]


def test_merge_split_delete(panel):
    clickRow(panel.tree, "caudate")
    clickRow(panel.tree, "putamen", SHIFT)
    click(panel.ui.mergeButton)
    assert ids(panel, "grey") == ["cortex", "caudate"]
    assert panel.tree.selectedIds() == ["caudate"]
    click(panel.ui.splitButton)
    assert [node.name for node in panel.editor.tree.children("caudate")] == ["caudate 1", "caudate 2"]
    clickRow(panel.tree, "caudate")
    click(panel.ui.deleteButton)
    assert ids(panel, "grey") == ["cortex"]


def test_delete_of_the_last_part_is_refused_with_the_way_out(panel):
    for id_ in ("cortex", "caudate"):
        clickRow(panel.tree, id_)
        key(panel.tree, "Delete")
    clickRow(panel.tree, "putamen")
    key(panel.tree, "Delete")
    assert "would be left without children" in panel.message.text
    assert "ungroup 'grey matter'" in panel.message.text
    assert ids(panel, "grey") == ["putamen"]


def test_drag_to_another_parent_and_between_rows(panel):
    drop(panel.tree, ["white"], "cortex", "below")
    assert ids(panel, "grey") == ["cortex", "white", "caudate", "putamen"]
    drop(panel.tree, ["putamen", "caudate"], "cortex", "above")
    assert ids(panel, "grey") == ["caudate", "putamen", "cortex", "white"]
    drop(panel.tree, ["cortex"], "head", "on")
    assert ids(panel, "head") == ["background", "grey", "cortex"]
    assert names(panel.tree)[-1] == "  cortex"
    key(panel.tree, "Z", CTRL)
    assert ids(panel, "head") == ["background", "grey"]


def test_drop_into_its_own_child_is_refused_and_nothing_moves(panel):
    before = names(panel.tree)
    event = drop(panel.tree, ["grey"], "cortex", "on")
    assert event.dropAction() == qt.Qt.IgnoreAction
    assert "cannot be moved into its own descendant" in panel.message.text
    assert names(panel.tree) == before
    assert panel.editor.tree == small()


def test_form_edits_value_weight_and_id(panel):
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeValueEdit, "42")
    write(panel.ui.nodeIdEdit, "cx")
    assert panel.tree.selectedIds() == ["cx"]
    panel.ui.nodeWeightSpin.value = 2.5
    node = panel.editor.tree.node("cx")
    assert (node.value, node.weight) == (42, 2.5)
    assert panel.tree.itemOf("cx").text(1) == "42"
    assert panel.tree.itemOf("cx").text(2) == "2.5"


def test_weight_of_several_at_once(panel):
    clickRow(panel.tree, "cortex")
    clickRow(panel.tree, "putamen", SHIFT)
    panel.ui.nodeWeightSpin.value = 3.0
    assert [child.weight for child in panel.editor.tree.children("grey")] == [3.0, 3.0, 3.0]
    assert not panel.ui.nodeNameEdit.enabled
    click(panel.ui.undoButton)
    assert panel.editor.tree == small()


@pytest.mark.parametrize(("text", "reason"), [("2", "already belongs"), ("abc", "whole number"), ("99999", "65535")])
def test_bad_value_is_refused(panel, text, reason):
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeValueEdit, text)
    assert reason in panel.message.text
    assert panel.ui.nodeValueEdit.text == "1"
    assert panel.editor.tree == small()


def test_cells_of_value_and_weight_are_edited_in_place(panel):
    panel.tree.startEditing("cortex", 1)
    writeCell(panel.tree, "17")
    panel.tree.startEditing("cortex", 2)
    writeCell(panel.tree, "heavy")
    assert panel.editor.tree.node("cortex").value == 17
    assert "not 'heavy'" in panel.message.text
    assert panel.tree.itemOf("cortex").text(2) == "1"


def test_color_is_seen_in_the_row(panel):
    clickRow(panel.tree, "cortex")
    before = panel.tree.itemOf("cortex").icon(0).pixmap(14, 14).toImage().pixelColor(7, 7).name()
    panel.ui.nodeColorButton.color = qt.QColor(250, 10, 20)
    after = panel.tree.itemOf("cortex").icon(0).pixmap(14, 14).toImage().pixelColor(7, 7).name()
    assert panel.editor.tree.node("cortex").color == (250, 10, 20)
    assert (before, after) == ("#646464", "#fa0a14")
    click(panel.ui.nodeColorClearButton)
    assert panel.editor.tree.node("cortex").color is None


def test_terminology_is_edited_and_an_incomplete_one_says_what_is_missing(panel):
    clickRow(panel.tree, "cortex")
    click(panel.ui.terminologyButton)
    assert panel.ui.terminologyTable.visible
    rows = [("123037004", "SCT", "Anatomical Structure"), ("40146001", "SCT", "Cerebral cortex")]
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            assert panel.editor.tree.node("cortex").terminology is None
            panel.ui.terminologyTable.item(row, column).setText(text)
            if (row, column) == (0, 1):
                assert "Category" in panel.message.text
    assert panel.editor.tree.node("cortex").terminology.type.meaning == "Cerebral cortex"
    assert panel.ui.terminologyLabel.text == "Cerebral cortex"
    assert panel.ui.terminologyTable.item(1, 2).text() == "Cerebral cortex"
    assert not panel.ui.treeMessageLabel.visible


def test_search_shows_matches_and_their_branches(panel):
    write(panel.ui.treeSearchEdit, "PUTA", end="")
    assert names(panel.tree) == ["head", "  grey matter", "    putamen"]
    write(panel.ui.treeSearchEdit, "PUTA", end="Return")
    assert panel.tree.selectedIds() == ["putamen"]
    write(panel.ui.treeSearchEdit, "nothing like it", end="")
    assert names(panel.tree) == []
    key(panel.ui.treeSearchEdit, "Escape")
    assert len(names(panel.tree)) == 7


def test_edits_while_a_search_is_on(panel):
    write(panel.ui.treeSearchEdit, "caudate", end="Return")
    click(panel.ui.deleteButton)
    assert "caudate" not in panel.editor.tree
    key(panel.ui.treeSearchEdit, "Escape")
    assert len(names(panel.tree)) == 6


def test_what_would_change(panel):
    click(panel.ui.changesButton)
    assert not panel.ui.changesButton.collapsed
    assert "No unsaved changes" in panel.ui.changesLabel.text
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    lines = panel.ui.changesTree
    assert panel.ui.changesButton.text == "Unsaved changes (1)"
    assert lines.topLevelItem(0).text(0) == "~ cortex: renamed to 'neocortex'"
    clickRow(panel.tree, "white")
    lines.itemDoubleClicked.emit(lines.topLevelItem(0), 0)
    assert panel.tree.selectedIds() == ["cortex"]


def test_remarks_follow_the_edits(panel):
    assert "Valid: 5 leaves in 2 levels." in panel.ui.remarksLabel.text
    assert "colour" not in panel.ui.remarksLabel.text
    clickRow(panel.tree, "cortex")
    click(panel.ui.nodeColorClearButton)
    assert "1 leaf has no colour" in panel.ui.remarksLabel.text
    assert "cortex" in panel.ui.remarksLabel.toolTip


@pytest.mark.parametrize("name", ["tree.json", "tree.csv", "tree_colors.csv", "tree.label", "tree.tsv", "tree.ctbl"])
def test_save_and_open(panel, moduleWidget, tmp_path, name):
    moduleWidget.context.dialogs.path = str(tmp_path / name)
    click(panel.ui.saveButton)
    assert "Saved to" in panel.message.text
    assert ("does not store everything" in panel.message.text) == (name not in ("tree.json", "tree.csv"))
    panel.files.new(None)
    assert len(panel.editor.tree.leaves) == 1
    click(panel.ui.openButton)
    assert [leaf.name for leaf in panel.editor.tree.leaves] == [leaf.name for leaf in small().leaves]


def test_file_that_is_no_tree_says_where_and_leaves_the_tree(panel, moduleWidget, tmp_path):
    path = tmp_path / "broken.json"
    path.write_text('{"schema": "softseg-label-tree", "version": 1, "nodes": [{"id": "a", "parent": "b"}]}')
    moduleWidget.context.dialogs.path = str(path)
    click(panel.ui.openButton)
    assert "broken.json" in panel.message.text
    assert panel.editor.tree == small()


def test_save_into_a_folder_that_is_none_says_so(panel, moduleWidget, tmp_path):
    (tmp_path / "file").write_text("in the way")
    moduleWidget.context.dialogs.path = str(tmp_path / "file" / "tree.json")
    click(panel.ui.saveButton)
    assert panel.ui.treeMessageLabel.visible
    assert "Saved" not in panel.message.text
    assert panel.editor.tree == small()


def test_unsaved_changes_are_asked_about(panel, moduleWidget):
    dialogs = moduleWidget.context.dialogs
    panel.files.new("spinal-cord")
    assert dialogs.asked == []
    clickRow(panel.tree, panel.editor.tree.root.id)
    write(panel.ui.nodeNameEdit, "trunk")
    dialogs.answer = False
    panel.files.new(None)
    assert "unsaved changes" in dialogs.asked[-1]
    assert panel.editor.tree.root.name == "trunk"
    dialogs.answer = True
    panel.files.new(None)
    assert len(panel.editor.tree.nodes) == 2


def test_every_shipped_tree_is_offered(panel, resources):
    shipped = sorted(path.stem for path in (resources / "LabelTrees").glob("*.json"))
    offered = [action.text for action in panel.ui.newButton.menu().actions() if action.text]
    assert offered[2:] == shipped


def test_what_cannot_be_done_is_disabled(panel):
    panel.tree.clearSelection()
    settle()
    for button in ("groupButton", "ungroupButton", "mergeButton", "splitButton", "deleteButton"):
        assert not getattr(panel.ui, button).enabled, button
    clickRow(panel.tree, "cortex")
    assert panel.ui.splitButton.enabled
    assert not panel.ui.ungroupButton.enabled
    clickRow(panel.tree, "grey")
    assert panel.ui.ungroupButton.enabled
    assert not panel.ui.splitButton.enabled


def test_tree_outlives_the_scene(panel, cleanScene):
    clickRow(panel.tree, "cortex")
    write(panel.ui.nodeNameEdit, "neocortex")
    cleanScene.Clear()
    settle()
    assert panel.editor.tree.node("cortex").name == "neocortex"
    click(panel.ui.undoButton)
    assert panel.editor.tree == small()
