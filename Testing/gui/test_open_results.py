"""The button that opens results from files, in Segment and in Look."""

from gui_results import parcellation, shownLabels
from gui_runs import click


def test_open_in_look_shows_the_last_of_several_files(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    moduleWidget.context.dialogs.paths = [str(parcellation().save(tmp_path / f"{name}.soft.npz")) for name in "ab"]
    click(panel.ui.openButton)
    node = moduleWidget.context.segmentation
    assert node.GetName() == "b"
    assert panel.ui.segmentationSelector.currentNode() is node
    assert panel.tree.labelTree == parcellation().tree
    assert set(shownLabels(node)) == {"cortex", "caudate", "putamen", "white matter"}
    assert panel.message.text == ""


def test_look_says_on_one_line_which_file_is_broken(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    bad = tmp_path / "bad.soft.npz"
    bad.write_bytes(b"nothing")
    moduleWidget.context.dialogs.paths = [str(bad), str(parcellation().save(tmp_path / "good.soft.npz"))]
    click(panel.ui.openButton)
    assert moduleWidget.context.segmentation.GetName() == "good"
    assert "bad.soft.npz" in panel.message.text
    assert "\n" not in panel.message.text


def test_open_in_segment_offers_the_result_as_apply_does(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Segment")
    moduleWidget.context.dialogs.paths = [str(parcellation().save(tmp_path / "head.soft.npz"))]
    click(panel.ui.openButton)
    assert panel.messages.messages == (("info", "Opened: head."),)
    assert panel.ui.resultRow.visible
    click(panel.ui.lookButton)
    assert moduleWidget.panel("Look").tree.labelTree is not None


def test_nothing_happens_where_no_file_was_chosen(moduleWidget):
    panel = moduleWidget.showPanel("Segment")
    click(panel.ui.openButton)
    assert panel.messages.messages == ()
    assert moduleWidget.context.segmentation is None
