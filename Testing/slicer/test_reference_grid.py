"""A result keeps its labels on its reference grid, so that Slicer need not resample 134 segments to save them."""

import numpy as np
import pytest
import slicer
import vtk
from SoftSegSlicerLib.Scene import Grids


@pytest.fixture
def volumeOn(scene):
    """Make a volume node whose voxels ``(i, j, k)`` have this affine matrix."""

    def make(affine, size):
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
        image = vtk.vtkImageData()
        image.SetDimensions(size)
        image.AllocateScalars(vtk.VTK_SHORT, 1)
        node.SetAndObserveImageData(image)
        node.SetIJKToRASMatrix(Grids.arrayToMatrix(affine))
        return node

    return make


def _turnedRound(geometry):
    """The same voxels, the last axis counted from the other end, as Slicer reads left-handed files."""
    flip = np.diag([1.0, 1.0, -1.0, 1.0])
    flip[2, 3] = geometry.size[2] - 1
    return geometry.affine @ flip


@pytest.mark.parametrize("turned", [False, True])
def test_the_labels_lie_on_the_reference_grid(logic, parcellation, grid, volumeOn, turned):
    volume = volumeOn(_turnedRound(grid) if turned else grid.affine, grid.size)
    node = logic.results.add(parcellation, volume)
    segmentation = node.GetSegmentation()
    reference = slicer.vtkOrientedImageData()
    text = segmentation.GetConversionParameter(slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName())
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(text, reference, False)
    layer = segmentation.GetNthSegment(0).GetRepresentation("Binary labelmap")
    assert slicer.vtkOrientedImageDataResample.DoGeometriesMatch(layer, reference)
    assert Grids.isOnGrid(volume, grid) is not turned
