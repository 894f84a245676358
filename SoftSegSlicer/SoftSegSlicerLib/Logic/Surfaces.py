"""Surfaces of results in the 3D views."""

from ..Scene import Surfaces
from .Results import ResultsLogic


class SurfacesLogic(ResultsLogic):
    """Surfaces of the segments that are shown; they follow when the result is folded, edited or corrected."""

    onSurfacesWanted = None
    """Called with a segmentation that has surfaces to be made; :meth:`surfaceSteps` makes them. None: made at once."""

    def showSurfaces(self, segmentationNode, on=True):
        """Show the segments of a result as surfaces in the 3D views, or stop showing them.

        Slicer's own *Show 3D* does the same, and may be used for either; it makes all surfaces in one go.
        """
        self._surfaces.show(segmentationNode, self.treeOf(segmentationNode), on)
        self._surfacesWanted(segmentationNode)

    def surfacesShown(self, segmentationNode):
        """Whether a result has surfaces."""
        return self._surfaces.areOn(segmentationNode)

    def surfaceSteps(self, segmentationNode):
        """Make the surfaces that are missing one by one, small ones first; yields ``(done, total)`` after each.

        Where the result is folded meanwhile the steps end, and there are others for what is shown then.
        """
        yield from self._surfaces.steps(segmentationNode)

    def drawSurfaces(self, segmentationNode):
        """Let the 3D views draw what :meth:`surfaceSteps` made so far."""
        Surfaces.tell(segmentationNode)

    def forget(self):
        """Let go of everything that was made or decoded, as when the scene is closed."""
        super().forget()
        self._surfaces.clear()

    def _write(self, segmentationNode, source, cut, labels):
        super()._write(segmentationNode, source, cut, labels)
        self._surfacesWanted(segmentationNode)

    def _surfacesWanted(self, segmentationNode):
        if not self._surfaces.pendingOf(segmentationNode):
            return
        if self.onSurfacesWanted is not None:
            self.onSurfacesWanted(segmentationNode)
            return
        for _step in self.surfaceSteps(segmentationNode):
            pass
        self.drawSurfaces(segmentationNode)
