"""The tabs stay in sight however low the window is; trees take the free height, or a window of their own."""

import pytest
import qt
import slicer
from gui_actions import click, settle
from gui_results import phantom
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractScrollArea

LOW, HIGH = 340, 1000


@pytest.fixture
def shell(moduleWidget):
    """The shell with a result, in a window of the given height."""
    moduleWidget.context.segmentation = moduleWidget.context.logic.results.add(phantom())

    def show(name, height):
        panel = moduleWidget.showPanel(name)
        moduleWidget.parent.resize(400, height)
        settle()
        return panel

    return moduleWidget, show


@pytest.mark.parametrize("name", ["Segment", "Look", "Tree", "Train", "Compare"])
def test_a_low_window_scrolls_the_page_and_not_the_tabs(shell, name):
    widget, show = shell
    panel = show(name, LOW)
    assert widget.shell.height <= LOW  # what is higher would make the application scroll the whole module
    area = panel.widget.parentWidget().parentWidget()
    assert isinstance(area, QAbstractScrollArea)
    reachable = area.verticalScrollBar().maximum + area.viewport().height
    assert reachable >= panel.widget.height >= panel.widget.minimumSizeHint.height()


@pytest.mark.parametrize("name", ["Look", "Tree"])
def test_the_tree_takes_the_free_height(shell, name):
    _widget, show = shell
    low = show(name, LOW + 200).tree.viewport().height
    panel = show(name, HIGH)
    assert panel.tree.viewport().height > low
    assert panel.ui.treePart.height + panel.ui.belowArea.height > 0.8 * panel.widget.height


def test_a_line_of_text_more_or_less_does_not_move_the_buttons_below_the_tree(shell):
    _widget, show = shell
    panel = show("Look", HIGH)
    bottom = panel.ui.treeSplitter.y + panel.ui.treePart.height
    for height in (HIGH - 25, HIGH - 45, HIGH):  # as when the part of Slicer below the module says more
        show("Look", height)
        assert panel.ui.treeSplitter.y + panel.ui.treePart.height == bottom
    panel.ui.messageLabel.text = "A message of one line."
    panel.ui.messageLabel.visible = True
    settle()
    assert panel.ui.treeSplitter.y + panel.ui.treePart.height == bottom


@pytest.mark.parametrize("name", ["Look", "Tree"])
def test_what_people_drag_stays(shell, name):
    _widget, show = shell
    panel = show(name, HIGH)
    handle = panel.ui.treeSplitter.handle(1)
    before = panel.ui.treePart.height
    QTest.mousePress(handle, qt.Qt.LeftButton)
    QTest.mouseMove(handle, handle.rect.center() + qt.QPoint(0, -100))
    QTest.mouseRelease(handle, qt.Qt.LeftButton)
    settle()
    assert panel.ui.treePart.height < before - 50
    dragged = panel.ui.belowArea.height
    show(name, HIGH - 60)
    assert panel.ui.belowArea.height == dragged  # the tree gives and takes


@pytest.mark.parametrize("name", ["Look", "Tree"])
def test_the_tree_has_a_window_of_its_own_until_that_is_closed(shell, name):
    _widget, show = shell
    panel = show(name, LOW)
    rows = panel.tree.viewport().height
    click(panel.ui.popOutButton)
    settle()
    assert panel.window.window is not None
    assert panel.tree.window() is panel.window.window
    assert panel.tree.viewport().height > 2 * rows
    panel.window.window.close()
    settle()
    assert panel.window.window is None
    assert not panel.ui.popOutButton.checked
    assert panel.tree.window() is panel.widget.window()
    assert panel.tree.visible
    assert panel.ui.treeSplitter.indexOf(panel.ui.treePart) == 0


def test_the_button_puts_the_tree_back_and_so_does_the_end(shell):
    widget, show = shell
    panel = show("Look", HIGH)
    click(panel.ui.popOutButton)
    click(panel.ui.popOutButton)
    settle()
    assert panel.window.window is None
    click(panel.ui.popOutButton)
    settle()
    window = panel.window.window
    panel.cleanup()
    assert not window.visible
    del widget.panels["Look"]


@pytest.mark.parametrize(("width", "floats"), [(1366, True), (1920, False)])
def test_a_narrow_main_window_keeps_its_width(shell, monkeypatch, width, floats):
    _widget, show = shell
    panel = show("Look", HIGH)
    main = qt.QMainWindow()
    main.resize(width, 768)
    main.show()
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: main)
    click(panel.ui.popOutButton)
    settle()
    assert panel.window.window.floating == floats
    assert main.width == width  # else the window and its close button would lie outside of the screen
    panel.window.putBack()
    main.close()
