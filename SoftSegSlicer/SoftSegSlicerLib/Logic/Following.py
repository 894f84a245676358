"""What people do to the segments of a result in Slicer's own modules, and the tree that follows."""

from ..Scene import SegmentChanges


class FollowingLogic:
    """Lets trees follow; ResultsLogic has the rest."""

    def takeChanges(self, segmentationNode):
        """Let the tree follow names, colours and codes that people gave segments in Slicer; return whether any did."""
        tree = self.treeOf(segmentationNode)
        SegmentChanges.releaseCopies(segmentationNode, tree)
        changed = SegmentChanges.changedTree(segmentationNode, tree)
        if changed is not tree:
            self.setTree(segmentationNode, changed, self.mergedOf(segmentationNode))
        return changed is not tree
