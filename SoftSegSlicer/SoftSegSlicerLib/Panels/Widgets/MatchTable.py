"""The table of what belongs to what: each segment or label, the structure of the label tree that it is, and why."""

import qt
from slicer.i18n import tr as _

from softseg.tree.matching import ADD, LEAVE_OUT
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Panels.Widgets.MessageLine import isDark
from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen

__all__ = ["MatchTable"]

LABEL, VALUE, STRUCTURE, HOW = range(4)
_NODE, _LEAVE_OUT, _ADD, _OPEN = "node|", "leaveOut", "add", ""
_OPEN_COLORS = ("#ffe7b3", "#5a4200")
"""Ground of the rows that need a choice, in light and dark."""
_ORDER = {"": 0, "value": 1, "code": 2}
"""What needs a look comes first."""


class MatchTable:
    """Rows with a selector of structures each.

    Parameters
    ----------
    table: the QTreeWidget.
    matching: softseg.tree.matching.Matching.
    allowAdd: whether a label may become a new structure of the tree.
    onChanged: called without arguments when a choice changes.
    """

    def __init__(self, table, matching, allowAdd, onChanged):
        self._table, self._onChanged = table, onChanged
        self._rows = []
        self._texts = _texts(matching.tree, allowAdd)
        self._model = _model(self._texts)
        table.columnCount = 4
        table.setHeaderLabels([_("Label"), _("Value"), _("Structure"), _("Matched by")])
        table.rootIsDecorated = False
        table.alternatingRowColors = True
        table.selectionMode = qt.QAbstractItemView.NoSelection
        for match in sorted(matching.matches, key=_place):
            self._add(match)
        header = table.header()
        header.stretchLastSection = True
        for column, width in ((LABEL, 190), (VALUE, 56), (STRUCTURE, 250)):
            header.resizeSection(column, width)

    @property
    def openCount(self):
        """How many rows need a choice."""
        return sum(chosen(box) == _OPEN for _match, _item, box in self._rows)

    def chosen(self):
        """Return what every row says, by the keys of the items: the id of a node, LEAVE_OUT or ADD; open ones lack."""
        choices = {match.item.key: chosen(box) for match, _item, box in self._rows}
        words = {_LEAVE_OUT: LEAVE_OUT, _ADD: ADD}
        return {key: words.get(data, data[len(_NODE) :]) for key, data in choices.items() if data != _OPEN}

    def chooseOpen(self, leaveOut):
        """Leave all open rows out, or make a structure of each."""
        for _match, _item, box in self._rows:
            if chosen(box) == _OPEN:
                box.currentIndex = box.findData(_LEAVE_OUT if leaveOut else _ADD)

    def boxOf(self, key):
        """Return the selector of an item."""
        return next(box for match, _item, box in self._rows if match.item.key == key)

    def _add(self, match):
        item = qt.QTreeWidgetItem(self._table)
        name = match.item.name or _("no name")
        item.setText(LABEL, name)
        item.setToolTip(LABEL, asWritten(name))
        item.setText(VALUE, "" if match.item.value is None else str(match.item.value))
        box = self._box(match)
        self._table.setItemWidget(item, STRUCTURE, box)
        self._rows.append((match, item, box))
        self._describe(match, item, box)
        box.currentIndexChanged.connect(lambda *_args: self._onChoice(match, item, box))

    def _box(self, match):
        box = qt.QComboBox()
        box.setModel(self._model)
        box.editable = True
        box.insertPolicy = qt.QComboBox.NoInsert
        box.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        box.toolTip = _("The matching structure; type part of its name to search")
        completer = box.completer()
        completer.completionMode = qt.QCompleter.PopupCompletion
        completer.filterMode = qt.Qt.MatchContains
        completer.caseSensitivity = qt.Qt.CaseInsensitive
        box.currentIndex = max(0, box.findData(_data(match)))
        box.lineEdit().editingFinished.connect(lambda *_args: self._onTyped(box))
        return box

    def _onTyped(self, box):
        """Take what was typed where it is an entry, else show again what is chosen."""
        text = box.currentText.strip().casefold()
        found = [place for place, (entry, _data) in enumerate(self._texts) if entry.casefold() == text]
        if found and box.currentIndex not in found:
            box.currentIndex = found[0]
        elif not found:
            box.lineEdit().text = box.itemText(box.currentIndex)

    def _onChoice(self, match, item, box):
        self._describe(match, item, box)
        self._onChanged()

    def _describe(self, match, item, box):
        """Say in a row why the structure was chosen, and mark the row where nothing is."""
        data = chosen(box)
        text = _reason(match) if data == _data(match) else _("your choice")
        item.setText(HOW, text)
        item.setToolTip(HOW, asWritten(text))
        brush = qt.QBrush(qt.QColor(_OPEN_COLORS[isDark(self._table)])) if data == _OPEN else qt.QBrush()
        for column in (LABEL, VALUE, STRUCTURE, HOW):
            item.setBackground(column, brush)


def _texts(tree, allowAdd):
    """Return the entries of the selectors: ``(text, data)``."""
    names = [node.name for node in tree.nodes]
    entries = [(_("choose a structure…"), _OPEN), (_("leave it out"), _LEAVE_OUT)]
    entries += [(_("add it to the tree"), _ADD)] if allowAdd else []
    for node in tree.nodes:
        parent = tree.path(node.id)[-2].name if node.parent is not None and names.count(node.name) > 1 else ""
        value = "" if node.value is None else f" ({node.value})"
        entries.append((f"{node.name}{f', {parent}' if parent else ''}{value}", f"{_NODE}{node.id}"))
    return entries


def _model(entries):
    """Return one model for all selectors: a tree may have hundreds of structures, a scan as many labels."""
    model = qt.QStandardItemModel(len(entries), 1)
    for row, (text, data) in enumerate(entries):
        place = model.index(row, 0)
        model.setData(place, text, qt.Qt.DisplayRole)
        model.setData(place, data, qt.Qt.UserRole)
    return model


def _data(match):
    if match.left_out:
        return _LEAVE_OUT
    return _OPEN if match.node is None else f"{_NODE}{match.node.id}"


def _place(match):
    return _ORDER.get(match.how, 3) if not match.left_out else 3


def _reason(match):
    if match.open:
        return match.reason or (
            _("no name, and no structure with this value") if match.item.nameless else _("no structure of this name")
        )
    return {
        "name": _("name"),
        "id": _("id"),
        "code": _("DICOM code"),
        "value": _("label value only"),
    }.get(match.how, _("your choice"))
