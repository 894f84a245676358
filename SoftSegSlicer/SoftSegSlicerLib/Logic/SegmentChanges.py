"""What people do to the segments of a result in Slicer's own modules, and the tree that follows."""

import logging

from softseg.errors import SoftSegError

from ..Scene import References, SegmentChanges


class SegmentChangesLogic:
    """Lets trees follow; ResultsLogic has the rest."""

    def takeChanges(self, segmentationNode):
        """Let the tree follow names, colours and codes that people gave segments in Slicer; return whether any did."""
        tree = self.treeOf(segmentationNode)
        SegmentChanges.releaseCopies(segmentationNode, tree)
        changed = SegmentChanges.changedTree(segmentationNode, tree)
        if changed is not tree:
            self.setTree(segmentationNode, changed, self.mergedOf(segmentationNode))
        return changed is not tree

    def showWhatIsMissing(self):
        """Show results that came with a scene without their segments, as where these were saved as ``.soft.npz``."""
        scene = References.sceneOf()
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
            node = scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode")
            soft = References.referenced(node, References.PARCELLATION) is not None
            if soft and node.GetSegmentation().GetNumberOfSegments() == 0:
                self._showAgain(node)

    def _showAgain(self, segmentationNode):
        try:
            self.collapse(segmentationNode, self.cutOf(segmentationNode))
        except SoftSegError:  # a damaged one says so where people look at it
            logging.warning("%s has no segments and cannot be shown", segmentationNode.GetName(), exc_info=True)
