"""Asks which structure each segment or label is, before anything is taken."""

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import showAsWritten
from SoftSegSlicerLib.Panels.Widgets.MatchTable import MatchTable

__all__ = ["MatchDialog"]


class MatchDialog:
    """The dialog around the table.

    Parameters
    ----------
    matching: softseg.tree.matching.Matching.
    title: whose labels they are.
    allowAdd: whether a label may become a new structure of the tree.
    parent: the main window, None without one.

    Attributes
    ----------
    dialog: the QDialog.
    table: MatchTable.
    """

    def __init__(self, matching, title, allowAdd=True, parent=None):
        self._matching, self._allowAdd = matching, allowAdd
        self.dialog = qt.QDialog(parent)
        self.dialog.objectName = "matchDialog"
        self.dialog.windowTitle = _("Match labels to structures")
        layout = qt.QVBoxLayout(self.dialog)
        self._title = qt.QLabel(title)
        self._title.wordWrap = True
        showAsWritten(self._title)
        layout.addWidget(self._title)
        tree = qt.QTreeWidget()
        tree.objectName = "matchTable"
        layout.addWidget(tree)
        self._summary = qt.QLabel()
        self._summary.wordWrap = True
        layout.addWidget(self._summary)
        self.table = MatchTable(tree, matching, allowAdd, self._update)
        layout.addLayout(self._buttons(allowAdd))
        self.dialog.resize(880, 460)
        self._update()

    def _buttons(self, allowAdd):
        row = qt.QHBoxLayout()
        self.leaveOutButton = qt.QPushButton(_("Leave out unmatched"))
        self.leaveOutButton.clicked.connect(lambda *_args: self.table.chooseOpen(leaveOut=True))
        row.addWidget(self.leaveOutButton)
        self.addButton = qt.QPushButton(_("Add unmatched to the tree"))
        self.addButton.clicked.connect(lambda *_args: self.table.chooseOpen(leaveOut=False))
        if allowAdd:
            row.addWidget(self.addButton)
        row.addStretch(1)
        self.useButton = qt.QPushButton(_("Apply"))
        self.useButton.default = True
        self.useButton.clicked.connect(self._onUse)
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.autoDefault = False
        self.cancelButton.clicked.connect(lambda *_args: self.dialog.reject())
        for button in (self.leaveOutButton, self.addButton):
            button.autoDefault = False
        row.addWidget(self.useButton)
        row.addWidget(self.cancelButton)
        return row

    def ask(self):
        """Wait for an answer; return what every item is, by key, or None where it was cancelled."""
        accepted = self.dialog.exec_()
        chosen = self.table.chosen()
        self.dialog.deleteLater()
        return chosen if accepted else None

    def _onUse(self, *_args):
        if self.table.openCount:
            self.table.chooseOpen(leaveOut=not self._allowAdd)
        self.dialog.accept()

    def _update(self):
        open_ = self.table.openCount
        self.useButton.text = _("Apply")
        if open_:
            text = _("Apply, add {count} to the tree") if self._allowAdd else _("Apply, leave {count} out")
            self.useButton.text = text.format(count=open_)
        self.leaveOutButton.enabled = self.addButton.enabled = open_ > 0
        byValue = len(self._matching.by_value)
        if open_:
            text = _("{count} marked labels match no structure: choose one for each, add them, or leave them out.")
            text = text.format(count=open_)
        elif byValue:
            text = _("{count} matched by label value only: please check.").format(count=byValue)
        else:
            text = _("Every label has a structure.")
        self._summary.text = text
        self.useButton.toolTip = "" if open_ == 0 else text
