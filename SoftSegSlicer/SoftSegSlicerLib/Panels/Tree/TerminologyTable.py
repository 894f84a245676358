"""The table in which the DICOM codes of a structure are edited."""

import qt
from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.tree import Code, Terminology
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

__all__ = ["TerminologyTable", "terminologyOf"]

FIELDS = ("category", "type", "type_modifier", "region", "region_modifier")


def terminologyOf(rows) -> Terminology | None:
    """Return the terminology that five rows of (code, scheme, meaning) spell, ``None`` where all are empty.

    Raises
    ------
    InputError: a row is not complete, category or type is missing, or a modifier has nothing to modify.
    """
    codes = {}
    for field, row in zip(FIELDS, rows, strict=True):
        texts = [text.strip() for text in row]
        if any(texts):
            if not all(texts):
                raise InputError(_("{field}: give code, scheme and meaning").format(field=fieldTitle(field)))
            codes[field] = Code(*texts)
    if not codes:
        return None
    for field in ("category", "type"):
        if field not in codes:
            raise InputError(_("{field}: terminology needs one").format(field=fieldTitle(field)))
    return Terminology(**codes)


def fieldTitle(field: str) -> str:
    """Return what people call a field."""
    return {
        "category": _("Category"),
        "type": _("Type"),
        "type_modifier": _("Modifier"),
        "region": _("Region"),
        "region_modifier": _("Region mod."),
    }[field]


class TerminologyTable:
    """Five rows of code, scheme and meaning.

    Parameters
    ----------
    table: the QTableWidget.
    changed: called with the new Terminology, or ``None``, when the rows spell one.
    incomplete: called with the InputError that says what is missing when they do not.
    """

    def __init__(self, table, changed, incomplete):
        self._table = table
        self._changed = changed
        self._incomplete = incomplete
        self._shown = None
        table.rowCount = len(FIELDS)
        table.columnCount = 3
        table.setHorizontalHeaderLabels([_("Code"), _("Scheme"), _("Meaning")])
        table.setVerticalHeaderLabels([fieldTitle(field) for field in FIELDS])
        table.horizontalHeader().stretchLastSection = True
        metrics = table.fontMetrics()
        rowHeight = metrics.lineSpacing() + 6
        for row in range(len(FIELDS)):
            table.setRowHeight(row, rowHeight)
        height = table.horizontalHeader().sizeHint.height() + len(FIELDS) * rowHeight + 4
        table.minimumHeight = table.maximumHeight = height
        for column, widest in enumerate(("123037004", _("Scheme"))):
            table.setColumnWidth(column, metrics.boundingRect(widest).width() + 14)
        table.horizontalScrollBarPolicy = qt.Qt.ScrollBarAlwaysOff
        table.cellChanged.connect(self._onCellChanged)

    def show(self, terminology: Terminology | None) -> None:
        """Show codes."""
        self._shown = terminology
        wasBlocked = self._table.blockSignals(True)
        for row, field in enumerate(FIELDS):
            code = None if terminology is None else getattr(terminology, field)
            texts = ("", "", "") if code is None else (code.value, code.scheme, code.meaning)
            for column, text in enumerate(texts):
                self._table.setItem(row, column, qt.QTableWidgetItem(text))
                self._table.item(row, column).setToolTip(asWritten(text))
        self._table.blockSignals(wasBlocked)

    def rows(self) -> list[list[str]]:
        """Return what stands in the cells."""
        return [[self._table.item(row, column).text() for column in range(3)] for row in range(len(FIELDS))]

    def _onCellChanged(self, *_args):
        try:
            terminology = terminologyOf(self.rows())
        except InputError as error:
            # a row is typed cell by cell: what stands there stays, and the line says what is missing
            self._incomplete(error)
            return
        if terminology != self._shown:
            self._shown = terminology
            self._changed(terminology)
