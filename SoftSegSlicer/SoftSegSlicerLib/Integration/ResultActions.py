"""What can be done with a result, or with one branch of it, from outside the module: the acts of context menus."""

from ..Translation import tr as _
from .SharedLogic import moduleWindow


class ResultActions:
    """Acts on one segmentation of ours; an open window of the module follows.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    segmentationNode: what is acted on.
    nodeId: a node of its tree where one segment was chosen, else None; an id that the tree lacks counts as none.
    """

    def __init__(self, logic, segmentationNode, nodeId=None):
        self._logic, self.node = logic, segmentationNode
        self._tree = logic.results.treeOf(segmentationNode)
        self.nodeId = nodeId if nodeId is not None and nodeId in self._tree else None

    @staticmethod
    def of(logic, segmentationNode, nodeId=None):
        """Return the actions for a node; None where it is no result of ours, or a damaged one."""
        try:
            return ResultActions(logic, segmentationNode, nodeId) if logic.results.isManaged(segmentationNode) else None
        except ValueError:
            return None

    # -- what there is --------------------------------------------------------------------------------------------

    def levels(self):
        """Return ``[(level, title)]`` of all levels below the root."""
        tree = self._tree
        return [
            (level, _("Level {level} ({count} structures)").format(level=level, count=len(tree.cut_at(level).nodes)))
            for level in range(1, tree.depth + 1)
        ]

    def level(self):
        """Return the level that is shown; None where branches are folded to different depths."""
        shown = {node.id for node in self._logic.results.cutOf(self.node).nodes}
        levels = range(1, self._tree.depth + 1)
        return next((n for n in levels if {node.id for node in self._tree.cut_at(n).nodes} == shown), None)

    def parentName(self):
        """Return the name of the branch that the chosen segment can be folded into; None where there is none."""
        parent = None if self.nodeId is None else self._tree.node(self.nodeId).parent
        return None if parent is None or parent == self._tree.root.id else self._tree.node(parent).name

    def canOpen(self):
        """Whether the chosen segment has parts that can be shown."""
        return self.nodeId is not None and bool(self._tree.children(self.nodeId))

    def isSoft(self):
        """Whether there are probabilities to show."""
        return self._logic.results.parcellationOf(self.node) is not None

    def isMapShown(self):
        """Whether a map of this result is shown."""
        return self._logic.maps.shown(self.node) is not None

    # -- acts -----------------------------------------------------------------------------------------------------

    def fold(self, level):
        """Fold the whole tree to a level."""
        self._collapse(level)

    def foldIntoParent(self):
        """Show the branch that the chosen segment belongs to as one."""
        parent = self._tree.node(self.nodeId).parent
        inside = {node.id for node in self._tree.branch(parent)}
        shown = [node.id for node in self._logic.results.cutOf(self.node).nodes]
        self._collapse([*(id_ for id_ in shown if id_ not in inside), parent])

    def open(self):
        """Show the parts of the chosen segment."""
        shown = [node.id for node in self._logic.results.cutOf(self.node).nodes if node.id != self.nodeId]
        self._collapse([*shown, *(child.id for child in self._tree.children(self.nodeId))])

    def showProbability(self):
        """Show the probability of the chosen segment; where none is chosen, how uncertain the labels are."""
        if self.nodeId is None:
            self._logic.maps.showUncertainty(self.node)
        else:
            self._logic.maps.show(self.node, self.nodeId)
        self._follow()

    def hideMap(self):
        """Show the labels alone again."""
        self._logic.maps.hide(self.node)
        self._follow()

    def edit(self):
        """Give Segment Editor the segments that are shown, the chosen one selected; what is painted is a correction."""
        return self._logic.corrections.prepareEditor(self.node, self.nodeId)

    def exportSegmentation(self):
        """Return a new segmentation with true segments of what is shown."""
        return self._logic.exports.segmentation(self.node)

    def exportLabelMap(self):
        """Return a new label map of what is shown."""
        return self._logic.exports.labelMap(self.node)

    def _collapse(self, cut):
        self._logic.folding.collapse(self.node, cut)
        window = moduleWindow()
        if window is not None:
            window.context.notify("cutChanged")

    def _follow(self):
        window = moduleWindow()
        if window is not None:
            window.refresh()
