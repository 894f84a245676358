"""Asks for one of several things, the best one first."""

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import showAsWritten

__all__ = ["ChoiceDialog"]


class ChoiceDialog:
    """A list to choose one entry of.

    Parameters
    ----------
    text: the question.
    choices: the entries; the first is chosen until another one is.
    title: of the window.
    parent: the main window, None without one.

    Attributes
    ----------
    dialog: the QDialog.
    list: the QListWidget.
    """

    def __init__(self, text, choices, title, parent=None):
        self.dialog = qt.QDialog(parent)
        self.dialog.objectName = "choiceDialog"
        self.dialog.windowTitle = title
        layout = qt.QVBoxLayout(self.dialog)
        label = qt.QLabel(text)
        label.wordWrap = True
        showAsWritten(label)
        layout.addWidget(label)
        self.list = qt.QListWidget()
        self.list.objectName = "choices"
        for choice in choices:
            self.list.addItem(choice)
        self.list.currentRow = 0
        self.list.itemDoubleClicked.connect(lambda *_args: self.dialog.accept())
        layout.addWidget(self.list)
        row = qt.QHBoxLayout()
        row.addStretch(1)
        self.useButton = qt.QPushButton(_("Use this"))
        self.useButton.default = True
        self.useButton.clicked.connect(lambda *_args: self.dialog.accept())
        self.cancelButton = qt.QPushButton(_("Cancel"))
        self.cancelButton.autoDefault = False
        self.cancelButton.clicked.connect(lambda *_args: self.dialog.reject())
        row.addWidget(self.useButton)
        row.addWidget(self.cancelButton)
        layout.addLayout(row)
        self.dialog.resize(520, 320)

    def ask(self):
        """Wait for an answer; return the number of the entry, or None where it was cancelled."""
        accepted = self.dialog.exec_()
        chosen = self.list.currentRow
        self.dialog.deleteLater()
        return chosen if accepted and chosen >= 0 else None
