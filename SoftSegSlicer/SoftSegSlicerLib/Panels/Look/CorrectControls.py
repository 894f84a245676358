"""The section "Correct" of the Look panel: to Segment Editor and back, corrections by click, and the list of them."""

import numpy as np
import qt
import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.soft.corrections import nearest
from softseg.tree import node_colors

from ...Compare.ComparisonNodes import jump
from ...Scene import Marked
from ..Widgets.PanelKeys import PanelKeys
from ..Widgets.PanelWidgets import loadPanel
from ..Widgets.Selectors import chosen
from .CorrectionMenu import CorrectionMenu
from .CorrectionTable import CorrectionTable
from .SliceClicks import SliceClicks

__all__ = ["CorrectControls"]

REGION, BRUSH = "region", "brush"


class CorrectControls:
    """Ties the section to the scene.

    Parameters
    ----------
    lookUi: widgets of the Look panel: the section "Correct", and below the tree what is always in sight.
    logic: SoftSegSlicerLogic.
    attempt: runs an action and shows its error; returns what it returned.
    selected: returns the ids of the nodes that are selected in the tree.
    """

    def __init__(self, lookUi, logic, attempt, selected):
        self._logic, self._attempt, self._selected = logic, attempt, selected
        self.widget, self.ui = loadPanel("CorrectSection")
        lookUi.correctButton.layout().addWidget(self.widget)
        for each in (self.ui.correctBar, self.ui.correctLabel, self.ui.answerEdit):
            lookUi.treePart.layout().addWidget(each)
        self._node, self._marked, self._points = None, None, []
        self.table = CorrectionTable(self.ui.correctionTable, self.onChosen)
        self.menu = CorrectionMenu(self.widget, self.answer, self.onAnother, self.drop)
        self.clicks = SliceClicks(self.onPressed, self.onDragged, self.onReleased, self.drop)
        self.ui.reachSelector.addItem(_("Region"), REGION)
        self.ui.reachSelector.addItem(_("Brush"), BRUSH)
        self._connect()
        self.show(None)

    def _connect(self):
        ui = self.ui
        ui.editButton.clicked.connect(self.onEdit)
        ui.clickButton.toggled.connect(self.onMode)
        ui.reachSelector.currentIndexChanged.connect(self.onMode)
        ui.answerEdit.returnPressed.connect(self.onAnswered)
        ui.undoButton.clicked.connect(self.onUndo)
        ui.redoButton.clicked.connect(self.onRedo)
        ui.removeButton.clicked.connect(self.onRemove)
        ui.correctionTable.itemSelectionChanged.connect(self._enable)
        self._toggle = qt.QShortcut(qt.QKeySequence("Ctrl+E"), self.widget)
        self._toggle.activated.connect(self._onToggle)
        self.keys = PanelKeys(self.widget, {"Ctrl+Z": self.onUndo, "Ctrl+Y": self.onRedo, "Ctrl+Shift+Z": self.onRedo})

    # -- what is shown --------------------------------------------------------------------------------------------

    def show(self, node):
        """Stand for another segmentation; ``None`` for none."""
        if node is not self._node:
            self.drop()
        self._node = node
        if node is None:
            self.ui.clickButton.checked = False
        self.refresh()

    def refresh(self):
        """Follow the scene."""
        node = self._node
        entries = [] if node is None else self._attempt(lambda: self._entries(node), [])
        self.table.show(entries or [])
        self._enable()

    def rest(self):
        """Give the mouse back to the views, as when another panel or module is looked at."""
        self.ui.clickButton.checked = False

    def _entries(self, node):
        tree = self._logic.results.treeOf(node)
        colors, found = node_colors(tree), []
        for correction in self._logic.corrections.of(node):
            about = self._logic.corrections.nodeOf(node, correction)
            name = correction.node_id if about is None else about.name
            color = (128, 128, 128) if about is None else colors[about.id]
            found.append({"name": name, "color": color, "correction": correction})
        return found

    def _enable(self, *_args):
        ui, node, on = self.ui, self._node, self.ui.clickButton.checked
        ui.editButton.enabled = ui.clickButton.enabled = node is not None
        ui.reachSelector.enabled = on
        ui.radiusSpinBox.enabled = on and chosen(ui.reachSelector) == BRUSH
        ui.undoButton.enabled = node is not None and self._logic.corrections.canUndo(node)
        ui.redoButton.enabled = node is not None and self._logic.corrections.canRedo(node)
        ui.removeButton.enabled = self.table.chosen() is not None

    # -- Segment Editor -------------------------------------------------------------------------------------------

    def onEdit(self, *_args):
        """Go to Segment Editor with the segments that are shown."""
        self.rest()
        chosenId = next(iter(self._selected()), None)
        if self._node is not None and self._attempt(
            lambda: self._logic.corrections.prepareEditor(self._node, chosenId)
        ):
            slicer.util.selectModule("SegmentEditor")
            self._logic.corrections.prepareEditor(
                self._node, chosenId
            )  # opened for the first time it selects the first segment
            qt.QTimer.singleShot(0, nearest.prepare)

    # -- clicks ---------------------------------------------------------------------------------------------------

    def onMode(self, *_args):
        """Begin or end to take clicks in the slice views."""
        self.drop()
        if self.ui.clickButton.checked and self._node is not None:
            self.clicks.start()
            self._hint()
            qt.QTimer.singleShot(0, nearest.prepare)
        else:
            self.clicks.stop()
            self.ui.correctLabel.visible = False
        self._enable()

    def onPressed(self, ras, _view):
        """Mark what was clicked, or the first ball of a stroke."""
        self._points = [ras]
        self._mark(ras)

    def onDragged(self, ras, _view):
        """Paint on with the brush."""
        radius = self.ui.radiusSpinBox.value
        if chosen(self.ui.reachSelector) == BRUSH:
            for point in between(self._points[-1], ras, radius / 2):
                self._points.append(point)
            self._mark(self._points[0])

    def onReleased(self, _ras, _view):
        """Ask what it is."""
        if self._marked is not None:
            title = self._title()
            choices = self._attempt(lambda: self._logic.points.choicesAt(self._node, self._marked[1]), [])
            self.ui.correctLabel.text = title
            self.ui.correctLabel.visible = self.ui.answerEdit.visible = True
            self.menu.fill(self._logic.results.treeOf(self._node), title, choices)
            self.menu.popUp()

    def answer(self, nodeId, isNode=True):
        """Say that what is marked is a node, or is not."""
        if self._marked is None:
            return
        voxels = self._marked[0]
        self.drop()
        slicer.app.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))  # a large region takes a moment
        try:
            self._attempt(lambda: self._logic.corrections.add(self._node, nodeId, voxels, isNode=isNode))
        finally:
            slicer.app.restoreOverrideCursor()

    def onAnother(self, *_args):
        """Let a name be typed."""
        tree = self._logic.results.treeOf(self._node)
        completer = qt.QCompleter([node.name for node in tree.nodes], self.ui.answerEdit)
        completer.setProperty("caseSensitivity", 0)
        completer.setProperty("filterMode", int(getattr(qt.Qt.MatchContains, "value", qt.Qt.MatchContains)))
        self.ui.answerEdit.setCompleter(completer)
        self.ui.answerEdit.setFocus()

    def onAnswered(self, *_args):
        """Take the typed name or id."""
        node = self._attempt(lambda: _found(self._logic.results.treeOf(self._node), self.ui.answerEdit.text.strip()))
        if node is not None:
            self.answer(node.id)

    def drop(self, *_args):
        """Forget what is marked."""
        self._marked, self._points = None, []
        self.ui.answerEdit.text = ""
        self.ui.answerEdit.visible = False
        if self._node is not None and self._node.GetScene() is not None:
            Marked.clear(self._node.GetScene())
        if self.clicks.started:
            self._hint()

    def _mark(self, ras):
        logic, node = self._logic, self._node
        voxel = self._attempt(lambda: logic.points.voxelAt(node, ras))
        if voxel is None:
            self._marked = None
            return
        if chosen(self.ui.reachSelector) == REGION:
            voxels = logic.points.regionAt(node, voxel)
        else:
            voxels = logic.points.ballsAt(node, self._points, self.ui.radiusSpinBox.value)
        self._marked = (voxels, voxel)
        Marked.show(node, voxels, logic.results.geometryOf(node))

    def _title(self):
        voxels, voxel = self._marked  # type: ignore[misc]
        shown = self._logic.points.shownAt(self._node, voxel)
        name = _("unlabelled") if shown is None else self._logic.results.treeOf(self._node).node(shown).name
        return _("{count} voxels, currently {name}. Change to:").format(count=np.size(voxels), name=name)

    def _hint(self):
        self.ui.correctLabel.text = _("Click a structure in a slice view, then choose what it is.")
        self.ui.correctLabel.visible = True

    def _onToggle(self, *_args):
        if self.ui.clickButton.enabled:
            self.ui.clickButton.checked = not self.ui.clickButton.checked

    # -- the list -------------------------------------------------------------------------------------------------

    def onChosen(self, correctionId):
        """Show the place of a correction in the slice views."""
        point = self._attempt(lambda: self._logic.corrections.positionOf(self._node, correctionId))
        if point is not None:
            jump(self._node, point)

    def onUndo(self, *_args):
        """Take the last change back."""
        if self._node is not None:
            self._attempt(lambda: self._logic.corrections.undo(self._node))

    def onRedo(self, *_args):
        """Make it again."""
        if self._node is not None:
            self._attempt(lambda: self._logic.corrections.redo(self._node))

    def onRemove(self, *_args):
        """Take the selected correction back."""
        id_ = self.table.chosen()
        if id_ is not None:
            self._attempt(lambda: self._logic.corrections.remove(self._node, id_))


def between(first, last, step):
    """Return points on the way from one to another, no further apart than ``step``; the last one is among them."""
    first, last = np.asarray(first), np.asarray(last)
    count = max(1, int(np.ceil(np.linalg.norm(last - first) / max(step, 0.1))))
    return [tuple((first + (last - first) * part / count).tolist()) for part in range(1, count + 1)]


def _found(tree, text):
    """Return the node of a name or id."""
    if not text:
        raise InputError("no structure is given", hint="type its name")
    return tree.find(text)
