"""The two tables of a comparison: levels, and the structures of one level, the worst first."""

import math

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

from ...Compare.ComparisonTables import place
from .CompareColumns import levelColumns, number, structureColumns, volume

ROW_HEIGHT = 21
ROLE = int(getattr(qt.Qt.UserRole, "value", qt.Qt.UserRole))
_NAME = 0
_LOW, _MIDDLE, _GOOD = "#d1495b", "#e0a030", "#3f8f5f"


class CompareTables:
    """Fills the tables and tells what was clicked.

    Parameters
    ----------
    ui: the panel's widgets by name.
    onLevel: called with the number of the level that was chosen.
    onStructure: called with the row of the structure that was chosen.
    """

    def __init__(self, ui, onLevel, onStructure):
        self._ui, self._onLevel, self._onStructure = ui, onLevel, onStructure
        self._rows, self._tables, self.level = [], None, None
        self._order, self._descending = "dice", False
        self._setColumns(False)
        ui.levelTable.itemSelectionChanged.connect(self._onLevelSelected)
        header = ui.structureTable.header()
        header.setProperty("sectionsClickable", True)
        header.setProperty("sortIndicatorShown", True)
        header.sectionClicked.connect(self._onHeader)
        ui.structureTable.itemClicked.connect(self._onStructureClicked)
        ui.structureTable.itemActivated.connect(self._onStructureClicked)

    def show(self, tables):
        """Show a comparison, opened at the finest level that the reference names, the worst first."""
        self._tables, self._order, self._descending = tables, "dice", False
        self._setColumns(tables.judgesModel)
        table = self._ui.levelTable
        table.blockSignals(True)
        table.clear()
        for row in tables.levels:
            item = qt.QTreeWidgetItem(table)
            name = _("leaves") if row["level"] == tables.deepest else f"{row['level']:.0f}"
            item.setText(_NAME, name)
            _write(item, row, self._levelColumns)
        lines = max(column.title.count("\n") for column in self._levelColumns) + 1
        table.minimumHeight = table.maximumHeight = ROW_HEIGHT * (lines + min(len(tables.levels), 7)) + 8
        table.blockSignals(False)
        levels = [row["level"] for row in tables.levels]
        table.setCurrentItem(table.topLevelItem(levels.index(tables.toldLevel)))
        self._onLevelSelected()

    def _setColumns(self, judgesModel):
        self._levelColumns, self._columns = levelColumns(judgesModel), structureColumns(judgesModel)
        _prepare(self._ui.levelTable, _("Level"), self._levelColumns)
        _prepare(self._ui.structureTable, _("Structure"), self._columns)

    def rows(self):
        """Return the rows of the structures that are shown, the worst first."""
        return list(self._rows)

    def _onLevelSelected(self, *_args):
        chosen = self._ui.levelTable.selectedItems()
        if self._tables is None or not chosen:
            return
        place = self._ui.levelTable.indexOfTopLevelItem(chosen[0])
        self.level = self._tables.levels[place]["level"]
        self._rows = self._tables.nodes(self.level)
        self._fill()
        self._onLevel(self.level)

    def _onHeader(self, column, *_args):
        """Sort by a column; a second click turns the order around. Done here, because Qt would sort the texts."""
        key = self._keys[column]
        self._descending = key == self._order and not self._descending
        self._order = key
        self._fill()

    def _ordered(self):
        """Return the rows in the order of the header; what was not measured comes last."""
        key = self._order
        if key == self._keys[_NAME]:
            return sorted(self._rows, key=lambda row: row[key].casefold(), reverse=self._descending)
        known = [row for row in self._rows if math.isfinite(row[key])]
        known.sort(key=lambda row: row[key], reverse=self._descending)
        return known + [row for row in self._rows if not math.isfinite(row[key])]

    def _fill(self):
        table = self._ui.structureTable
        table.clear()
        for row in self._ordered():
            item = qt.QTreeWidgetItem(table)
            item.setText(_NAME, row["name"])
            item.setData(_NAME, ROLE, row["node"])
            item.setToolTip(_NAME, asWritten(_statusText(row)))
            item.setIcon(self._keys.index("dice"), barIcon(row["dice"]))
            _write(item, row, self._columns)
        order = qt.Qt.DescendingOrder if self._descending else qt.Qt.AscendingOrder
        table.header().setSortIndicator(self._keys.index(self._order), order)

    @property
    def _keys(self):
        return ["name", *(column.key for column in self._columns)]

    def _onStructureClicked(self, item, *_args):
        node = item.data(_NAME, ROLE)
        self._onStructure(next(row for row in self._rows if row["node"] == node))


def barIcon(score):
    """Return a small bar, as long as a score in 0..1."""
    picture = qt.QPixmap(22, 10)
    picture.fill(qt.QColor(128, 128, 128, 60))
    if math.isfinite(score):
        color = _LOW if score < 0.5 else _MIDDLE if score < 0.75 else _GOOD
        painter = qt.QPainter(picture)
        painter.fillRect(0, 0, round(22 * max(0.0, min(score, 1.0))), 10, qt.QColor(color))
        painter.end()
    return qt.QIcon(picture)


def detail(row):
    """Return a structure's numbers in a sentence."""
    parts = [
        _("{name}: {status}").format(name=row["name"], status=_statusText(row)),
        _("surface Dice {value}").format(value=number(row["surface_dice"])),
        _("95 % of the surface within {value} mm").format(value=volume(row["hd95_mm"])),
        _("soft volume {own} ml, reference {other} ml").format(
            own=volume(row["soft_volume_ml"]), other=volume(row["soft_volume_reference_ml"])
        ),
    ]
    if "dice_model" in row:
        own, corrected = number(row["soft_dice_model"]), number(row["soft_dice"])
        parts.append(_("soft Dice {own} uncorrected, {corrected} corrected").format(own=own, corrected=corrected))
    if place(row, "error") is None:
        parts.append(_("no errors"))
    return ", ".join(parts) + "."


def _statusText(row):
    known = {
        "found": _("in result and reference"),
        "missed": _("missed: only in the reference"),
        "invented": _("only in the result"),
    }
    return known.get(row["status"], row["status"])


def _write(item, row, columns):
    for section, column in enumerate(columns, 1):
        item.setText(section, column.text(row[column.key]))
        item.setTextAlignment(section, int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))


def _prepare(table, first, columns):
    table.columnCount = 1 + len(columns)
    table.setHeaderLabels([first, *(column.title for column in columns)])
    header = table.header()
    header.stretchLastSection = False
    header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
    for section, column in enumerate(columns, 1):
        header.setSectionResizeMode(section, qt.QHeaderView.Fixed)
        header.resizeSection(section, column.width)
        table.headerItem().setTextAlignment(section, int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
