"""Results from their files: shown as Apply shows one, on the scan of the scene that they were made from."""

import logging
import os
import zipfile

from softseg.errors import InputError, OutOfMemoryError, SoftSegError

from ..Scene import Grids, Placement, References, SliceLayers

SUFFIX = ".soft.npz"
FILTERS = "Soft parcellation (*.soft.npz *.npz)"
_ARRAYS = {"header.npy", "counts.npy", "leaves.npy", "shares.npy"}
"""What the file of a soft parcellation holds, docs/soft-parcellation.md."""


def confidenceOf(path):
    """Return how sure it is that a file holds a result, 0..1: by its name, or, of other ``.npz``, by what they hold."""
    name = os.path.basename(path).lower()
    if name.endswith(SUFFIX):
        return 0.9
    return 0.8 if name.endswith(".npz") and _holdsResult(path) else 0.0


def _holdsResult(path):
    try:
        with zipfile.ZipFile(path) as archive:
            return _ARRAYS.issubset(archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def openResult(logic, path, name=""):
    """Return the segmentation of a result's file, with its tree, its scan where it is in the scene, and its volumes.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    path: a file of a soft parcellation.
    name: of the segmentation; by default that of the file, or of its folder where the file is called as all are.

    Raises
    ------
    InputError, OutOfMemoryError: the file is missing, is no sound soft parcellation, or does not fit into memory.
    """
    path = os.fspath(path)
    try:
        parcellation, content = logic.results.read(path)
    except MemoryError as error:
        if isinstance(error, SoftSegError):
            raise
        raise OutOfMemoryError("does not fit into memory", file=path) from error
    volumeNode = scanOf(parcellation.geometry, nameOf(path))
    node = logic.results.add(parcellation, volumeNode, name or nameOf(path), content=content)
    if name:
        node.SetName(name)
    if volumeNode is not None and not _isShown(volumeNode):
        SliceLayers.showBackground(volumeNode)
    logic.volumes.table(node)
    return node


def openResults(logic, paths):
    """Return the segmentations of several files, and the errors of those that could not be read."""
    opened = [_opened(logic, path) for path in paths]
    return [node for node in opened if not isinstance(node, Exception)], [e for e in opened if isinstance(e, Exception)]


def _opened(logic, path):
    """Return the segmentation of a file, or the error: one broken file does not keep the others out."""
    try:
        return openResult(logic, path)
    except SoftSegError as error:
        return error
    except Exception as error:
        logging.exception("reading %s", path)
        return InputError(f"cannot be read: {type(error).__name__}: {error}", file=path)


def nameOf(path):
    """Return what a result's file is about: its name, or, as the engine writes ``CASE/soft.soft.npz``, its folder's."""
    base = os.path.basename(path)
    base = base[: -len(SUFFIX)] if base.lower().endswith(SUFFIX) else os.path.splitext(base)[0]
    if base == "soft":
        base = os.path.basename(os.path.dirname(os.path.abspath(path))) or base
    return base


def scanOf(geometry, name=""):
    """Return the volume of the scene with these voxels, None where there is none.

    Of several, the one whose name is that of the result comes first, then one that is shown. Maps of results are none.

    Parameters
    ----------
    geometry: grid of the result.
    name: of the result.
    """
    scene = References.sceneOf()
    volumes = [
        scene.GetNthNodeByClass(number, "vtkMRMLScalarVolumeNode")
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode"))
    ]
    fitting = [node for node in volumes if _isScan(node) and Grids.hasVoxelsOf(node, geometry)]
    return max(fitting, key=lambda node: (node.GetName() == name, _isShown(node)), default=None)


def _isScan(node):
    return (
        not node.IsA("vtkMRMLLabelMapVolumeNode")
        and not node.GetHideFromEditors()
        and node.GetAttribute(References.SHOWN_NODE) is None
        and not any(
            each.GetNodeReference(role) is node for each in References.referencing(node) for role in Placement.FOLLOWERS
        )
    )


def _isShown(node):
    return any(each.IsA("vtkMRMLSliceCompositeNode") for each in References.referencing(node))
