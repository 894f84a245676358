"""A segmentation that Slicer itself saved is read by the engine as strokes, voxel by voxel."""

import numpy as np
import pytest
import slicer
import vtk
from SoftSegSlicerLib.Scene import Grids

from softseg.data.segments import segmentation_labels
from softseg.types import IGNORE_INDEX


@pytest.mark.parametrize("crop", [False, True])
def test_strokes_saved_by_slicer_are_those_that_were_painted(scene, addVolume, grid, tree, tmp_path, crop):
    volume = addVolume(np.zeros(grid.shape, np.int16), grid)
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "strokes")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    bare = tree.remove("background")
    expected = np.full(grid.shape, IGNORE_INDEX)
    painted = {
        "left cortex": (slice(2, 4), "left"),
        "nuclei": (slice(5, 9), "nuclei"),
        "Putamen": (slice(6, 8), "putamen"),
    }
    for name, (rows, id_) in painted.items():
        mask = np.zeros(grid.shape, np.uint8)
        mask[2:5, rows, 3:6] = 1
        expected[mask > 0] = bare.class_index(id_)
        image = Grids.orientedImage(grid, tuple(slice(0, size) for size in grid.shape), vtk.VTK_UNSIGNED_CHAR)
        Grids.arrayOf(image)[:] = mask
        segment = slicer.vtkSegment()
        segment.SetName(name)
        segment.AddRepresentation("Binary labelmap", image)
        node.GetSegmentation().AddSegment(segment)
    file = str(tmp_path / "strokes.seg.nrrd")
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(file)
    storage.SetCropToMinimumExtent(crop)
    assert storage.WriteData(node)
    warnings = []
    found = segmentation_labels(file, grid, bare, warnings.append)
    np.testing.assert_array_equal(found.array, expected)
    assert not warnings
