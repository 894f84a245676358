"""The list of corrections of a result: what was said, by whom, when, of how many voxels."""

from datetime import datetime

import qt
from slicer.i18n import tr as _

from ..Widgets.AsWritten import asWritten
from ..Widgets.Swatch import swatchIcon

__all__ = ["CorrectionTable"]

ROLE = int(getattr(qt.Qt.UserRole, "value", qt.Qt.UserRole))
_NODE, _VOXELS, _AUTHOR, _TIME = range(4)
_ROWS = 4


class CorrectionTable:
    """Fills the table and tells what was clicked.

    Parameters
    ----------
    table: the QTreeWidget.
    onChosen: called with the id of the correction that was clicked.
    """

    def __init__(self, table, onChosen):
        self._table, self._onChosen = table, onChosen
        table.setHeaderLabels([_("Correction"), _("Voxels"), _("By"), _("When")])
        header = table.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(_NODE, qt.QHeaderView.Stretch)
        for column in (_VOXELS, _AUTHOR, _TIME):
            header.setSectionResizeMode(column, qt.QHeaderView.ResizeToContents)
        table.headerItem().setTextAlignment(_VOXELS, int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
        height = table.fontMetrics().lineSpacing() + 5
        table.minimumHeight = table.maximumHeight = height * (_ROWS + 1) + 8
        table.itemClicked.connect(self._onClicked)

    def show(self, entries):
        """Show entries, each a dict with ``id``, ``name``, ``color``, ``correction``; the last one comes first."""
        before = self.chosen()
        self._table.clear()
        for entry in reversed(entries):
            correction = entry["correction"]
            item = qt.QTreeWidgetItem(self._table)
            said = entry["name"] if correction.is_node else _("not {name}").format(name=entry["name"])
            item.setText(_NODE, said)
            item.setIcon(_NODE, swatchIcon(entry["color"]))
            item.setData(_NODE, ROLE, correction.id)
            item.setText(_VOXELS, f"{correction.voxel_count}")
            item.setTextAlignment(_VOXELS, int(qt.Qt.AlignRight | qt.Qt.AlignVCenter))
            item.setText(_AUTHOR, correction.author or "–")
            item.setText(_TIME, shortTime(correction.time))
            for column in range(4):
                item.setToolTip(column, asWritten(detail(said, correction)))
            if correction.id == before:
                self._table.setCurrentItem(item)
        # Qt 5 draws only the first row again where the selected one goes and columns are as wide as their texts
        self._table.viewport().update()

    def chosen(self):
        """Return the id of the correction that is selected, None where none is."""
        items = self._table.selectedItems()
        return items[0].data(_NODE, ROLE) if items else None

    def _onClicked(self, item, *_args):
        self._onChosen(item.data(_NODE, ROLE))


def shortTime(text, now=None):
    """Return a UTC time (``2026-01-31T12:00:00Z``) as people here read it: the hour today, else the day."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone()
    now = now or datetime.now().astimezone()
    return f"{moment:%H:%M}" if moment.date() == now.date() else f"{moment:%Y-%m-%d}"


def detail(said, correction):
    """Return what is known of a correction, in lines."""
    moment = datetime.fromisoformat(correction.time.replace("Z", "+00:00")).astimezone()
    lines = [
        said,
        _("{count} voxels, {time:%Y-%m-%d %H:%M:%S}").format(count=correction.voxel_count, time=moment),
    ]
    if correction.author:
        lines.append(_("by {author}").format(author=correction.author))
    lines.append(_("children from the model's prediction: {count} voxels").format(count=correction.conditioned))
    if correction.nearest:
        lines.append(
            _("children from the nearest voxel with any probability: {count}").format(count=correction.nearest)
        )
    if correction.even:
        lines.append(_("children with equal probability, as no voxel has any: {count}").format(count=correction.even))
    return "\n".join(lines)
