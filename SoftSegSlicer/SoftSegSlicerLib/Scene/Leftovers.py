"""What was painted where a result has no voxels: kept as a segmentation of its own."""

import numpy as np
import slicer

from ..Translation import tr as _
from . import Export, Grids, References, Segments


def keepOutside(segmentationNode, geometry):
    """Return a new, hidden segmentation with what segments of nodes have beyond the grid of a result.

    Parameters
    ----------
    segmentationNode: the result.
    geometry: its whole grid.
    """
    name = _("{name} beyond its grid").format(name=segmentationNode.GetName())
    kept = References.addNode(References.sceneOf(segmentationNode), "vtkMRMLSegmentationNode", name)
    kept.CreateDefaultDisplayNodes()
    images, there = {}, {}
    for id_, segment in Segments.ownSegments(segmentationNode):
        image = segment.GetRepresentation(Segments.REPRESENTATION)
        if image is None or image.GetPointData().GetScalars() is None:
            continue
        key = image.GetAddressAsString("")
        if key not in images:
            images[key] = _outside(image, geometry)
            there[key] = set(np.unique(Grids.arrayOf(images[key])).tolist())
        if segment.GetLabelValue() in there[key]:
            other = slicer.vtkSegment()
            other.SetName(segment.GetName())
            other.SetColor(segment.GetColor())
            other.SetLabelValue(segment.GetLabelValue())
            other.AddRepresentation(Segments.REPRESENTATION, images[key])
            kept.GetSegmentation().AddSegment(other, id_)
    Export.sameGridAndPlace(kept, segmentationNode)
    kept.SetDisplayVisibility(False)
    return kept


def _outside(image, geometry):
    """Return a copy of an image without its voxels in a grid."""
    copy = slicer.vtkOrientedImageData()
    copy.DeepCopy(image)
    copy = Grids.onLattice(copy, geometry)
    _here, there = Grids.overlap(copy, geometry, tuple(slice(0, size) for size in geometry.shape))
    Grids.arrayOf(copy)[there] = 0
    return copy
