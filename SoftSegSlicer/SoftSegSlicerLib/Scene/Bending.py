"""Hardening a transform on a result: a matrix moves its grid, any other transform moves its voxels one by one."""

import itertools

import numpy as np
import slicer
import vtk

from . import Contour, CorrectionsNode, Grids, Placement, References, Transforms
from .ParcellationNode import ParcellationStore

_POINTS = 9  # along each axis of the grid: how far a transform moves it is looked up at these
_SPARE = 0.1  # part of the size that is added on each side, for what lies between the points


def harden(segmentationNode, transform):
    """Let a result follow its segments, after Slicer hardened a transform on them.

    Where the transform is not linear every voxel takes what the nearest voxel had before, as Slicer moves labels:
    shares stay as they are, and so do labels at any cut.

    Parameters
    ----------
    segmentationNode: the segmentation.
    transform: vtkAbstractTransform from its coordinates before to those it has now.

    Returns
    -------
    whether voxels were moved one by one.

    Raises
    ------
    InputError: what the scene holds of the result is damaged.
    """
    matrix = Transforms.matrixOf(transform)
    if matrix is not None:
        Placement.move(segmentationNode, matrix)
        return False
    store = ParcellationStore()
    stored, kept = store.read(segmentationNode), References.referenced(segmentationNode, References.LEAF_LABELS)
    if stored is None and kept is None:
        return False
    if stored is not None:
        before = stored.geometry
    else:
        before = Placement.geometryOf(segmentationNode, Grids.geometryOfVolume(kept))
    reached = reach(before, transform)
    source, after = _cropped(sourceVoxels(before, transform, reached), reached)
    if stored is not None:
        store.write(segmentationNode, stored.gathered(source, after))
    CorrectionsNode.gather(segmentationNode, source)
    if kept is not None:
        _gather(kept, Grids.arrayOf(kept.GetImageData()), source, after)
    for role in Placement.FOLLOWERS:
        volumeNode = References.referenced(segmentationNode, role)
        if volumeNode is not None:
            _gather(volumeNode, Placement.gridArray(volumeNode), source, after)
            volumeNode.RemoveAttribute(References.TURN)
            Contour.update(volumeNode, References.referenced(volumeNode, References.CONTOUR) is not None)
    # volumes changed, and not alike everywhere: what was known about their spread is no longer true
    References.removeReferenced(segmentationNode, References.INTERVALS)
    Placement.begin(segmentationNode, after)
    return True


def sourceVoxels(geometry, transform, onto):
    """Return which voxel of a grid comes to lie where, when a transform moves them.

    Parameters
    ----------
    geometry: the grid.
    transform: vtkAbstractTransform, RAS mm, from where voxels are to where they come.
    onto: grid on which they are looked for.

    Returns
    -------
    int32 ``(k, j, i)`` on ``onto``: number of the nearest voxel in C order, -1 where none comes.
    """
    image = Grids.orientedImage(geometry, tuple(slice(0, size) for size in geometry.shape), vtk.VTK_INT)
    numbers = Grids.arrayOf(image)
    numbers[:] = np.arange(1, numbers.size + 1, dtype=np.int32).reshape(numbers.shape)
    reference = slicer.vtkOrientedImageData()
    reference.SetExtent(*[edge for size in onto.size for edge in (0, size - 1)])
    reference.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(onto.affine))
    found = slicer.vtkOrientedImageData()
    resample = slicer.vtkOrientedImageDataResample.ResampleOrientedImageToReferenceOrientedImage
    resample(image, reference, found, False, False, transform)
    return Grids.arrayOf(found) - 1


def reach(geometry, transform):
    """Return a box of the lattice of a grid that holds the grid after a transform, with room to spare."""
    places = itertools.product(*(np.linspace(-0.5, size - 0.5, _POINTS) for size in geometry.size))
    toLattice = np.linalg.inv(geometry.affine)
    moved = []
    for place in places:
        point = transform.TransformPoint((geometry.affine @ [*place, 1.0])[:3])
        moved.append((toLattice @ [*point, 1.0])[:3])
    spare = 2 + _SPARE * np.array(geometry.size)
    first = np.floor(np.min(moved, axis=0) - spare).astype(int)
    last = np.ceil(np.max(moved, axis=0) + spare).astype(int)
    return _box(geometry, first, last)


def taken(array, source):
    """Return the voxels of an array ``(k, j, i)`` that :func:`sourceVoxels` names; 0 where none comes."""
    return np.where(source >= 0, array.reshape(-1)[np.maximum(source, 0)], 0).astype(array.dtype)


def _cropped(source, geometry):
    """Return the smallest box of a grid in which voxels come to lie, and these."""
    edges = []
    for axis in range(3):
        hit = np.flatnonzero((source >= 0).any(axis=tuple(other for other in range(3) if other != axis)))
        edges.append((int(hit[0]), int(hit[-1])) if hit.size else (0, 0))
    box = tuple(slice(first, last + 1) for first, last in edges)
    return source[box], _box(geometry, *zip(*edges[::-1], strict=True))


def _box(geometry, first, last):
    """Return the grid from one voxel ``(i, j, k)`` of a lattice to another, both included."""
    corner = geometry.affine.copy()
    corner[:3, 3] += corner[:3, :3] @ np.asarray(first)
    return Grids.geometryOf(corner, np.asarray(last) - np.asarray(first) + 1)


def _gather(volumeNode, array, source, after):
    Grids.setArray(volumeNode, taken(array, source), after, volumeNode.GetImageData().GetScalarType())
