"""The tree that both panels show: one row a node, with its colour; rows are kept, not rebuilt, where they can be."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import qt

from softseg.tree import LabelTree, Node, node_colors
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Panels.Widgets.RowFilter import RowFilter, firstExpanded
from SoftSegSlicerLib.Panels.Widgets.Swatch import swatchIcon

__all__ = ["LabelTreeWidget", "TreeColumn"]

NODE_ID = 256
"""Item data role (Qt::UserRole) under which a row keeps the id of its node."""

ON_ITEM, ABOVE_ITEM, BELOW_ITEM, ON_VIEWPORT = range(4)
"""QAbstractItemView::DropIndicatorPosition, as numbers: PythonQt gives numbers, PySide enums."""


@dataclass(frozen=True)
class TreeColumn:
    """One column beside the name.

    Attributes
    ----------
    title, toolTip: of its header.
    text: from a node to what the row shows.
    sample: the widest text to expect, which sets the width.
    """

    title: str
    toolTip: str
    text: Callable[[Node], str]
    sample: str


class LabelTreeWidget(qt.QTreeWidget):
    """A label tree as rows.

    Plain Python callbacks, ``None`` by default:
    ``onMove(ids, parentId, index)`` when rows were dragged somewhere (the rows stay until :meth:`setTree` moves them),
    ``onEdited(id, column, text)`` when a cell was edited in place.
    """

    def __init__(self, *args):
        qt.QTreeWidget.__init__(self, *args)
        self.onMove = None
        self.onEdited = None
        self._tree = None
        self._items = {}
        self._columns: tuple = ()
        self._editable = False
        self._filter = RowFilter(self)
        self._colors = {}
        self._swatches = {}
        self.uniformRowHeights = True
        self.alternatingRowColors = True
        self.rootIsDecorated = True
        self.allColumnsShowFocus = True
        self.selectionMode = qt.QAbstractItemView.ExtendedSelection
        self.editTriggers = qt.QAbstractItemView.NoEditTriggers
        self.verticalScrollMode = qt.QAbstractItemView.ScrollPerItem
        self.itemChanged.connect(self._itemChanged)

    def setColumns(self, nameTitle: str, columns: Iterable[TreeColumn], indentation: int = 14) -> None:
        """Set the columns: the name, then these."""
        self._columns = tuple(columns)
        self.columnCount = 1 + len(self._columns)
        self.setHeaderLabels([nameTitle, *(column.title for column in self._columns)])
        self.indentation = indentation
        header = self.header()
        header.stretchLastSection = False
        header.setSectionResizeMode(0, qt.QHeaderView.Stretch)
        metrics = self.fontMetrics()
        for number, column in enumerate(self._columns, start=1):
            self.headerItem().setToolTip(number, column.toolTip)
            self.headerItem().setTextAlignment(number, qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            header.setSectionResizeMode(number, qt.QHeaderView.Interactive)
            widest = max(column.sample, column.title + "  ", key=len)
            self.setColumnWidth(number, metrics.boundingRect(widest).width() + 10)

    def setEditable(self, on: bool) -> None:
        """Allow cells to be edited in place (F2, double click) and rows to be dragged; before :meth:`setTree`."""
        self._editable = on
        triggers = qt.QAbstractItemView.EditKeyPressed | qt.QAbstractItemView.DoubleClicked
        self.editTriggers = triggers if on else qt.QAbstractItemView.NoEditTriggers
        self.expandsOnDoubleClick = not on
        self.dragEnabled = on
        self.acceptDrops = on
        self.showDropIndicator = on
        self.dragDropMode = qt.QAbstractItemView.InternalMove if on else qt.QAbstractItemView.NoDragDrop

    # -- contents -------------------------------------------------------------------------------------------------

    @property
    def labelTree(self) -> LabelTree | None:
        """The tree that is shown."""
        return self._tree

    def setTree(self, tree: LabelTree | None) -> None:
        """Show a tree; rows keep their expansion and selection, and stay in place where only cells changed."""
        old, self._tree = self._tree, tree
        oldColors, self._colors = self._colors, {} if tree is None else node_colors(tree)
        wasBlocked = self.blockSignals(True)
        try:
            same = old is not None and tree is not None and _shape(old) == _shape(tree)
            if same:
                for node, before in zip(tree.nodes, old.nodes, strict=True):
                    if node != before or self._colors[node.id] != oldColors[node.id]:
                        self._fill(self._items[node.id], node)
            else:
                self._rebuild(tree)
        finally:
            self.blockSignals(wasBlocked)

    def refreshCells(self) -> None:
        """Write the texts of all columns again (their source has changed)."""
        wasBlocked = self.blockSignals(True)
        for id_, item in self._items.items():
            self._fillColumns(item, self._tree.node(id_))
        self.blockSignals(wasBlocked)

    def _rebuild(self, tree: LabelTree | None) -> None:
        expanded = self._filter.forget() if self.isFiltered else self.expandedIds()
        known = set(self._items)
        if tree is not None and not known & {node.id for node in tree.inner_nodes}:
            expanded, known = firstExpanded(tree), {node.id for node in tree.nodes}
        selected, current = self.selectedIds(), self.currentId()
        self._items = {}
        self.clear()
        if tree is None:
            return
        for node in tree.nodes:
            item = self._items[node.id] = qt.QTreeWidgetItem()
            self._fill(item, node)
            if node.parent is not None:
                self._items[node.parent].addChild(item)
        self.addTopLevelItem(self._items[tree.root.id])
        for node in tree.inner_nodes:
            # a group that is new, such as one just made, shows its parts
            self._items[node.id].setExpanded(node.id in expanded or node.id not in known)
        self._select(selected, current)

    def _fill(self, item, node: Node) -> None:
        item.setText(0, node.name)
        item.setToolTip(0, asWritten(node.name))
        item.setIcon(0, self._swatch(self._colors[node.id]))
        item.setData(0, NODE_ID, node.id)
        flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
        if self._editable:
            flags = flags | qt.Qt.ItemIsEditable | qt.Qt.ItemIsDragEnabled | qt.Qt.ItemIsDropEnabled
        item.setFlags(flags)
        self._fillColumns(item, node)

    def _swatch(self, color):
        if color not in self._swatches:
            self._swatches[color] = swatchIcon(color)
        return self._swatches[color]

    def _fillColumns(self, item, node: Node) -> None:
        for number, column in enumerate(self._columns, start=1):
            item.setText(number, column.text(node))
            item.setTextAlignment(number, qt.Qt.AlignRight | qt.Qt.AlignVCenter)

    # -- selection ------------------------------------------------------------------------------------------------

    def selectedIds(self) -> list[str]:
        """Return the ids of the selected nodes, in tree order."""
        chosen = {item.data(0, NODE_ID) for item in self.selectedItems()}
        return [id_ for id_ in self._items if id_ in chosen]

    def currentId(self) -> str | None:
        """Return the id of the node with the keyboard focus, ``None`` where there is none."""
        item = self.currentItem()
        return None if item is None else item.data(0, NODE_ID)

    def select(self, ids: Iterable[str], scroll: bool = True) -> None:
        """Select nodes; the first becomes the current one and is scrolled to, its closed branches staying closed."""
        ids = [id_ for id_ in ids if id_ in self._items]
        self._select(ids, ids[0] if ids else None)
        if ids and scroll:
            self.scrollToItem(self._items[self._visibleOf(ids[0])])

    def startEditing(self, id_: str, column: int = 0) -> None:
        """Open a cell for editing."""
        self.editItem(self._items[id_], column)

    def itemOf(self, id_: str):
        """Return the row of a node."""
        return self._items[id_]

    def _select(self, ids: Iterable[str], current: str | None) -> None:
        # a current row that scrolls into view would open the closed branches above it, which are the cut
        scrolls, self.autoScroll = self.autoScroll, False
        if current in self._items:
            self.setCurrentItem(self._items[current])  # selects it alone, without a moment of no selection
        else:
            self.clearSelection()
        chosen = set(ids)
        for id_, item in self._items.items():
            if item.isSelected() != (id_ in chosen):
                item.setSelected(id_ in chosen)
        self.autoScroll = scrolls

    def _visibleOf(self, id_: str) -> str:
        """Return the node, or the uppermost closed branch that hides it."""
        for node in self._tree.path(id_)[:-1]:
            if not self._items[node.id].isExpanded():
                return node.id
        return id_

    # -- branches -------------------------------------------------------------------------------------------------

    def expandedIds(self) -> set[str]:
        """Return the ids of all open branches, also of those inside closed ones."""
        return {id_ for id_, item in self._items.items() if item.isExpanded()}

    def cutIds(self) -> list[str]:
        """Return the cut that the open branches make: every leaf or closed branch that can be seen, in tree order."""
        found, stack = [], [self._tree.root.id]
        while stack:
            id_ = stack.pop()
            children = self._tree.children(id_)
            if children and self._items[id_].isExpanded():
                stack.extend(child.id for child in reversed(children))
            else:
                found.append(id_)
        return found

    def showCut(self, ids: Iterable[str]) -> None:
        """Open the branches above these nodes and close the nodes themselves; says nothing about it."""
        ids = set(ids)
        above = {node.id for id_ in ids if id_ in self._items for node in self._tree.path(id_)[:-1]}
        wasBlocked = self.blockSignals(True)
        for node in self._tree.inner_nodes:
            wanted = node.id in above
            # what lies below the cut keeps its state: opening the branch again shows what was there
            if (wanted or node.id in ids) and self._items[node.id].isExpanded() != wanted:
                self._items[node.id].setExpanded(wanted)
        self.blockSignals(wasBlocked)

    # -- search ---------------------------------------------------------------------------------------------------

    @property
    def isFiltered(self) -> bool:
        """Whether only the rows that match a search are shown; then open branches are no cut."""
        return self._filter.isOn

    def filter(self, text: str) -> list[str]:
        """Show only the nodes whose name, id or value matches, with the branches that lead to them.

        An empty text shows everything again, branches as open as they were. Returns the ids that match.
        """
        wasBlocked = self.blockSignals(True)
        try:
            return self._filter.apply(text)
        finally:
            self.blockSignals(wasBlocked)

    # -- edits ----------------------------------------------------------------------------------------------------

    def _itemChanged(self, item, column):
        if self.onEdited is not None:
            self.onEdited(item.data(0, NODE_ID), column, item.text(column))

    def restoreCells(self, id_: str) -> None:
        """Write the row of a node again, after an edit that was refused."""
        wasBlocked = self.blockSignals(True)
        self._fill(self._items[id_], self._tree.node(id_))
        self.blockSignals(wasBlocked)

    def dropEvent(self, event):
        """Report what was dropped where; the tree is changed by whoever listens, or not at all."""
        position = event.position().toPoint() if hasattr(event, "position") else event.pos()
        indicator = self.dropIndicatorPosition()
        target = self.itemAt(position)
        # the rows must not be moved by Qt: the edit may be refused
        event.setDropAction(qt.Qt.IgnoreAction)
        event.accept()
        self.stopAutoScroll()
        self.viewport().update()
        if target is None or self.onMove is None:
            return
        parent, index = self._dropPlace(target.data(0, NODE_ID), int(getattr(indicator, "value", indicator)))
        self.onMove(self.selectedIds(), parent, index)

    def _dropPlace(self, target: str, indicator: int) -> tuple[str, int | None]:
        parent = self._tree.parent(target)
        if indicator == ON_ITEM or parent is None:
            return target, None
        index = [child.id for child in self._tree.children(parent.id)].index(target)
        if indicator == BELOW_ITEM and self._tree.children(target) and self._items[target].isExpanded():
            return target, 0
        return parent.id, index + (indicator == BELOW_ITEM)


def _shape(tree: LabelTree):
    return [(node.id, node.parent) for node in tree.nodes]
