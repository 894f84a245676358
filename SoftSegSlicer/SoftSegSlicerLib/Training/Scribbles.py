"""What the unpainted voxels of a case mean, as its labels look."""

from softseg.data.scribbles import looks_like_scribbles

from ..Exchange.LabelMatching import backgroundAmong
from ..Exchange.LabelReader import layersOf, segmentNames
from ..Scene.Grids import arrayOf

BACKGROUND, UNKNOWN, SCRIBBLES = "background", "unknown", "strokes"


def unpaintedOf(labels):
    """Return BACKGROUND, UNKNOWN (scribbles, also of the background) or SCRIBBLES (scribbles without a background).

    Parameters
    ----------
    labels: segmentation or label map node.
    """
    isSegmentation = labels.IsA("vtkMRMLSegmentationNode")
    if isSegmentation and backgroundAmong(segmentNames(labels).values()) is not None:
        return UNKNOWN  # nobody paints all of it
    layers = layersOf(labels)
    # every layer has to look so: one structure drawn in full says that the others are, too
    return SCRIBBLES if all(looks_like_scribbles(arrayOf(layer.image)) for layer in layers) else BACKGROUND
