"""Where a result is: the one place that knows its grid, its transforms, and what has to lie on it.

The grid of a result is kept with its segmentation, in the segmentation's own coordinates. Slicer moves the segments
when a transform is hardened and tells nobody by how much; that shows in the reference grid of the segmentation, which
Slicer moves with them.
"""

import json

import numpy as np
import slicer
import vtk

from . import Contour, Grids, References, Stored, Transforms

SAME = 1e-4
"""Elements of two matrices that differ by less are the same."""
FOLLOWERS = (
    References.HEAT_MAP,
    References.ENTROPY,
    References.OUTLIER_SCORE,
    References.DISAGREEMENT,
    References.MASK,
    References.OUTLIERS,
)
"""Volumes that lie on the grid of a result, under its transform."""


# -- the grid ---------------------------------------------------------------------------------------------------------


def begin(segmentationNode, geometry):
    """Say on which grid the result of a segmentation lies, in the segmentation's own coordinates."""
    if not referenceText(segmentationNode):
        setReferenceGeometry(segmentationNode, geometry)  # else Slicer forgets what it hardened
    _write(segmentationNode, geometry.affine, geometry.affine)


def geometryOf(segmentationNode, stored):
    """Return the grid on which a result lies now.

    Parameters
    ----------
    segmentationNode: the segmentation.
    stored: the grid it was stored with; it is right until a transform is hardened.
    """
    if not isMoved(segmentationNode):
        return stored
    moved = _matrixOf(segmentationNode) @ np.linalg.inv(_matrixOf(segmentationNode, "stored"))
    return Grids.geometryOf(moved @ stored.affine, stored.size)


def placeText(segmentationNode):
    """Return a text that is another one when the grid of a result has moved."""
    return segmentationNode.GetAttribute(References.GRID) or ""


def growth(segmentationNode):
    """Return how many times larger a result became, in volume, by the transforms that were hardened."""
    if not segmentationNode.GetAttribute(References.GRID):
        return 1.0
    voxel, stored = (_matrixOf(segmentationNode, name)[:3, :3] for name in ("matrix", "stored"))
    return float(abs(np.linalg.det(voxel) / np.linalg.det(stored)))


def worldGrowth(segmentationNode):
    """Return how many times larger a result is in the world than in its own coordinates; None: not the same all over.

    None stands for a parent transform that is not linear.
    """
    matrix = Transforms.toWorld(segmentationNode)
    return None if matrix is None else abs(float(np.linalg.det(matrix[:3, :3])))


def move(segmentationNode, matrix):
    """Note that the segments were moved by a matrix ``(4, 4)`` in the segmentation's own coordinates (RAS mm)."""
    before = _matrixOf(segmentationNode)
    if before is not None:
        _write(segmentationNode, matrix @ before, _matrixOf(segmentationNode, "stored"))


def isMoved(segmentationNode):
    """Whether a result was moved since it was stored, so that the stored file says another place."""
    now, stored = _matrixOf(segmentationNode), _matrixOf(segmentationNode, "stored")
    return now is not None and bool(np.abs(now - stored).max() > SAME)


def require(segmentationNode, stored, layer, box):
    """Begin where no grid is kept yet, as in a scene of an earlier version: there the segments say where they are.

    Parameters
    ----------
    segmentationNode: the segmentation.
    stored: the grid that the result was stored with.
    layer: vtkOrientedImageData of its segments, None where it has none.
    box: slices ``(k, j, i)`` of the grid that the layer covers if nobody changed it.
    """
    if segmentationNode.GetAttribute(References.GRID):
        return
    begin(segmentationNode, stored)
    if layer is None or Grids.boxOf(layer) != tuple(box):
        return
    matrix = Grids.imageToRas(layer)
    if not _isTurnedRound(np.linalg.inv(stored.affine) @ matrix, stored.size):
        move(segmentationNode, matrix @ np.linalg.inv(stored.affine))


def _gridOf(segmentationNode):
    """Return what is kept of the grid: ``matrix``, ``stored`` and ``reference``; None where nothing is.

    Raises
    ------
    InputError: it is damaged.
    """
    return Stored.required(segmentationNode, References.GRID, _isGrid)


def _isGrid(value):
    if not isinstance(value, dict) or not isinstance(value.get("reference"), str):
        return False
    return all(Stored.isMatrix(value.get(name)) for name in ("matrix", "stored"))


def _matrixOf(segmentationNode, name="matrix"):
    content = _gridOf(segmentationNode)
    return None if content is None else np.reshape(content[name], (4, 4))


def _write(segmentationNode, matrix, stored):
    content = {"matrix": matrix.ravel().tolist(), "stored": stored.ravel().tolist()}
    content["reference"] = referenceText(segmentationNode)
    segmentationNode.SetAttribute(References.GRID, json.dumps(content))


# -- the reference grid, which shows what was hardened ----------------------------------------------------------------


def setReferenceGeometry(segmentationNode, geometry):
    """Let the segmentation's reference grid be ``geometry``, where its volume has another one, or is not there."""
    i, j, k = geometry.size
    image = slicer.vtkOrientedImageData()
    image.SetExtent(0, i - 1, 0, j - 1, 0, k - 1)
    image.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(geometry.affine))
    text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
    segmentationNode.GetSegmentation().SetConversionParameter(referenceGeometryName(), text)


def referenceGeometryName():
    """Return the name under which a segmentation keeps its reference grid."""
    return slicer.vtkSegmentationConverter.GetReferenceImageGeometryParameterName()


