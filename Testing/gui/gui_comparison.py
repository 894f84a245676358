"""The Compare panel and small results and references for it."""

from __future__ import annotations

import importlib

import numpy as np
import slicer
from gui_actions import LEFT, NONE, settle
from PySide6.QtTest import QTest
from vtk.util import numpy_support

from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node

GRID = Geometry((30, 28, 26), (1.5, 1.5, 1.5), (-20.0, -20.0, -18.0))
TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("brain", "brain", "head"),
        Node("grey", "grey matter", "brain"),
        Node("left", "left cortex", "grey", value=1, color=(205, 62, 78)),
        Node("right", "right cortex", "grey", value=2, color=(90, 120, 200)),
        Node("white", "white matter", "brain", value=3, color=(230, 230, 210)),
        Node("nuclei", "nuclei", "brain"),
        Node("putamen", "putamen", "nuclei", value=4, color=(236, 150, 40)),
        Node("caudate", "caudate", "nuclei", value=5, color=(122, 186, 120)),
    ],
    name="head",
)


def truth(shift=0):
    k, j, i = np.indices(GRID.shape) - np.array(GRID.shape).reshape(3, 1, 1, 1) / 2
    radius = np.sqrt(k**2 + j**2 + (i - shift) ** 2)
    values = np.zeros(GRID.shape, np.uint16)
    values[radius < 11] = np.where(i < 0, 1, 2)[radius < 11]
    values[radius < 8] = 3
    values[(radius < 4) & (j < 0)] = 4
    values[(radius < 3) & (j >= 0)] = 5
    return values


def soft(values):
    from scipy import ndimage

    crisp = np.stack([values == leaf.value for leaf in TREE.leaves]).astype(np.float32)
    dense = np.stack([ndimage.gaussian_filter(part, 0.8) for part in crisp])
    return SoftParcellation.from_dense(dense / dense.sum(axis=0), TREE, GRID, model="test")


def addLabelMap(name, values):
    from SoftSegSlicerLib.Scene.Grids import setArray

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    setArray(node, values, GRID, numpy_support.get_vtk_array_type(values.dtype))
    return node


def openPanel(moduleWidget):
    """Yield the panel, whose runners are killed afterwards."""
    runner = importlib.import_module("SoftSegSlicerLib.Process.ProcessRunner").ProcessRunner
    made = []

    def make():
        made.append(runner())
        return made[-1]

    moduleWidget.context.makeRunner = make
    panel = moduleWidget.showPanel("Compare")
    moduleWidget.parent.show()
    settle()
    yield panel
    for one in made:
        one.kill()


def message(panel):
    return panel.ui.messageLabel.text if panel.ui.messageLabel.visible else ""


def column(tree, number):
    return [tree.topLevelItem(row).text(number) for row in range(tree.topLevelItemCount)]


def clickRow(tree, row):
    tree.scrollToItem(tree.topLevelItem(row))
    settle()
    place = tree.visualItemRect(tree.topLevelItem(row)).center()
    place.setX(20)
    QTest.mouseClick(tree.viewport(), LEFT, NONE, place)
    settle()
