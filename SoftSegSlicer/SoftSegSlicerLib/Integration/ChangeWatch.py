"""Tells the panels when people rename or recolour a segment of a result in Slicer's own modules."""

import qt
import slicer

from softseg.errors import SoftSegError

from ..Scene import References


class ChangeWatch:
    """Looks after segments changed, when the work that changed them is done.

    Parameters
    ----------
    context: what the panels share.
    """

    def __init__(self, context):
        self._context = context
        self._watched, self._waiting = {}, set()
        scene = slicer.mrmlScene
        self._tags = [scene.AddObserver(event, self._onNodes) for event in (scene.NodeAddedEvent, scene.EndImportEvent)]
        self._scene = scene
        self._onNodes()

    def cleanup(self):
        """Watch no longer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        for node, tags in self._watched.values():
            for tag in tags:
                node.RemoveObserver(tag)
        self._tags, self._watched, self._waiting = [], {}, set()

    def _onNodes(self, *_arguments):
        for number in range(self._scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
            node = self._scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode")
            known = self._watched.get(node.GetID())
            if known is None or known[0] is not node:
                events = (slicer.vtkSegmentation.SegmentModified, slicer.vtkSegmentation.SegmentAdded)
                tags = [node.AddObserver(event, self._calling(node.GetID())) for event in events]
                self._watched[node.GetID()] = (node, tags)

    def _calling(self, id_):
        def call(*_arguments):
            if id_ not in self._waiting:
                self._waiting.add(id_)
                qt.QTimer.singleShot(0, lambda: self._look(id_))

        return call

    def _look(self, id_):
        if id_ not in self._waiting:
            return
        self._waiting.discard(id_)
        node, logic = self._scene.GetNodeByID(id_), self._context.logic
        if node is None or References.referenced(node, References.TREE) is None:
            return
        try:
            changed = logic.folding.takeChanges(node)
        except SoftSegError:  # damaged: whoever looks at it says so
            return
        if changed and self._context.parameterNode is not None:
            self._context.notify("treeChanged")
