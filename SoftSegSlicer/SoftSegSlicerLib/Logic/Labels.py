"""The labels that a result shows, written into its segments."""

from ..Scene import Folding
from ..Scene.EditMemory import EditMemory


class ShownLabels:
    """Writes segments, and remembers what was written, so that an edit is noticed.

    Parameters
    ----------
    sources: ResultSources.
    surfaces: ResultSurfaces, which follow.

    Attributes
    ----------
    edits: EditMemory.
    """

    def __init__(self, sources, surfaces):
        self.edits = EditMemory()
        self._sources, self._surfaces = sources, surfaces

    def write(self, segmentationNode, source, cut, labels):
        """Let the segments of a result show labels of a source at a cut."""
        Folding.writeLayer(segmentationNode, source, cut, labels, self._surfaces.made)
        self.edits.noteWritten(segmentationNode)
        self._surfaces.makePending(segmentationNode)

    def rewrite(self, segmentationNode):
        """Show what the result says at the present cut."""
        source, cut = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
        self.write(segmentationNode, source, cut, source.labels(cut))
