"""Stand-ins of the views of tables and plots; in the application they are C++."""

from __future__ import annotations

import slicer
import vtk
from PySide6.QtCore import Qt, Slot
from PySide6.QtWidgets import QAbstractItemView, QFrame, QLabel, QTableWidget, QTableWidgetItem, QVBoxLayout, QWidget


class qMRMLTableView(QTableWidget):
    """The cells of a table node, to look at."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._node = None
        self._tag = None
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Do nothing: the node is set by setMRMLTableNode."""

    def setMRMLTableNode(self, node):
        """Show this node."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._fill())
        self._fill()

    def mrmlTableNode(self):
        """Return the node."""
        return self._node

    def _fill(self):
        columns = 0 if self._node is None else self._node.GetNumberOfColumns()
        self.setColumnCount(columns)
        self.setRowCount(0 if self._node is None else self._node.GetNumberOfRows())
        self.setHorizontalHeaderLabels([self._node.GetColumnName(c) for c in range(columns)])
        for row in range(self.rowCount()):
            for column in range(columns):
                self.setItem(row, column, QTableWidgetItem(self._node.GetCellText(row, column)))


class qMRMLPlotView(QFrame):
    """The place of a plot; the chart node is kept and named, nothing is drawn (that is VTK's part)."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._view = None
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._label = QLabel(self)
        self._label.setAlignment(Qt.AlignmentFlag.AlignCenter)
        layout = QVBoxLayout(self)
        layout.addWidget(self._label)

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Do nothing: the view node is set by setMRMLPlotViewNode."""

    def setMRMLPlotViewNode(self, node):
        """Take the view node."""
        self._view = node
        chart = None if node is None else slicer.mrmlScene.GetNodeByID(node.GetPlotChartNodeID() or "")
        self._label.setText("" if chart is None else chart.GetName())

    def mrmlPlotViewNode(self):
        """Return the view node."""
        return self._view

    @Slot()
    def fitToContent(self):
        """Do nothing: nothing is drawn."""


class qMRMLPlotWidget(QWidget):
    """A plot view in a frame."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self._plot = qMRMLPlotView(self)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._plot)

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Hand the scene on."""
        self._plot.setMRMLScene(scene)

    def setMRMLPlotViewNode(self, node):
        """Take the view node."""
        self._plot.setMRMLPlotViewNode(node)

    def mrmlPlotViewNode(self):
        """Return the view node."""
        return self._plot.mrmlPlotViewNode()

    def plotView(self):
        """Return the view."""
        return self._plot
