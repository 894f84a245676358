"""What people painted into a result: folding writes the labels anew, so it is kept as a segmentation of its own."""

import numpy as np

from . import Export, Grids, References, Segments
from .Translation import tr as _


class HandEdits:
    """Notices that segments of a result no longer show what was written into them."""

    def __init__(self):
        self._written = {}

    def noteWritten(self, segmentationNode):
        """Remember that the shared layer holds what was written, as it is now."""
        self._written[segmentationNode.GetID()] = Segments.layerOf(segmentationNode).GetMTime()

    def keep(self, segmentationNode, source, cut):
        """Return a hidden copy of the segmentation if it was changed by hand, else None.

        Parameters
        ----------
        segmentationNode: the segmentation, before it is written anew.
        source: SoftSource or CrispSource that gave its labels.
        cut: Cut that it shows.
        """
        image = Segments.layerOf(segmentationNode)
        if image is None or image.GetPointData().GetScalars() is None:
            return None
        if Segments.isShared(segmentationNode, image):
            if self._written.get(segmentationNode.GetID()) == image.GetMTime():
                return None
            if np.array_equal(_inBox(image, source, cut.tree), source.labels(cut)):
                return None
        return _copy(segmentationNode)

    def isUntouched(self, segmentationNode, source, cut):
        """Whether the shared layer shows the labels of a source as far as it reaches."""
        image = Segments.layerOf(segmentationNode)
        if image is None or not Segments.isShared(segmentationNode, image):
            return False
        here, there = Grids.overlap(image, source.geometry, source.box)
        return np.array_equal(Grids.arrayOf(image)[there], source.labels(cut)[here])

    def clear(self):
        """Forget everything, as when the scene is closed."""
        self._written.clear()


def _inBox(image, source, tree):
    """Return the labels of an image in the box of a source, ``(k, j, i)``; None where others are not empty.

    Values of segments that people added are left out: these segments stay as they are.
    """
    values = np.array([tree.value_of(node.id) for node in tree.nodes])
    array = Grids.arrayOf(image)
    known = np.zeros(int(max(values.max(), array.max())) + 1, array.dtype)
    known[values] = values
    array = known[array]
    out = np.zeros([part.stop - part.start for part in source.box], array.dtype)
    here, there = Grids.overlap(image, source.geometry, source.box)
    inside = array[there]
    if np.count_nonzero(inside) != np.count_nonzero(array):
        return None
    out[here] = inside
    return out


def _copy(segmentationNode):
    name = _("{name} edited by hand").format(name=segmentationNode.GetName())
    copy = References.addNode(References.sceneOf(segmentationNode), "vtkMRMLSegmentationNode", name)
    copy.CreateDefaultDisplayNodes()
    Export.copySegments(segmentationNode, copy)
    Export.sameGridAndPlace(copy, segmentationNode)
    copy.SetDisplayVisibility(False)
    return copy
