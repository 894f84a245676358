"""Labels of the scene, slice by slice, as values of a label tree on the grid of a volume."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from softseg.errors import InputError

from ..Scene.Grids import arrayOf, arrayToMatrix
from .LabelMatching import matchSegments, matchValues

_BINARY = "Binary labelmap"
SLAB_VOXELS = 500_000
"""Voxels that are handled in one step, so that no step takes long."""


class LabelReader:
    """The labels of a node, read out slab by slab; what was read at the start stays, whatever becomes of the node.

    Parameters
    ----------
    labelsNode: vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode.
    tree: gives the values; see :mod:`SoftSegSlicerLib.Exchange.LabelMatching` for how segments are found in it.
    geometry: grid that is asked for (:class:`softseg.image.Geometry`); labels on others are taken from the nearest
        voxel.

    Raises
    ------
    InputError: a segment or label value is not in the tree, or there are no labels.
    """

    def __init__(self, labelsNode, tree, geometry):
        self._geometry = geometry
        self._layers = layersOf(labelsNode)
        if labelsNode.IsA("vtkMRMLSegmentationNode"):
            values = matchSegments(segmentNames(labelsNode), tree)
            keys = [[(label, values[segmentId]) for label, segmentId in layer.labels] for layer in self._layers]
        else:
            layer = self._layers[0]
            values = matchValues([label for label, _ in layer.labels], dict(layer.labels), tree)
            keys = [list(values.items())]
        depthOf = {tree.value_of(node.id): tree.depth_of(node.id) for node in tree.nodes}
        self._tables = [_tables(pairs, depthOf, layer) for pairs, layer in zip(keys, self._layers, strict=True)]

    def slabs(self):
        """Yield ``(labels, painted)``: whole slices ``(k, j, i)`` as uint16 tree values, and where any label lies.

        Where segments overlap, the one deeper in the tree wins: the hippocampus inside the brain.
        """
        for first, last in slabRanges(self._geometry.shape):
            reference = _emptyImage(self._geometry, first, last)
            labels = np.zeros((last - first, *self._geometry.shape[1:]), np.uint16)
            depths = np.full(labels.shape, -1, np.int16)
            for layer, (values, levels) in zip(self._layers, self._tables, strict=True):
                found = _resampled(layer.image, reference)
                level = levels[found]
                better = level > depths
                labels[better] = values[found][better]
                depths[better] = level[better]
            yield labels, depths >= 0


class Layer:
    """One label image and what its values are.

    Parameters
    ----------
    image: vtkOrientedImageData.
    labels: ``[(label value, segment id)]`` or, of a label map, ``[(label value, name)]``.
    """

    def __init__(self, image, labels):
        self.image = image
        self.labels = labels


def layersOf(labelsNode):
    """Return the label images of a segmentation or of a label map volume.

    Raises
    ------
    InputError: there are none.
    """
    if labelsNode is None:
        raise InputError("no labels are chosen", hint="choose a segmentation or a label map")
    if labelsNode.IsA("vtkMRMLSegmentationNode"):
        layers = _segmentationLayers(labelsNode)
    else:
        layers = _labelMapLayers(labelsNode)
    if not layers:
        raise InputError(f"'{labelsNode.GetName()}' holds no labels", hint="paint or import some")
    return layers


def segmentNames(segmentationNode):
    """Return the names of all segments by their ids."""
    segmentation = segmentationNode.GetSegmentation()
    ids = [segmentation.GetNthSegmentID(n) for n in range(segmentation.GetNumberOfSegments())]
    return {segmentId: segmentation.GetSegment(segmentId).GetName() for segmentId in ids}


def segmentColors(segmentationNode):
    """Return the colours of all segments, ``(red, green, blue)`` in 0..255, by their names."""
    segmentation = segmentationNode.GetSegmentation()
    segments = [segmentation.GetNthSegment(n) for n in range(segmentation.GetNumberOfSegments())]
    return {segment.GetName(): tuple(round(255 * part) for part in segment.GetColor()) for segment in segments}


def slabRanges(shape):
    """Return the ``(first, last)`` slices of the slabs of a volume ``(k, j, i)``; ``last`` is not included."""
    thick = max(1, SLAB_VOXELS // max(1, shape[1] * shape[2]))
    return [(first, min(first + thick, shape[0])) for first in range(0, shape[0], thick)]


def _segmentationLayers(segmentationNode):
    segmentation = segmentationNode.GetSegmentation()
    if segmentation.GetNumberOfSegments() and not segmentation.ContainsRepresentation(_BINARY):
        segmentationNode.CreateBinaryLabelmapRepresentation()
    members = {}
    for n in range(segmentation.GetNumberOfSegments()):
        segmentId = segmentation.GetNthSegmentID(n)
        members.setdefault(segmentation.GetLayerIndex(segmentId, _BINARY), []).append(segmentId)
    layers = []
    for index, ids in sorted(members.items()):
        image = segmentation.GetLayerDataObject(index, _BINARY)
        if image is not None and image.GetNumberOfPoints():
            layers.append(Layer(_kept(image), [(segmentation.GetSegment(one).GetLabelValue(), one) for one in ids]))
    return layers


def _labelMapLayers(volumeNode):
    data = volumeNode.GetImageData()
    if data is None:
        return []
    image = slicer.vtkOrientedImageData()
    image.ShallowCopy(data)
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    image.SetGeometryFromImageToWorldMatrix(matrix)
    colors = volumeNode.GetDisplayNode().GetColorNode() if volumeNode.GetDisplayNode() else None
    return [Layer(image, [(value, _colorName(colors, value)) for value in _present(data, volumeNode)])]


def _present(data, volumeNode):
    """Return the label values that occur, sorted."""
    scalars = numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())
    if scalars.dtype.kind not in "iu" or scalars.min(initial=0) < 0:
        raise InputError(f"'{volumeNode.GetName()}' is no label map", hint="label values are whole numbers from 0 on")
    seen = np.zeros(1 + int(scalars.max(initial=0)), bool)
    seen[scalars] = True
    return np.flatnonzero(seen).tolist()


def _colorName(colors, value):
    """Return what the colour table calls a value, the number itself where it has no name for it."""
    known = colors is not None and 0 <= value < colors.GetNumberOfColors()
    return (colors.GetColorName(value) if known else "") or str(value)


def _kept(image):
    """Return an image with the same voxels and grid that does not change when the segmentation gets new ones."""
    copy = slicer.vtkOrientedImageData()
    copy.ShallowCopy(image)
    return copy


def _tables(pairs, depthOf, layer):
    """Return look-up tables from label values of a layer to tree values, and to depths (-1: no label)."""
    highest = int(arrayOf(layer.image).max(initial=0))  # fifty times as fast as the image's GetScalarRange()
    size = 1 + max(highest, *(label for label, _ in pairs), 0)
    values, depths = np.zeros(size, np.uint16), np.full(size, -1, np.int16)
    for label, value in pairs:
        values[label], depths[label] = value, depthOf[value]
    return values, depths


def _emptyImage(geometry, first, last):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, geometry.size[0] - 1, 0, geometry.size[1] - 1, first, last - 1)
    image.SetGeometryFromImageToWorldMatrix(arrayToMatrix(geometry.affine))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return image


def _resampled(image, reference):
    """Return the label values of an image on the voxels of another, nearest voxel, 0 outside."""
    result = slicer.vtkOrientedImageData()
    if not slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage(image, reference, result):
        raise InputError("the labels could not be brought onto the grid of the volume")
    return arrayOf(result).astype(np.intp)
