"""What a mask covers of a volume, wherever transforms have put both."""

import numpy as np
import slicer
import vtk

from softseg.errors import InputError
from softseg.image import Image

from . import Grids, Transforms


def imageOf(mask, volumeNode):
    """Return a mask as the engine takes it, in the own coordinates of the volume (softseg.image.Image).

    Parameters
    ----------
    mask: see :func:`insideOf`; or a scalar volume node of probabilities 0..1, whose numbers stay as they are.
    volumeNode: the volume.

    Raises
    ------
    InputError: as there, or the transform between two volumes is not linear.
    """
    isVolume = not isinstance(mask, tuple)
    if isVolume and not mask.IsA("vtkMRMLLabelMapVolumeNode"):
        data = mask.GetImageData()
        if data is None or data.GetNumberOfPoints() == 0 or data.GetNumberOfScalarComponents() != 1:
            raise InputError(f"the volume '{mask.GetName()}' is not a mask", hint="choose a volume of probabilities")
        return Image(Grids.arrayOf(data), Transforms.geometryIn(mask, volumeNode))
    return Image(insideOf(mask, volumeNode).astype(np.uint8), Grids.geometryOfVolume(volumeNode))


def insideOf(mask, volumeNode):
    """Return which voxels of a volume lie in a mask in the world: bool ``(k, j, i)``.

    Parameters
    ----------
    mask: ``(segmentation node, segment id)``, or a label map volume node, whose voxels above 0 are inside.
    volumeNode: the volume.

    Raises
    ------
    InputError: there is no such segment, or nothing of the volume lies in the mask.
    """
    node, image = _imageOf(mask)
    geometry = Grids.geometryOfVolume(volumeNode)
    reference, found = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    reference.SetExtent(*[edge for size in geometry.size for edge in (0, size - 1)])
    reference.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(geometry.affine))
    transform = Transforms.transformBetween(node, volumeNode)
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    inside = resample(image, reference, found, False, False, transform) and Grids.arrayOf(found) > 0
    if inside is False or not inside.any():
        raise InputError("the mask is empty", hint="choose a segment that covers the structure")
    return inside


def _imageOf(mask):
    """Return the node of a mask and its image in the node's own coordinates."""
    image = slicer.vtkOrientedImageData()
    if isinstance(mask, tuple):
        segmentationNode, segmentId = mask
        if segmentationNode.GetSegmentation().GetSegment(segmentId) is None:
            raise InputError(f"the segmentation has no segment '{segmentId}'", hint="choose the mask again")
        segmentationNode.GetBinaryLabelmapRepresentation(segmentId, image)
        return segmentationNode, image
    image.ShallowCopy(mask.GetImageData())
    matrix = vtk.vtkMatrix4x4()
    mask.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return mask, image