def referenceText(segmentationNode):
    """Return the reference grid of a segmentation as Slicer writes it; empty where it has none."""
    return segmentationNode.GetSegmentation().GetConversionParameter(referenceGeometryName()) or ""


def knownReference(segmentationNode):
    """Return the reference grid that belongs to the grid that is known."""
    content = _gridOf(segmentationNode)
    return "" if content is None else content["reference"]


def noteReference(segmentationNode):
    """Note that the segmentation was given another reference grid; it moved nothing."""
    content = _gridOf(segmentationNode)
    if content is not None and content["reference"] != referenceText(segmentationNode):
        content["reference"] = referenceText(segmentationNode)
        segmentationNode.SetAttribute(References.GRID, json.dumps(content))


def wasHardened(segmentationNode, transform):
    """Whether the reference grid is what hardening a transform makes of the one that is known.

    Parameters
    ----------
    segmentationNode: the segmentation.
    transform: vtkAbstractTransform from its own coordinates to those it has now.
    """
    before, now = knownReference(segmentationNode), referenceText(segmentationNode)
    if not before or before == now:
        return False
    image = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(before, image, False)
    slicer.vtkOrientedImageDataResample.TransformOrientedImage(image, transform, True)
    found = slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(now, found, False)
    return _alike(image, found)


def _alike(image, other):
    same = np.abs(Grids.imageToRas(image) - Grids.imageToRas(other)).max() < SAME
    return bool(same) and image.GetExtent() == other.GetExtent()


def settle(segmentationNode, layer):
    """Find out whether segments were moved without a word, as by ``ApplyTransform``, and note it.

    Parameters
    ----------
    segmentationNode: the segmentation.
    layer: vtkOrientedImageData of its segments, None where it has none.
    """
    before, now = knownReference(segmentationNode), referenceText(segmentationNode)
    if layer is None or not now or before == now:
        return
    if not before:
        noteReference(segmentationNode)
        return
    was, found = slicer.vtkOrientedImageData(), slicer.vtkOrientedImageData()
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(before, was, False)
    slicer.vtkSegmentationConverter.DeserializeImageGeometry(now, found, False)
    matrix = Grids.imageToRas(found) @ np.linalg.inv(Grids.imageToRas(was))
    moved = matrix @ _matrixOf(segmentationNode)
    if was.GetExtent() == found.GetExtent() and np.abs(Grids.imageToRas(layer) - moved).max() < SAME:
        move(segmentationNode, matrix)
    else:
        noteReference(segmentationNode)


# -- what lies on it --------------------------------------------------------------------------------------------------


def follow(segmentationNode):
    """Put everything that shows a result where the result is: under its transform, on its grid."""
    matrix = _matrixOf(segmentationNode)
    for role in FOLLOWERS:
        volumeNode = References.referenced(segmentationNode, role)
        if volumeNode is None:
            continue
        _under(volumeNode, segmentationNode)
        wanted = None if matrix is None else matrix @ _turnOf(volumeNode)
        moved = wanted is not None and np.abs(_volumeMatrix(volumeNode) - wanted).max() > SAME
        if moved:
            volumeNode.SetIJKToRASMatrix(Grids.arrayToMatrix(wanted))
        contour = References.referenced(volumeNode, References.CONTOUR)
        if contour is not None:
            _under(contour, segmentationNode)
            if moved:
                Contour.update(volumeNode, True)


def noteTurn(segmentationNode, volumeNode):
    """Note along which axes a volume on the grid of a result counts its voxels from the other end.

    Slicer turns volumes round when it reads them from files that are left-handed.
    """
    matrix, image = _matrixOf(segmentationNode), volumeNode.GetImageData()
    if matrix is None or image is None:
        return
    turn = np.linalg.inv(matrix) @ _volumeMatrix(volumeNode)
    if np.allclose(turn, np.eye(4), atol=1e-2):
        volumeNode.RemoveAttribute(References.TURN)
    elif _isTurnedRound(turn, image.GetDimensions()):
        volumeNode.SetAttribute(References.TURN, json.dumps(np.rint(turn).ravel().tolist()))


def noteTurns(segmentationNode):
    """Do so for all volumes of a result, as after it was read from files."""
    for role in FOLLOWERS:
        volumeNode = References.referenced(segmentationNode, role)
        if volumeNode is not None:
            noteTurn(segmentationNode, volumeNode)


def gridArray(volumeNode):
    """Return the voxels ``(k, j, i)`` of a volume on the grid of a result, counted as the grid counts them."""
    signs = np.diag(_turnOf(volumeNode))[2::-1]
    return Grids.arrayOf(volumeNode.GetImageData())[tuple(slice(None, None, -1 if s < 0 else None) for s in signs)]


def _turnOf(volumeNode):
    turn = Stored.required(volumeNode, References.TURN, Stored.isMatrix)
    return np.eye(4) if turn is None else np.reshape(turn, (4, 4))


def _isTurnedRound(turn, size):
    """Whether a matrix from one voxel number to another only counts some axes from the other end, or none."""
    signs = np.diag(turn)[:3]
    ends = np.where(signs < 0, np.asarray(size) - 1, 0)
    expected = np.diag([*np.sign(signs), 1.0])
    expected[:3, 3] = ends
    return np.allclose(turn, expected, atol=1e-2)


def _under(node, segmentationNode):
    if node.GetTransformNodeID() != segmentationNode.GetTransformNodeID():
        node.SetAndObserveTransformNodeID(segmentationNode.GetTransformNodeID())


def _volumeMatrix(volumeNode):
    matrix = vtk.vtkMatrix4x4()
    volumeNode.GetIJKToRASMatrix(matrix)
    return Grids.matrixToArray(matrix)
