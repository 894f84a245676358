"""Where results are in the world, read from the scene by nothing but MRML: for tests of transforms and copies."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support


def linearTransform(scene, matrix, parent=None):
    """A transform node with this matrix ``(4, 4)``, under another one."""
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "transform")
    node.SetMatrixTransformToParent(asVtk(matrix))
    if parent is not None:
        node.SetAndObserveTransformNodeID(parent.GetID())
    return node


def bentTransform(scene, shift=4.0):
    """A transform node that is not linear: a thin plate spline that moves the middle more than the corners."""
    spline = vtk.vtkThinPlateSplineTransform()
    source, target = vtk.vtkPoints(), vtk.vtkPoints()
    for x in (-40, 40):
        for y in (-40, 40):
            for z in (-40, 40):
                source.InsertNextPoint(x, y, z)
                target.InsertNextPoint(x, y, z)
    source.InsertNextPoint(0, 0, 0)
    target.InsertNextPoint(shift, -shift, shift / 2)
    spline.SetSourceLandmarks(source)
    spline.SetTargetLandmarks(target)
    spline.SetBasisToR()
    node = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    node.SetAndObserveTransformToParent(spline)
    return node


def asVtk(matrix):
    """An array ``(4, 4)`` as a vtkMatrix4x4."""
    found = vtk.vtkMatrix4x4()
    found.DeepCopy(np.asarray(matrix, float).ravel())
    return found


def asArray(matrix):
    """A vtkMatrix4x4 as an array ``(4, 4)``."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def translation(*mm):
    """The matrix that moves by so many mm."""
    matrix = np.eye(4)
    matrix[:3, 3] = mm
    return matrix


def inWorld(node, points):
    """Points ``(N, 3)`` of a node's own coordinates in the world."""
    parent = node.GetParentTransformNode()
    if parent is None:
        return points
    general = vtk.vtkGeneralTransform()
    parent.GetTransformToWorld(general)
    return np.array([general.TransformPoint(point) for point in points])


def placesOf(array, extent, matrix):
    """The positions of the voxels of an array ``(k, j, i)`` that are not 0, and their values."""
    voxels = np.argwhere(array)
    ijk = voxels[:, ::-1] + np.array(extent[::2])
    return ijk @ matrix[:3, :3].T + matrix[:3, 3], array[tuple(voxels.T)]


def arrayOf(image):
    """The voxels of an image, ``(k, j, i)``."""
    size = image.GetDimensions()
    return numpy_support.vtk_to_numpy(image.GetPointData().GetScalars()).reshape(size[::-1])


def segmentCentres(segmentationNode):
    """The world centre of every visible segment that has voxels, and how many it has: ``{id: (centre, voxels)}``."""
    found = {}
    for id_ in segmentationNode.GetDisplayNode().GetVisibleSegmentIDs():
        image = slicer.vtkOrientedImageData()
        segmentationNode.GetBinaryLabelmapRepresentation(id_, image)
        if image.GetNumberOfPoints() == 0:
            continue
        matrix = vtk.vtkMatrix4x4()
        image.GetImageToWorldMatrix(matrix)
        points, _values = placesOf(arrayOf(image) > 0, image.GetExtent(), asArray(matrix))
        if len(points):
            found[id_] = (inWorld(segmentationNode, points).mean(axis=0), len(points))
    return found


def volumeCentre(volumeNode, least=0.0):
    """The world centre of mass of the values of a volume that are above ``least``."""
    image = volumeNode.GetImageData()
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    array = arrayOf(image)
    points, values = placesOf(np.where(array > least, array, 0), image.GetExtent(), asArray(matrix))
    return np.average(inWorld(volumeNode, points), axis=0, weights=values)


def expectedCentres(parcellation, cut, matrix):
    """As :func:`segmentCentres`, of a parcellation at a cut that a matrix has moved: from numpy alone."""
    labels = parcellation.labels(cut)
    cut = parcellation.tree.cut_at(cut) if isinstance(cut, int) else cut
    found = {}
    for node in cut.nodes:
        if node.id != parcellation.tree.background.id:
            voxels = np.argwhere(labels == parcellation.tree.value_of(node.id))[:, ::-1]
            if len(voxels):
                points = voxels @ parcellation.geometry.affine[:3, :3].T + parcellation.geometry.affine[:3, 3]
                found[node.id] = ((matrix @ [*points.mean(axis=0), 1])[:3], len(voxels))
    return found


def expectedMapCentre(parcellation, nodeId, matrix, least=0.0):
    """As :func:`volumeCentre`, of the probability of a node that a matrix has moved."""
    shares = parcellation.probability(nodeId)
    voxels = np.argwhere(shares > least)
    weights = shares[tuple(voxels.T)]
    points = voxels[:, ::-1] @ parcellation.geometry.affine[:3, :3].T + parcellation.geometry.affine[:3, 3]
    return (matrix @ [*np.average(points, axis=0, weights=weights), 1])[:3]


def assertSameCentres(found, expected, mm=0.2):
    """Both have the same segments with the same voxels, their centres within 0.2 mm."""
    assert {id_: count for id_, (_, count) in found.items()} == {id_: count for id_, (_, count) in expected.items()}
    for id_, (centre, _count) in expected.items():
        np.testing.assert_allclose(found[id_][0], centre, atol=mm, err_msg=id_)


def nodesOf(scene):
    """The ids of all nodes of a scene."""
    return {scene.GetNthNode(number).GetID() for number in range(scene.GetNumberOfNodes())}
