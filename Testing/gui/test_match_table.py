"""The table of what belongs to what, by mouse and keyboard, and where panels ask it."""

from __future__ import annotations

import pytest
import qt
from gui_actions import click, settle
from PySide6.QtTest import QTest

from softseg.resources import label_tree_path
from softseg.tree import LabelTree, Node
from softseg.tree.matching import ADD, LEAVE_OUT, Item, match_items

TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("gyrus", "precentral gyrus", "head"),
        Node("gyrus-left", "left", "gyrus", value=1),
        Node("gyrus-right", "right", "gyrus", value=2),
        Node("pole", "temporal pole", "head"),
        Node("pole-left", "left", "pole", value=3),
        Node("pole-right", "right", "pole", value=4),
        Node("stem", "brain stem", "head", value=5),
    ],
    "gyri",
)


@pytest.fixture
def ask(moduleWidget):  # noqa: ARG001 - for the application
    """``ask(matching)``: the dialog, shown without waiting."""
    from SoftSegSlicerLib.Panels.Widgets.MatchDialog import MatchDialog

    shown = []

    def show(matching, allowAdd=True):
        shown.append(MatchDialog(matching, "The labels of 'drawn' and the structures of the tree", allowAdd))
        shown[-1].dialog.show()
        settle()
        return shown[-1]

    yield show
    for one in shown:
        one.dialog.close()
        one.dialog.deleteLater()
    settle()


def matching(*names, tree=TREE):
    return match_items([Item(f"s{n}", name, f"s{n}", n) for n, name in enumerate(names, 1)], tree, numbered=True)


def rows(dialog):
    tree = dialog.dialog.findChild(qt.QTreeWidget, "matchTable")
    items = [tree.topLevelItem(place) for place in range(tree.topLevelItemCount)]
    return [[item.text(0), tree.itemWidget(item, 2).currentText, item.text(3)] for item in items]


def test_what_is_open_comes_first_is_marked_and_stops(ask):
    dialog = ask(matching("lh precentral gyrus", "lesion", "Brain-Stem"))
    assert rows(dialog) == [
        ["lesion", "choose a structure…", "no node has this name, and 2 is 'right' in the tree"],
        ["lh precentral gyrus", "left, precentral gyrus (1)", "name"],
        ["Brain-Stem", "brain stem (5)", "name"],
    ]
    tree = dialog.dialog.findChild(qt.QTreeWidget, "matchTable")
    assert tree.topLevelItem(0).background(0).style() != qt.Qt.NoBrush
    assert tree.topLevelItem(1).background(0).style() == qt.Qt.NoBrush
    assert dialog.useButton.text == "Apply, add 1 to the tree"
    assert "1 marked" in dialog.useButton.toolTip
    click(dialog.leaveOutButton)
    assert rows(dialog)[0] == ["lesion", "leave it out", "your choice"]
    assert tree.topLevelItem(0).background(0).style() == qt.Qt.NoBrush
    assert dialog.useButton.text == "Apply"
    assert dialog.table.chosen() == {"s1": "gyrus-left", "s2": LEAVE_OUT, "s3": "stem"}


def test_structures_are_searched_by_a_part_of_their_names(ask):
    dialog = ask(matching("lesion", "brain stem"))
    box = dialog.table.boxOf("s1")
    edit = box.lineEdit()
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, "temporal")
    settle()
    model = box.completer().completionModel()
    offered = [model.data(model.index(place, 0)) for place in range(model.rowCount())]
    assert offered == ["temporal pole", "left, temporal pole (3)", "right, temporal pole (4)"]
    edit.selectAll()
    QTest.keyClicks(edit, "LEFT, temporal pole (3)")
    QTest.keyClick(edit, qt.Qt.Key_Return)
    settle()
    assert dialog.table.chosen()["s1"] == "pole-left"
    edit.selectAll()
    QTest.keyClicks(edit, "nonsense")
    QTest.keyClick(edit, qt.Qt.Key_Return)
    settle()
    assert edit.text == "left, temporal pole (3)"
    assert dialog.table.chosen()["s1"] == "pole-left"


