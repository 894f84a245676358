"""What a person does with mouse and keyboard, as events that Qt handles like real ones."""

import qt
import slicer
from PySide6.QtTest import QTest

LEFT = qt.Qt.LeftButton
CTRL, SHIFT, NONE = qt.Qt.ControlModifier, qt.Qt.ShiftModifier, qt.Qt.NoModifier


def settle():
    """Let everything happen that waits to happen."""
    for _round in range(3):
        slicer.app.processEvents()


def click(widget):
    """Click a button or check box where a person would."""
    assert widget.enabled, f"{widget.objectName} cannot be clicked"
    assert widget.visible, f"{widget.objectName} is not there to be clicked"
    place = qt.QPoint(min(12, widget.width // 2), widget.height // 2)
    QTest.mouseClick(widget, LEFT, NONE, place)
    settle()


def key(widget, name, modifiers=NONE):
    """Press a key while a widget has the focus; ``name`` as in Qt.Key_NAME."""
    widget.activateWindow()
    widget.setFocus()
    QTest.keyClick(widget, getattr(qt.Qt, f"Key_{name}"), modifiers)
    settle()


def write(edit, text, end="Return"):
    """Replace the text of a line edit and press a key."""
    edit.setFocus()
    edit.selectAll()
    QTest.keyClicks(edit, text) if text else QTest.keyClick(edit, qt.Qt.Key_Delete)
    if end:
        QTest.keyClick(edit, getattr(qt.Qt, f"Key_{end}"))
    settle()


def rowPlace(tree, id_):
    """Return where the name of a row is, in the viewport; the row is scrolled to."""
    item = tree.itemOf(id_)
    tree.scrollToItem(item)
    settle()
    area = tree.visualItemRect(item)
    assert not area.isEmpty(), f"row {id_} cannot be seen"
    return qt.QPoint(area.left() + 20, area.center().y())


def clickRow(tree, id_, modifiers=NONE):
    """Click the name of a row."""
    QTest.mouseClick(tree.viewport(), LEFT, modifiers, rowPlace(tree, id_))
    settle()


def clickArrow(tree, id_):
    """Click the arrow that opens or folds a branch."""
    place = rowPlace(tree, id_)
    place.setX(tree.visualItemRect(tree.itemOf(id_)).left() - tree.indentation // 2)
    QTest.mouseClick(tree.viewport(), LEFT, NONE, place)
    settle()


def openEditor(tree):
    """Return the line edit that is open in a cell of the tree."""
    settle()
    edits = [edit for edit in tree.viewport().findChildren(qt.QLineEdit) if edit.visible]
    assert edits, "no cell is open for editing"
    return edits[-1]


def writeCell(tree, text, end="Return"):
    """Write into the cell that is open, and press a key."""
    write(openEditor(tree), text, end)
    settle()


def drop(tree, ids, target, where="on"):
    """Drag the rows of these nodes and drop them on, above or below the row of another.

    The events are those of the window system, sent to the view. Where a drag comes from only the window system knows,
    so for that while the view accepts drags from anywhere.
    """
    tree.clearSelection()
    for id_ in ids:
        tree.itemOf(id_).setSelected(True)
    place = rowPlace(tree, target)
    area = tree.visualItemRect(tree.itemOf(target))
    place.setY({"above": area.top() + 1, "on": area.center().y(), "below": area.bottom() - 1}[where])
    data = tree.model().mimeData(tree.selectedIndexes())
    tree.dragDropMode = qt.QAbstractItemView.DragDrop
    for kind, point in ((qt.QDragEnterEvent, place), (qt.QDragMoveEvent, place), (qt.QDropEvent, qt.QPointF(place))):
        event = kind(point, qt.Qt.MoveAction, data, LEFT, NONE)
        qt.QCoreApplication.sendEvent(tree.viewport(), event)
    tree.dragDropMode = qt.QAbstractItemView.InternalMove
    settle()
    return event


def names(tree):
    """Return the rows that can be seen, indented by depth."""
    found = []

    def walk(item, depth):
        if item.isHidden():
            return
        found.append("  " * depth + item.text(0))
        if item.isExpanded():
            for number in range(item.childCount()):
                walk(item.child(number), depth + 1)

    for number in range(tree.topLevelItemCount):
        walk(tree.topLevelItem(number), 0)
    return found
