"""Labels of the scene, slice by slice, as values of a label tree on the grid of a volume."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from softseg.errors import InputError
from softseg.tree.labels import farthest_from_whole, nearly_whole
from softseg.tree.overlaps import Overlaps
from softseg.types import IGNORE_INDEX

from ..Scene.Grids import arrayOf, arrayToMatrix
from .LabelItems import FIRST, OVERLAPS, contradiction, isSure, matchLabels

_BINARY = "Binary labelmap"
SLAB_VOXELS = 500_000
"""Voxels that are handled in one step, so that no step takes long."""


class LabelReader:
    """The labels of a node, read out slab by slab; what was read at the start stays, whatever becomes of the node.

    Parameters
    ----------
    labelsNode: vtkMRMLSegmentationNode or vtkMRMLLabelMapVolumeNode.
    tree: gives the values; see :mod:`softseg.tree.matching` for how segments are found in it.
    geometry: grid that is asked for (:class:`softseg.image.Geometry`); labels on others are taken from the nearest
        voxel.
    mapping: which node each segment or label is, where that is not clear (:func:`Exchange.LabelMatching.chosenOf`).
    overlaps: REFUSE, or FIRST: voxels of segments that contradict each other are those of the first.
    transform: vtkAbstractTransform from the node's own coordinates to those of ``geometry``; None: they are the same.

    Attributes
    ----------
    matching: what was found (:class:`softseg.tree.matching.Matching`).

    Raises
    ------
    InputError: a segment or label value is not in the tree, or there are no labels.
    """

    def __init__(self, labelsNode, tree, geometry, mapping=None, overlaps=OVERLAPS[0], transform=None):
        self._node, self._geometry, self._first = labelsNode, geometry, overlaps == FIRST
        self._transform = transform
        self._layers = layersOf(labelsNode)
        self.matching = matchLabels(labelsNode, self._layers, tree, mapping)
        self.matching.require("rename them, choose their tree, or map each one to a node")
        self._tree, self._overlaps = self.matching.tree, None
        self._tables = classTables(self._layers, self.matching)

    @property
    def said(self):
        """What people should know of how the labels were read; empty where there is nothing."""
        byValue = "" if isSure(self._node, self.matching) else self.matching.note()
        overlapping = "" if self._overlaps is None else self._overlaps.note()
        rounded = [layer.said for layer in self._layers]
        return "; ".join(text for text in (*rounded, byValue, overlapping) if text)

    def slabs(self):
        """Yield ``(labels, painted)``: whole slices ``(k, j, i)`` as uint16 tree values, and where any label lies.

        Where segments overlap, the one deeper in the tree wins: the hippocampus inside the brain.

        Raises
        ------
        ContradictionError: at the end, where voxels lie in segments that contradict each other and REFUSE holds.
        """
        self._overlaps = Overlaps(self._tree, orderOf(self.matching))
        values = [self._tree.to_values(table) for table in self._tables]
        for first, last in slabRanges(self._geometry.shape):
            reference = _emptyImage(self._geometry, first, last)
            found = [_resampled(layer.image, reference, self._transform) for layer in self._layers]
            if len(found) == 1:  # nothing can overlap
                yield values[0][found[0]], (self._tables[0] != IGNORE_INDEX)[found[0]]
                continue
            labels = np.full(found[0].shape, IGNORE_INDEX, np.int16)
            for part, table in zip(found, self._tables, strict=True):
                self._overlaps.add(labels, table[part])
            yield self._tree.to_values(labels), labels != IGNORE_INDEX
        if self._overlaps.contradictions and not self._first:
            raise contradiction(self._overlaps, self._node)


class Layer:
    """One label image and what its values are.

    Parameters
    ----------
    image: vtkOrientedImageData.
    labels: ``[(label value, segment id)]`` or, of a label map, ``[(label value, name)]``.
    said: what people should know of how the values were read.
    """

    def __init__(self, image, labels, said=""):
        self.image = image
        self.labels = labels
        self.said = said


def layersOf(labelsNode):
    """Return the label images of a segmentation or of a label map volume; segments without voxels are left out.

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
            there = _valuesIn(arrayOf(image))
            labels = [(segmentation.GetSegment(one).GetLabelValue(), one) for one in ids]
            layers.append(Layer(_kept(image), [(value, one) for value, one in labels if value in there]))
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
    said = _roundedScalars(image, volumeNode)
    return [Layer(image, [(value, _colorName(colors, value)) for value in _present(image, volumeNode)], said)]


def _roundedScalars(image, volumeNode):
    """Make label values that are whole but for a rounding step integers; return what was done."""
    found = arrayOf(image)
    if found.dtype.kind != "f":
        return ""
    rounded = nearly_whole(found) if np.isfinite(found).all() else None
    if rounded is None:
        raise InputError(
            f"'{volumeNode.GetName()}' is no label map: {farthest_from_whole(np.nan_to_num(found, nan=0.5))}",
            hint="label values are whole numbers from 0 on",
        )
    image.GetPointData().SetScalars(numpy_support.numpy_to_vtk(rounded.values.ravel(), deep=True))
    return f"'{volumeNode.GetName()}': {rounded.note}" if rounded.note else ""


def _present(data, volumeNode):
    """Return the label values that occur, sorted."""
    scalars = numpy_support.vtk_to_numpy(data.GetPointData().GetScalars())
    if scalars.dtype.kind not in "iu" or scalars.min(initial=0) < 0:
        raise InputError(f"'{volumeNode.GetName()}' is no label map", hint="label values are whole numbers from 0 on")
    return _valuesIn(scalars.reshape(max(1, data.GetDimensions()[2]), -1))


def _valuesIn(array):
    """Return the label values that occur in an array, sorted; slice by slice, so that little memory is needed."""
    seen = np.zeros(1 + int(array.max(initial=0)), bool)
    for part in array:
        seen[part] = True
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


def classTables(layers, matching):
    """Return for each layer a table from its label values to class indices of the matching's tree (-1: no label)."""
    classes = {key: matching.tree.class_index(node.id) for key, node in matching.nodes.items()}
    tables = []
    for layer in layers:
        highest = int(arrayOf(layer.image).max(initial=0))  # fifty times as fast as the image's GetScalarRange()
        table = np.full(1 + max(highest, *(value for value, _ in layer.labels), 0), IGNORE_INDEX, np.int16)
        for value, key in layer.labels:
            table[value] = classes.get(key, classes.get(value, IGNORE_INDEX))
        tables.append(table)
    return tables


def orderOf(matching):
    """Return the ids of the nodes in the order of their segments."""
    return [match.node.id for match in matching.matches if match.node is not None]


def _emptyImage(geometry, first, last):
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, geometry.size[0] - 1, 0, geometry.size[1] - 1, first, last - 1)
    image.SetGeometryFromImageToWorldMatrix(arrayToMatrix(geometry.affine))
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    return image


def _resampled(image, reference, transform):
    """Return the label values of an image on the voxels of another, nearest voxel, 0 outside."""
    result = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    if not resample(image, reference, result, False, False, transform):
        raise InputError("the labels could not be brought onto the grid of the volume")
    return arrayOf(result).astype(np.intp)
