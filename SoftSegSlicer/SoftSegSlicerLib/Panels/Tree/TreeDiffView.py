"""The list of what would change: the edited tree against the saved one."""

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Tree.TreeChangesText import changeText, summary
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Panels.Widgets.LabelTreeWidget import NODE_ID
from SoftSegSlicerLib.Panels.Widgets.MessageLine import isDark

__all__ = ["TreeDiffView"]

INK = {"+": ("#1b7f3b", "#7ddc9a"), "\N{MINUS SIGN}": ("#b3261e", "#ff8a80"), "~": ("#8a5a00", "#ffca6b")}
"""Colour of each kind of line on a light and on a dark ground."""


MOST_ROWS = 8
"""Lines that are seen without scrolling."""


class TreeDiffView:
    """Ties the list to a tree editor.

    Parameters
    ----------
    ui: widgets of the Tree panel.
    jump: called with the id of the structure that was double-clicked.
    """

    def __init__(self, ui, jump):
        self._ui = ui
        self._jump = jump
        self._editor = None
        ui.changesTree.columnCount = 1
        ui.changesTree.itemDoubleClicked.connect(self._onDoubleClicked)
        ui.changesButton.contentsCollapsed.connect(lambda *_args: self._fill())

    def show(self, editor) -> None:
        """Show what an editor's tree changes."""
        self._editor = editor
        changes = editor.changes()
        title = _("Unsaved changes ({count})").format(count=len(changes)) if changes else _("Unsaved changes")
        self._ui.changesButton.text = title
        self._fill()

    def _fill(self):
        if self._editor is None or self._ui.changesButton.collapsed:
            return
        old, new = self._editor.saved, self._editor.tree
        self._ui.changesLabel.text = summary(old, new)
        dark = isDark(self._ui.changesTree)
        self._ui.changesTree.clear()
        for change in self._editor.changes():
            item = qt.QTreeWidgetItem()
            text = changeText(change, old, new)
            item.setText(0, text)
            item.setToolTip(0, asWritten(text))
            item.setData(0, NODE_ID, change.id)
            item.setForeground(0, qt.QBrush(qt.QColor(INK[text[0]][dark])))
            self._ui.changesTree.addTopLevelItem(item)
        count = self._ui.changesTree.topLevelItemCount
        self._ui.changesTree.visible = count > 0
        if count:
            rows = min(count, MOST_ROWS)
            height = rows * self._ui.changesTree.sizeHintForRow(0) + 6
            self._ui.changesTree.minimumHeight = self._ui.changesTree.maximumHeight = height

    def _onDoubleClicked(self, item, *_args):
        id_ = item.data(0, NODE_ID)
        if id_ in self._editor.tree:
            self._jump(id_)
