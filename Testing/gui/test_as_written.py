"""Names from files are shown as they are written: no tool tip, label or question takes them for HTML."""

from __future__ import annotations

import gui_results
import pytest
import qt
from gui_actions import settle

from softseg.tree import LabelTree, Node

HTML = "<b>bold</b> <img src='file:///etc/passwd'> & more"


def mightBeHtml(text):
    """Whether Qt takes a text for HTML."""
    return "<b>" in text or "<img" in text


@pytest.fixture
def hostile():
    """The small result with HTML as every name."""
    parcellation = gui_results.parcellation()
    nodes = [
        Node(node.id, f"{HTML} {node.id}", node.parent, value=node.value, color=node.color)
        for node in parcellation.tree.nodes
    ]
    return parcellation.with_tree(LabelTree(nodes, HTML), {leaf.value: leaf.value for leaf in parcellation.tree.leaves})


def everyTip(widget):
    """Yield the tool tips of a widget, all its children, and all items of its trees."""
    for child in [widget, *widget.findChildren(qt.QWidget)]:
        yield child.objectName, child.toolTip
        if isinstance(child, qt.QTreeWidget):
            iterator = qt.QTreeWidgetItemIterator(child)
            while iterator.value():
                item = iterator.value()
                for column in range(item.columnCount()):
                    yield child.objectName, item.toolTip(column)
                iterator += 1


def test_no_panel_shows_names_as_html(moduleWidget, hostile):
    context = moduleWidget.context
    node = context.logic.results.add(hostile, name=HTML)
    context.segmentation = node
    for name in ("Look", "Tree"):
        context.showPanel(name)
        settle()
    tips = list(everyTip(moduleWidget.parent))
    assert any("&lt;b&gt;" in tip for _name, tip in tips), "the names are shown somewhere"
    assert [each for each in tips if mightBeHtml(each[1])] == []


@pytest.mark.parametrize("name", ["Segment", "Look", "Tree", "Train", "Compare"])
def test_labels_are_plain_unless_made_for_rich_text(moduleWidget, name):
    panel = moduleWidget.panel(name)
    labels = [child for child in vars(panel.ui).values() if isinstance(child, qt.QLabel)]
    assert len(labels) > 3
    assert {label.objectName for label in labels if label.textFormat == qt.Qt.AutoText} == set()


def test_a_message_box_shows_what_is_written(monkeypatch):
    import slicer
    from SoftSegSlicerLib.Dialogs import Dialogs

    shown = []
    monkeypatch.setattr(slicer.util, "infoDisplay", lambda text, **_options: shown.append(text))
    Dialogs().message(f"{HTML}\nsecond line")
    assert shown == [
        "<qt>&lt;b&gt;bold&lt;/b&gt; &lt;img src=&#x27;file:///etc/passwd&#x27;&gt; &amp; more<br/>second line</qt>"
    ]
    Dialogs().message("plain & simple")
    assert shown[1] == "plain & simple"


def test_the_list_of_corrections_shows_authors_and_names_as_written():
    import numpy as np
    from SoftSegSlicerLib.Panels.Look.CorrectionTable import CorrectionTable

    from softseg.soft.corrections.correction import Correction
    from softseg.soft.corrections.runs import Runs

    table = qt.QTreeWidget()
    correction = Correction.new("core", Runs.of_mask(np.ones((1, 2, 3), bool)), True, HTML, None)
    CorrectionTable(table, None).show(
        [{"id": correction.id, "name": HTML, "color": (1, 2, 3), "correction": correction}]
    )
    tips = [tip for _name, tip in everyTip(table) if tip]
    assert len(tips) == 4
    assert all("&lt;b&gt;" in tip for tip in tips)
    assert not any(map(mightBeHtml, tips))
