"""The Look panel: a segmentation as a tree whose open branches are its labels, and the soft map of a structure."""

import qt
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from SoftSegSlicerLib.Panels.Look.AdoptBar import AdoptBar
from SoftSegSlicerLib.Panels.Look.BranchMenu import BranchMenu
from SoftSegSlicerLib.Panels.Look.CorrectControls import CorrectControls
from SoftSegSlicerLib.Panels.Look.ExportButtons import ExportButtons
from SoftSegSlicerLib.Panels.Look.HeatMapControls import HeatMapControls
from SoftSegSlicerLib.Panels.Look.HoverProbe import HoverProbe, hoverText
from SoftSegSlicerLib.Panels.Look.LevelSlider import LevelSlider
from SoftSegSlicerLib.Panels.Look.LiveEdits import LiveEdits
from SoftSegSlicerLib.Panels.Look.SurenessControls import SurenessControls
from SoftSegSlicerLib.Panels.Look.SurfaceControls import SurfaceControls
from SoftSegSlicerLib.Panels.Look.VolumeColumns import VolumeColumns
from SoftSegSlicerLib.Panels.Widgets.LabelTreeWidget import LabelTreeWidget
from SoftSegSlicerLib.Panels.Widgets.MessageLine import MessageLine
from SoftSegSlicerLib.Panels.Widgets.OpenButton import OpenButton
from SoftSegSlicerLib.Panels.Widgets.PanelWidgets import loadPanel
from SoftSegSlicerLib.Panels.Widgets.SearchLine import SearchLine
from SoftSegSlicerLib.Panels.Widgets.TreeWindow import TreeWindow
from SoftSegSlicerLib.Scene.TreeNode import structure

__all__ = ["LookPanel"]


