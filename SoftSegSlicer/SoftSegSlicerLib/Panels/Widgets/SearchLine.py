"""The search field above a tree: typing filters, Enter goes to the next match, Escape shows everything again."""

import qt

__all__ = ["SearchLine"]


class SearchLine:
    """Ties a line edit to a tree.

    Parameters
    ----------
    edit: the QLineEdit.
    tree: the LabelTreeWidget.
    """

    def __init__(self, edit, tree):
        self._edit = edit
        self._tree = tree
        self._matches = []
        self._next = 0
        edit.textChanged.connect(self.repeat)
        edit.returnPressed.connect(self._onReturn)
        escape = qt.QShortcut(qt.QKeySequence(qt.Qt.Key_Escape), edit)
        escape.context = qt.Qt.WidgetShortcut
        escape.activated.connect(self.clear)

    def repeat(self, *_args) -> None:
        """Search again, as after the tree changed."""
        if self._tree.labelTree is not None:
            self._matches = self._tree.filter(self._edit.text)
            self._next = 0
        found = bool(self._matches) or not self._edit.text.strip()
        self._edit.styleSheet = "" if found else "color: #d04040;"

    def clear(self, *_args) -> None:
        """Show everything again."""
        self._edit.text = ""

    def _onReturn(self, *_args):
        if self._matches:
            self._tree.select([self._matches[self._next % len(self._matches)]])
            self._next += 1
