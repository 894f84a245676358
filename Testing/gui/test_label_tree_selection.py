"""Selecting in the tree by program: closed branches stay closed, and there is no moment without selection."""

import pytest
import qt
import slicer
from gui_results import tree
from SoftSegSlicerLib.Panels.Widgets.LabelTreeWidget import LabelTreeWidget


@pytest.fixture
def shown():
    """The tree of two groups on the screen, the grey matter closed."""
    widget = LabelTreeWidget()
    widget.selectionMode = qt.QAbstractItemView.ExtendedSelection
    widget.setTree(tree())
    widget.resize(300, 400)
    widget.show()
    widget.showCut(["background", "grey", "white"])
    slicer.app.processEvents()
    yield widget
    widget.close()


def test_selecting_a_hidden_structure_leaves_the_cut(shown):
    shown.select(["putamen"])
    slicer.app.processEvents()
    assert shown.selectedIds() == ["putamen"]
    assert shown.currentId() == "putamen"
    assert shown.cutIds() == ["background", "grey", "white"]


def test_another_selection_comes_in_one_step(shown):
    shown.select(["white"])
    seen = []
    shown.itemSelectionChanged.connect(lambda *_arguments: seen.append(shown.selectedIds()))
    shown.select(["grey"])
    assert seen == [["grey"]]


def test_several_and_none(shown):
    shown.select(["cortex", "caudate"])
    assert shown.selectedIds() == ["cortex", "caudate"]
    shown.select([])
    assert shown.selectedIds() == []
