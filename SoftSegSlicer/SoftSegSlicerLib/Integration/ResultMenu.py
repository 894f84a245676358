"""The submenu of a result: filled for what was clicked, whoever shows it."""

import qt
import slicer

from softseg.errors import SoftSegError

from ..Translation import tr as _
from .ResultActions import ResultActions
from .SharedLogic import moduleWindow, sharedLogic


class ResultMenu:
    """Fills a menu with what can be done with a result.

    Parameters
    ----------
    menu: the QMenu.
    """

    def __init__(self, menu):
        self.menu = menu
        self.levels = qt.QMenu(_("Fold to level"), menu)
        self.levels.objectName = "SoftSegFoldMenu"

    def fill(self, segmentationNode, segmentId=None):
        """Offer what can be done; return whether there is anything."""
        self.menu.clear()
        self.levels.clear()
        actions = ResultActions.of(sharedLogic(), segmentationNode, segmentId)
        if actions is None:
            return False
        shown = actions.level()
        for level, title in actions.levels():
            act = self._add(self.levels, title, lambda *_arguments, n=level: self._try(lambda: actions.fold(n)))
            act.checkable = True
            act.checked = level == shown
        self.menu.addMenu(self.levels)
        if actions.parentName() is not None:
            self._offer(_("Fold into {name}").format(name=actions.parentName()), actions.foldIntoParent)
        if actions.canOpen():
            self._offer(_("Unfold this branch"), actions.open)
        self.menu.addSeparator()
        if actions.isSoft():
            title = _("Show uncertainty") if actions.nodeId is None else _("Show probability")
            self._offer(title, actions.showProbability)
        if actions.isMapShown():
            self._offer(_("Hide the map"), actions.hideMap)
        self._offer(_("View in SoftSeg"), lambda: lookAt(actions.node))
        self._offer(_("Edit in Segment Editor"), lambda: edit(actions))
        self.menu.addSeparator()
        self._offer(_("Export as segmentation"), actions.exportSegmentation)
        self._offer(_("Export as label map"), actions.exportLabelMap)
        return True

    def _offer(self, title, act):
        return self._add(self.menu, title, lambda *_arguments: self._try(act))

    def _add(self, menu, title, slot):
        action = qt.QAction(title, menu)
        action.triggered.connect(slot)
        menu.addAction(action)
        return action

    def _try(self, act):
        try:
            act()
        except SoftSegError as error:
            slicer.util.errorDisplay(str(error), windowTitle=_("SoftSeg"))


def lookAt(segmentationNode):
    """Go to the panel Look of the module with a result."""
    slicer.util.selectModule("SoftSegSlicer")
    window = moduleWindow()
    window.context.segmentation = segmentationNode
    return window.showPanel("Look")


def edit(actions):
    """Go to Segment Editor with a result, or with one segment of it."""
    actions.edit()
    slicer.util.selectModule("SegmentEditor")
