"""Surfaces of results in the 3D views."""

from ..Scene import Surfaces


class ResultSurfaces:
    """Surfaces of the segments that are shown; they follow when the result is folded, edited or corrected.

    Parameters
    ----------
    sources: ResultSources.

    Attributes
    ----------
    onWanted: called with a segmentation that has surfaces to be made; :meth:`steps` makes them. None: made at once.
    made: Scene.Surfaces.Surfaces.
    """

    def __init__(self, sources):
        self.onWanted = None
        self.made = Surfaces.Surfaces()
        self._sources = sources

    def show(self, segmentationNode, on=True):
        """Show the segments of a result as surfaces in the 3D views, or stop showing them.

        Slicer's own *Show 3D* does the same, and may be used for either; it makes all surfaces in one go.
        """
        self.made.show(segmentationNode, self._sources.treeOf(segmentationNode), on)
        self.makePending(segmentationNode)

    def areShown(self, segmentationNode):
        """Whether a result has surfaces."""
        return self.made.areOn(segmentationNode)

    def pendingOf(self, segmentationNode):
        """Return the ids of segments whose surfaces are still to be made."""
        return self.made.pendingOf(segmentationNode)

    def steps(self, segmentationNode):
        """Make the surfaces that are missing one by one, small ones first; yields ``(done, total)`` after each.

        Where the result is folded meanwhile the steps end, and there are others for what is shown then.
        """
        yield from self.made.steps(segmentationNode)

    def draw(self, segmentationNode):
        """Let the 3D views draw what :meth:`steps` made so far."""
        Surfaces.tell(segmentationNode)

    def makePending(self, segmentationNode):
        """Make the surfaces that are missing, or let :attr:`onWanted` do it."""
        if not self.made.pendingOf(segmentationNode):
            return
        if self.onWanted is not None:
            self.onWanted(segmentationNode)
            return
        for _step in self.steps(segmentationNode):
            pass
        self.draw(segmentationNode)

    def forget(self):
        """Let go of everything that was made, as when the scene is closed."""
        self.made.clear()