class LookPanel:
    """Shows the segmentation of a :class:`PanelContext`.

    Parameters
    ----------
    context: logic, current segmentation and events that the panels share.
    """

    def __init__(self, context):
        self.context = context
        self.widget, self.ui = loadPanel("LookPanel")
        self.message = MessageLine(self.ui.messageLabel)
        self._node, self._closing, self._behind = None, False, False
        self.tree = LabelTreeWidget(self.ui.treeFrame)
        self.tree.objectName = "lookTree"
        self.ui.treeFrame.layout().addWidget(self.tree)
        self.window = TreeWindow(self.ui.treeSplitter, self.ui.popOutButton, _("Structures"))
        self.volumes = VolumeColumns()
        self._setUpTree()
        self.menu = BranchMenu(self.tree, self.onBranchToggled)
        self.level = LevelSlider(self.ui.levelSlider, self.ui.levelLabel, self.onLevel)
        self.search = SearchLine(self.ui.searchEdit, self.tree)
        self.adopt = AdoptBar(self.ui, self.onAdopted, context)
        self.maps = HeatMapControls(self.ui, context.logic, self._try)
        self.sureness = SurenessControls(self.ui, context.logic, self._try)
        self.surfaces = SurfaceControls(self.ui.surfacesButton, context.logic, self._try)
        self.export = ExportButtons(self.ui, context.logic, self._try, self.message.info)
        self.open = OpenButton(
            self.ui.openButton, context, lambda nodes: self.onAdopted(nodes[-1]), self.message.errors, self.message.info
        )
        self.correct = CorrectControls(self.ui, context.logic, self._try, self.tree.selectedIds)
        self.live = LiveEdits(lambda node: context.logic.corrections.takeEdits(node, live=not context.entered))
        self.hover = HoverProbe(self.onHover, lambda: context.entered)
        # room for the longest path, so that nothing moves under the mouse
        self.ui.hoverLabel.minimumHeight = self.ui.hoverLabel.maximumHeight = 3 * self.tree.fontMetrics().lineSpacing()
        self._connect()
        context.mapFilter.apply(self.ui.segmentationSelector)
        self.refresh()

    def _setUpTree(self):
        self.volumes.setUp(self.tree)
        self.tree.selectionMode = qt.QAbstractItemView.SingleSelection
        self.tree.toolTip = _(
            "An open branch shows its structures as separate labels; fold it to merge them. "
            "Select a structure to see its probability."
        )

    def _connect(self):
        self.ui.segmentationSelector.currentNodeIDChanged.connect(self.onSegmentationSelected)
        self.tree.itemExpanded.connect(self.onBranchToggled)
        self.tree.itemCollapsed.connect(self.onBranchToggled)
        self.tree.itemSelectionChanged.connect(self.onNodeSelected)
        self.ui.searchEdit.textChanged.connect(self.onSearched)
        for event, callback in self._observed():
            self.context.addObserver(event, callback)

    def _observed(self):
        for event in ("segmentationChanged", "treeChanged", "cutChanged", "volumesChanged", "corrected"):
            yield event, getattr(self, f"on{event[0].upper()}{event[1:]}")

    # -- life -----------------------------------------------------------------------------------------------------

    def cleanup(self):
        """Let go of the scene."""
        self._closing = True
        self.rest()
        for part in (self.live, self.surfaces, self.open):
            part.stop()
        self.window.putBack()
        for event, callback in self._observed():
            self.context.removeObserver(event, callback)

    def onSceneStartClose(self):
        """Forget the nodes before they go."""
        self._closing = True
        self.rest()
        self._show(None)

    def rest(self):
        """Follow the mouse no longer."""
        self.hover.stop()
        self.correct.rest()

    def onSceneEndClose(self):
        """Begin again with the empty or newly loaded scene."""
        self._closing = False
        self.refresh()
        qt.QTimer.singleShot(0, self.refresh)  # the selector may hear of the scene's nodes after the panel does

    def refresh(self):
        """Show what the scene holds now."""
        if self._closing:
            return
        self.hover.start()
        node = self._node
        if node is None or node.GetScene() is None or self._managed:
            node = self.context.segmentation or self.ui.segmentationSelector.currentNode()
        self._choose(node)
        if node is not self._node or not self._managed:
            self._show(node)
        elif node is not None:
            self._try(lambda: self.context.logic.corrections.takeEdits(node))
            self._followTree()
            if self._behind:
                self.onCorrected(node)

    # -- segmentation ---------------------------------------------------------------------------------------------

    def onSegmentationSelected(self, *_args):
        """Show the segmentation that was chosen in the panel; the other panels follow where it has a tree."""
        if self._closing:
            return
        node = self.ui.segmentationSelector.currentNode()
        self.message.clear()
        if node is None or self.context.logic.results.isManaged(node):
            self.context.segmentation = node
            self.context.logic.results.showAlone(node)
        if node is not self._node:
            self._show(node)

    def onSegmentationChanged(self, **_data):
        """Follow the segmentation that another panel chose or made."""
        node = self.context.segmentation
        hidden = node is not None and not self.widget.visible  # then it catches up when it is looked at
        if self._closing or hidden or node is self._node:
            return
        if node is not None:
            self._choose(node)
            self._show(node)
        elif self._managed:
            self._choose(None)
            self._show(None)

    def _choose(self, node):
        """Let the selector show a node without taking that for a choice of the user."""
        selector = self.ui.segmentationSelector
        wasBlocked = selector.blockSignals(True)
        selector.setCurrentNode(node)
        selector.blockSignals(wasBlocked)

    @property
    def _managed(self):
        return self._node is not None and self.context.logic.results.isManaged(self._node)

    def _show(self, node):
        self._node, self._behind = node, False
        self.search.clear()
        logic = self.context.logic
        tree = self._try(lambda: logic.results.treeOf(node)) if self._managed else None
        soft = tree is not None and self._try(lambda: logic.results.parcellationOf(node)) is not None
        self.adopt.show(node is not None and not self._managed, node)
        managed = node if tree is not None else None
        self.volumes.clear(soft)
        self.tree.setTree(tree)
        self.ui.searchEdit.enabled = tree is not None
        self.export.show(managed)
        self.surfaces.show(managed)
        self.onHover(None)
        self.live.follow(managed)
        self.correct.show(managed)
        self.sureness.show(managed, soft)
        self.maps.show(managed, soft, self.sureness.hasScore)
        self.volumes.explain(self.tree.headerItem())
        if tree is not None:
            wasBlocked = self.tree.blockSignals(True)
            self.tree.select([id_ for id_ in [self.maps.shownNode] if id_ is not None])
            self.tree.blockSignals(wasBlocked)
            self.volumes.count(self.context.logic, self._node, self._showVolumes)
        self._showCut()

    def _showVolumes(self):
        if self._closing or self.tree.labelTree is None:
            return
        self.volumes.fill(self.tree, self.context.logic, self._node, self.message.error)

    def onAdopted(self, adopted):
        """Show the segmentation that got a tree."""
        self.message.clear()
        self.context.segmentation = adopted
        self._choose(adopted)
        self._show(adopted)

    # -- cut ------------------------------------------------------------------------------------------------------

    def onBranchToggled(self, *_args):
        """Merge or part the segments of a branch that was folded or opened."""
        if not self.tree.isFiltered:
            self._collapse(self.tree.cutIds())

    def onSearched(self, *_args):
        """When the search is over, open the branches again that the labels stand for now."""
        if not self.tree.isFiltered:
            self._showCut()

    def onLevel(self, level):
        """Fold the whole tree to a level."""
        self._collapse(level)

    def _collapse(self, cut):
        self._try(lambda: self.context.logic.folding.collapse(self._node, cut))
        self._showCut()
        self.context.notify("cutChanged", source=self)

    def _showCut(self):
        if self.tree.labelTree is None:
            self.level.show(None, None)
            return
        cut = self.context.logic.results.cutOf(self._node)
        if not self.tree.isFiltered:
            self.tree.showCut(node.id for node in cut.nodes)
        self.level.show(self.tree.labelTree, cut)

    def onCutChanged(self, source=None, **_data):
        """Follow a cut that another panel made."""
        if source is not self and not self._closing and self.widget.visible:
            self._showCut()

    def onTreeChanged(self, **_data):
        """Follow an edit of the tree; a panel that is not looked at does so when it is."""
        if not self._closing and self.tree.labelTree is not None and self.widget.visible:
            self._followTree()

    def onVolumesChanged(self, node=None, **_data):
        """Follow a transform that changed the volumes."""
        if node is self._node and not self._closing:
            self.volumes.count(self.context.logic, self._node, self._showVolumes)

    def onCorrected(self, node=None, text="", **_data):
        """Follow corrections: the list, volumes and certainty; say what was made of painted segments."""
        if node is self._node and not self._closing:
            self._behind = not self.widget.visible  # as while somebody paints in Segment Editor
            if not self._behind:
                self.correct.refresh()
                self.volumes.count(self.context.logic, self._node, self._showVolumes)
            # what called for it clears the message when it is done
            qt.QTimer.singleShot(0, lambda: self.message.info(text) if text else None)

    def _followTree(self):
        before, tree = self.tree.labelTree, self._try(lambda: self.context.logic.results.treeOf(self._node))
        if tree is None or before is None:
            return
        sameVoxels = structure(before) == structure(tree)
        if not sameVoxels:
            self.volumes.clear(self.volumes.soft)
            self.volumes.count(self.context.logic, self._node, self._showVolumes)
        self.tree.setTree(tree)
        self.search.repeat()
        self._showCut()
        self.maps.refresh()
        self.sureness.refresh()

    # -- one structure --------------------------------------------------------------------------------------------

    def onNodeSelected(self, *_args):
        """Show the map of the structure that was selected."""
        self.maps.select(next(iter(self.tree.selectedIds()), None))

    def onHover(self, ras):
        """Name what is at a position (RAS, mm); say what can be done where nothing is."""
        if self.tree.labelTree is None or self.widget.visible or ras is None:
            text = hoverText(self.context.logic, self._node, self.tree.labelTree, ras, self.volumes.soft)
            self.ui.hoverLabel.text = text

    def _try(self, action, default=None):
        """Return what ``action`` returns; where it fails for a reason people can mend, say so and return a default."""
        try:
            result = action()
        except SoftSegError as error:
            self.message.error(error)
            return default
        self.message.clear()
        return result