def test_open_ones_become_structures_of_the_tree_where_that_may_be(ask):
    dialog = ask(matching("lesion", "vessel"))
    click(dialog.addButton)
    assert dialog.table.chosen() == {"s1": ADD, "s2": ADD}
    without = ask(matching("lesion"), allowAdd=False)
    assert not without.addButton.visible
    assert without.table.boxOf("s1").findText("add it to the tree") < 0


@pytest.mark.parametrize(("allowAdd", "choice"), [(True, ADD), (False, LEAVE_OUT)])
def test_one_click_takes_what_was_found_and_settles_what_was_not(ask, allowAdd, choice):
    dialog = ask(matching("lesion", "brain stem"), allowAdd)
    accepted = []
    dialog.dialog.accepted.connect(lambda: accepted.append(True))
    click(dialog.useButton)
    assert accepted == [True]
    assert dialog.table.chosen() == {"s1": choice, "s2": "stem"}


def test_labels_found_by_value_alone_are_asked_about(ask):
    dialog = ask(matching("Segment_1", "Segment_2"))
    assert [row[2] for row in rows(dialog)] == ["label value only"] * 2
    labels = dialog.dialog.findChildren(qt.QLabel)
    assert any("2 matched by label value only" in label.text for label in labels)
    assert dialog.useButton.enabled


def test_hundreds_of_structures_are_no_burden(ask, tmp_path):
    tree = LabelTree.load(label_tree_path("brain-134"))
    names = [leaf.name.upper().replace(" ", "_") for leaf in tree.leaves if leaf.value]
    dialog = ask(matching(*names[:-1], "something else", tree=tree))
    assert dialog.table.openCount == 1
    picture = tmp_path / "matches.png"
    assert dialog.dialog.grab().save(str(picture))
    assert picture.stat().st_size > 10_000


def test_training_asks_once_for_all_scans_and_remembers(moduleWidget, tmp_path, monkeypatch):
    """Two scans with the same strange segment: one question; the choice reaches the files."""
    from gui_training import addCase, addPerson
    from SoftSegSlicerLib.Panels.Train.TrainPanel import TrainPanel
    from SoftSegSlicerLib.Training.SceneDataset import SceneDataset

    written = []
    monkeypatch.setattr(
        SceneDataset, "write", lambda self, folder, _overlaps: iter(written.append((self, folder)) or [(1, 1)])
    )

    def launch(self, *_args):
        self._writing = None
        self._update()

    monkeypatch.setattr(TrainPanel, "_launch", launch)
    panel = moduleWidget.showPanel("Train")
    panel.ui.folderEdit.currentPath = str(tmp_path / "trainings")
    moduleWidget.parent.show()
    settle()
    for number in range(2):
        volume, labels = addPerson(f"P{number}", number)
        segment = labels.GetSegmentation().GetNthSegment(0)
        segment.SetName("strange")
        addCase(panel, volume, labels)
    known = [labels.GetSegmentation().GetNthSegment(n).GetName() for n in range(1, 2)]
    tree = LabelTree(
        [
            Node("r", "r", None),
            Node("background", "background", "r", value=0),
            *[Node(f"n{place}", name, "r", value=place) for place, name in enumerate([*known, "ball"], 1)],
        ],
        "balls",
    )
    monkeypatch.setattr(panel.choices, "tree", lambda _cases: tree)
    dialogs = panel._context.dialogs
    dialogs.chosen = None
    click(panel.ui.startButton)
    settle()
    assert not written  # cancelled
    assert [(match.item.name, match.open) for match in dialogs.matchings[-1].matches if match.open] == [
        ("strange", True)
    ]
    key = dialogs.matchings[-1].open[0].item.key
    dialogs.chosen = {key: tree.nodes[-1].id}
    click(panel.ui.startButton)
    settle()
    dataset = written[-1][0]
    assert len(dataset.cases) == 2
    for case in dataset.cases:
        first = case.labels.GetSegmentation().GetNthSegmentID(0)
        assert case.mapping[first] == tree.nodes[-1].id
    asked = len(dialogs.matchings)
    click(panel.ui.startButton)
    settle()
    assert len(dialogs.matchings) == asked  # remembered
    click(panel.ui.matchesButton)
    assert len(dialogs.matchings) == asked + 1
