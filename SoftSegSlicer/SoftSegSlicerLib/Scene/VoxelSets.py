"""Sets of voxels as people have them in the scene, on the grid of a result: segments, label maps, arrays."""

import numpy as np
import slicer
import vtk

from softseg.errors import InputError

from . import Grids, Transforms


def voxelsOf(given, geometry, segmentationNode):
    """Return flat indices of voxels of a result's grid, increasing.

    Parameters
    ----------
    given: bool ``(k, j, i)`` on the grid, flat indices into it, ``(segmentation node, segment id)``, or a label map
        node, of which everything but 0 is meant.
    geometry: the whole grid, in the own coordinates of the result.
    segmentationNode: the result.

    Raises
    ------
    InputError: an array does not fit the grid, or there is no such segment.
    """
    if isinstance(given, np.ndarray):
        return _ofArray(given, geometry)
    toResult = Transforms.transformBetween(given[0] if isinstance(given, tuple) else given, segmentationNode)
    image = _imageOf(given)
    reference = Grids.orientedImage(geometry, tuple(slice(0, size) for size in geometry.shape), vtk.VTK_UNSIGNED_CHAR)
    found = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    resample(image, reference, found, False, False, toResult)
    return np.flatnonzero(Grids.arrayOf(found))


def _ofArray(array, geometry):
    if array.dtype == bool:
        if array.shape != geometry.shape:
            raise InputError(
                f"expected voxels of shape {geometry.shape}, got {array.shape}", hint="give them on the result's grid"
            )
        return np.flatnonzero(array)
    flat = np.unique(array)
    if flat.size and not (flat[0] >= 0 and flat[-1] < np.prod(geometry.shape)):
        raise InputError(f"expected indices of {np.prod(geometry.shape)} voxels, got {flat[0]} to {flat[-1]}")
    return flat.astype(np.int64)


def _imageOf(given):
    image = slicer.vtkOrientedImageData()
    if isinstance(given, tuple):
        node, segmentId = given
        if node.GetSegmentation().GetSegment(segmentId) is None:
            raise InputError(f"'{node.GetName()}' has no segment '{segmentId}'", hint="choose one of its segments")
        node.GetBinaryLabelmapRepresentation(segmentId, image)
        return image
    image.DeepCopy(given.GetImageData())
    matrix = vtk.vtkMatrix4x4()
    given.GetIJKToRASMatrix(matrix)
    image.SetOrigin(0, 0, 0)
    image.SetSpacing(1, 1, 1)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    return image
