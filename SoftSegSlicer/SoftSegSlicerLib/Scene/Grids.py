"""Voxel grids: the engine's (LPS) and those of volume nodes and oriented images (RAS)."""

import numpy as np
import slicer
import vtk
from vtk.util import numpy_support

from softseg.image import Geometry

_FLIP = np.diag([-1.0, -1.0, 1.0, 1.0])
_ALIGNED = 1e-3  # of a voxel


def matrixToArray(matrix):
    """Return a vtkMatrix4x4 as an array ``(4, 4)``."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def arrayToMatrix(array):
    """Return an array ``(4, 4)`` as a vtkMatrix4x4."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, float).ravel())
    return matrix


def geometryOf(ijkToRas, size):
    """Return the engine's grid.

    Parameters
    ----------
    ijkToRas: array ``(4, 4)`` from ``(i, j, k, 1)`` to RAS mm.
    size: voxels along ``(i, j, k)``.
    """
    lps = _FLIP @ np.asarray(ijkToRas, float)
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    direction = lps[:3, :3] / spacing
    return Geometry(
        tuple(int(n) for n in size),
        tuple(float(mm) for mm in spacing),
        tuple(float(mm) for mm in lps[:3, 3]),
        tuple(float(n) for n in direction.ravel()),
    )


def geometryOfVolume(volumeNode):
    """Return the grid of a scalar or label map volume node, in its own coordinates (without parent transforms)."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return geometryOf(matrixToArray(matrix), volumeNode.GetImageData().GetDimensions())


def isOnGrid(volumeNode, geometry):
    """Return whether the voxels of a volume node lie on a grid, axis by axis: Slicer turns left-handed files round."""
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return np.allclose(matrixToArray(matrix), geometry.affine, atol=1e-4)


def hasVoxelsOf(volumeNode, geometry):
    """Return whether the voxels of a volume node are those of a grid, whatever end each axis is counted from."""
    image = volumeNode.GetImageData()
    if image is None or image.GetDimensions() != tuple(geometry.size):
        return False
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    turn = np.linalg.inv(geometry.affine) @ matrixToArray(matrix)
    last = np.asarray(geometry.size) - 1
    ends = np.sort(turn[:3] @ np.array([[0, 0, 0, 1], [*last, 1]]).T, axis=1)
    return bool(
        np.allclose(np.abs(turn[:3, :3]), np.eye(3), atol=1e-2) and np.allclose(ends.T, [last * 0, last], atol=0.1)
    )


def orientedImage(geometry, box, scalarType):
    """Return a vtkOrientedImageData of zeros that covers a box of a grid.

    Parameters
    ----------
    geometry: the whole grid.
    box: slices ``(k, j, i)`` of the part that is held.
    scalarType: VTK's number of the scalar type.
    """
    image = slicer.vtkOrientedImageData()
    allocate(image, box, scalarType)
    image.SetGeometryFromImageToWorldMatrix(arrayToMatrix(geometry.affine))
    return image


def allocate(image, box, scalarType):
    """Give an image the extent of a box (slices ``(k, j, i)``) and zeros as voxels."""
    k, j, i = box
    image.SetExtent(i.start, i.stop - 1, j.start, j.stop - 1, k.start, k.stop - 1)
    image.AllocateScalars(scalarType, 1)
    image.GetPointData().GetScalars().Fill(0)


def imageToRas(image):
    """Return the matrix of a vtkOrientedImageData from ``(i, j, k, 1)`` to RAS mm as an array ``(4, 4)``."""
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return matrixToArray(matrix)


def arrayOf(image):
    """Return the voxels of an image as an array ``(k, j, i)`` that shares its memory."""
    size = image.GetDimensions()
    scalars = image.GetPointData().GetScalars()
    return numpy_support.vtk_to_numpy(scalars).reshape(size[2], size[1], size[0])


def boxOf(image):
    """Return the extent of an image as slices ``(k, j, i)``."""
    i0, i1, j0, j1, k0, k1 = image.GetExtent()
    return slice(k0, k1 + 1), slice(j0, j1 + 1), slice(i0, i1 + 1)


def overlap(image, geometry, box):
    """Return where an image and a box of a grid cover the same voxels, whatever corner each counts them from.

    Parameters
    ----------
    image: vtkOrientedImageData on the lattice of the grid.
    geometry: the grid.
    box: slices ``(k, j, i)`` of the grid.

    Returns
    -------
    slices ``(k, j, i)`` into an array of the box, and into the array of the image; empty ones where nothing is common.
    """
    toGrid = np.linalg.inv(geometry.affine) @ imageToRas(image)
    shift = np.rint(toGrid[:3, 3]).astype(int)[::-1]
    here, there = [], []
    for own, by, part in zip(boxOf(image), shift, box, strict=True):
        first = own.start + int(by)
        low, high = max(first, part.start), min(own.stop + int(by), part.stop)
        here.append(slice(low - part.start, max(low, high) - part.start))
        there.append(slice(low - first, max(low, high) - first))
    return tuple(here), tuple(there)


def onLattice(image, geometry):
    """Return an image, or where its voxels are not those of the grid, the same labels on voxels of the grid."""
    shift = np.linalg.inv(geometry.affine) @ imageToRas(image)
    if np.allclose(shift[:3, :3], np.eye(3), atol=_ALIGNED) and np.allclose(
        shift[:3, 3], np.rint(shift[:3, 3]), atol=_ALIGNED * max(geometry.size)
    ):
        return image
    whole = tuple(slice(0, size) for size in geometry.shape)
    reference = orientedImage(geometry, whole, vtk.VTK_UNSIGNED_CHAR)
    out = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    resample(image, reference, out, False, True)
    return out


def reachOf(image, geometry, grid):
    """Return the slices ``(k, j, i)`` of a grid that an image on its lattice covers, None where it covers none.

    Parameters
    ----------
    image, geometry: as for :func:`overlap`.
    grid: slices ``(k, j, i)`` of the whole grid.
    """
    here, _there = overlap(image, geometry, grid)
    return here if all(part.stop > part.start for part in here) else None


def setArray(volumeNode, array, geometry, scalarType):
    """Put voxels into a volume node; its image is used again where size and type fit.

    Parameters
    ----------
    volumeNode: a scalar or label map volume node.
    array: ``(k, j, i)`` on ``geometry``; may be what :func:`arrayFor` returned.
    geometry: the grid.
    scalarType: VTK's number of the scalar type.
    """
    image = volumeNode.GetImageData()
    if arrayFor(volumeNode, geometry, scalarType) is None:
        image = vtk.vtkImageData()
        image.SetDimensions(geometry.size)
        image.AllocateScalars(scalarType, 1)
        arrayOf(image)[:] = array
        volumeNode.SetAndObserveImageData(image)
    else:
        own = arrayOf(image)
        if not np.may_share_memory(own, array):
            own[:] = array
        image.GetPointData().GetScalars().Modified()
        image.Modified()
    volumeNode.SetIJKToRASMatrix(arrayToMatrix(geometry.affine))


def arrayFor(volumeNode, geometry, scalarType):
    """Return the voxels that :func:`setArray` would use again, to be written in place; None where it would not."""
    image = None if volumeNode is None else volumeNode.GetImageData()
    if image is None or image.GetDimensions() != geometry.size or image.GetScalarType() != scalarType:
        return None
    return arrayOf(image)


def setColors(volumeNode, array, geometry):
    """Put colours into a vector volume node: uint8 ``(k, j, i, 3)`` on a grid."""
    image = vtk.vtkImageData()
    image.SetDimensions(geometry.size)
    image.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, array.shape[-1])
    scalars = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
    scalars[:] = array.reshape(-1, array.shape[-1])
    volumeNode.SetAndObserveImageData(image)
    volumeNode.SetIJKToRASMatrix(arrayToMatrix(geometry.affine))
