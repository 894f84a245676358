"""What a mask covers of a volume, wherever transforms have put both."""

import slicer
import vtk

from softseg.errors import InputError

from . import Grids, Transforms


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
