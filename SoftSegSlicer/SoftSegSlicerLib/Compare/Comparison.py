"""A result and a reference of the scene on their way to ``softseg evaluate``."""

import base64
import os
import shutil

import numpy as np
import slicer
import vtk

from softseg.errors import InputError
from softseg.requests import EvaluateRequest, file_names

from ..Exchange.LabelItems import REFUSE
from ..Exchange.LabelReader import LabelReader, layersOf, slabRanges
from ..Exchange.NrrdWriter import NrrdWriter, plainErrors
from ..Scene import LabelSource, Placement, References, Transforms, World
from ..Scene.Grids import arrayOf, boxOf, geometryOf, geometryOfVolume, matrixToArray
from ..Scene.ParcellationNode import ParcellationStore
from . import ModelAnswer
from .ComparisonTables import TABLES, ComparisonTables
from .CorrectedTables import CorrectedTables
from .ModelAnswer import MODEL

_OWN_FILES = ("model", "reference", "scan", "tree")
"""Names, without endings, of what else is written."""


class Comparison:
    """Files for one comparison, written in small steps by :meth:`write`.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    resultNode: what is judged: a result of ours, any segmentation, or a label map volume.
    referenceNode: what it is judged by: a segmentation or a label map volume. Other label values than the tree's are
        found by the names of segments or colours; another grid is resampled, nearest voxel. Both are judged where they
        are in the world, whatever transforms they lie under. :data:`.ModelAnswer.MODEL`: a corrected result is judged
        by what it was before anybody corrected it.
    tree: what is judged; None for that of the result.
    folder: for files, tables and report; made when missing.
    mapping: which node a segment or label of the reference is, where that is open or wrong (as in ``Results.adopt``).
    resultMapping: the same for a result that has no tree of its own.
    overlaps: voxels of segments that contradict each other: ``"refuse"``, or ``"first"`` for the first segment.

    Raises
    ------
    InputError: a node is missing, both are the same, the result has no tree and none is given, labels are not in it, or
        the model's own answer is asked for and there is none beside the result.

    Attributes
    ----------
    judgesModel: whether the model's own answer is judged by the reference too: the result has corrections, and the tree
        is one that its labels before these can be told on.
    """

    def __init__(
        self,
        logic,
        resultNode,
        referenceNode,
        folder,
        tree=None,
        *,
        mapping=None,
        resultMapping=None,
        overlaps=REFUSE,
    ):
        _check(logic, resultNode, referenceNode, tree)
        self.folder = str(folder)
        self.tree = logic.results.treeOf(resultNode) if tree is None else tree
        name = resultNode.GetName() or ""
        self._name = file_names([name], _OWN_FILES)[name]
        self._resultName, self._referenceName = name, "" if referenceNode == MODEL else referenceNode.GetName()
        self._content, self._labels, self._reference, self._model = None, None, None, None
        managed = logic.results.isManaged(resultNode)
        if managed:
            logic.corrections.takeEdits(resultNode)
        answered = ModelAnswer.isKnown(logic, resultNode, self.tree)
        self._byModel, self.judgesModel = referenceNode == MODEL, answered and referenceNode != MODEL
        if self._byModel:
            ModelAnswer.require(logic, resultNode, answered)
        self._toWorld = Transforms.toWorld(resultNode)
        if managed and logic.results.parcellationOf(resultNode) is not None:
            own = logic.results.parcellationOf(resultNode)
            world = World.parcellationOf(own, resultNode)
            self.geometry = world.geometry
            self._content = _softFile(logic, resultNode, world, world is not own)
            self._model = world.predicted if self._byModel else None
        else:
            self._labels, self.geometry = _crisp(logic, resultNode, self.tree, managed, resultMapping, overlaps)
            self._model = _Labels(ModelAnswer.labelsOf(resultNode, self.tree)) if answered else None
        if not self._byModel:
            toWorld = Transforms.transformBetween(referenceNode, None)
            self._reference = LabelReader(referenceNode, self.tree, self.geometry, mapping, overlaps, toWorld)
        self._scan = _scanOf(resultNode, self.geometry)

    def write(self):
        """Write the files: a generator of ``(done, total)`` slices.

        Raises
        ------
        InputError: the disk is full, or the folder cannot be written.
        """
        with plainErrors(self.folder):
            os.makedirs(os.path.join(self.folder, "input"), exist_ok=True)
        sides = [(self._file("reference.nrrd"), self._reference), (self._prediction, self._labels)]
        if self._labels is not None:
            sides.append((self._modelFile, self._model))
        jobs = [(path, _labelsOf(side), np.uint16) for path, side in sides if side is not None]
        if self._scan is not None:
            slabs = (self._scan[first:last] for first, last in slabRanges(self._scan.shape))
            jobs.append((self._file("scan.nrrd"), slabs, self._scan.dtype))
        total, done = len(jobs) * self.geometry.shape[0], 0
        if self._content is not None:
            _write(self._prediction, self._content)
            yield done, total
            if self._byModel:
                _write(self._modelFile, self._model)
                yield done, total
        self.tree.save(self._file("tree.json"))
        for path, slabs, dtype in jobs:
            writer = NrrdWriter(path, self.geometry, dtype, compress=dtype is np.uint16)
            try:
                for slab in slabs:
                    writer.write(slab)
                    done += len(slab)
                    yield done, total
                writer.close()
            finally:
                writer.discard()

    def ownPlace(self, point):
        """Return a point of the tables (world, RAS mm) in the result's own coordinates, for :func:`jump`.

        So it stays on the result when that is moved. Where the transform was not linear the point is as it is.
        """
        matrix = self._toWorld
        return point if matrix is None else tuple((np.linalg.inv(matrix) @ [*point, 1.0])[:3].tolist())

    @property
    def said(self):
        """What people should know of how the labels were read, after :meth:`write`; empty where there is nothing."""
        readers = [reader for reader in (self._reference, self._labels) if reader is not None]
        return "; ".join(text for text in (getattr(reader, "said", "") for reader in readers) if text)

    @property
    def arguments(self):
        """The engine's command line, after :meth:`write`."""
        image = [] if self._scan is None else [self._file("scan.nrrd")]
        return self._request(out=self.folder, prediction=[self._prediction], image=image)

    @property
    def commands(self):
        """The engine's command lines, one after the other: the tables of the model's own answer come first."""
        if not self.judgesModel:
            return [self.arguments]
        own = self._prediction if self._labels is None else self._modelFile
        model = self._request(out=self._modelFolder, prediction=[own], corrected=False, report=False)
        return [model, self.arguments]

    def tables(self):
        """Return the ComparisonTables that the engine wrote; CorrectedTables where the model is judged too.

        Raises
        ------
        InputError: there are no tables.
        """
        return CorrectedTables(self.folder, self._modelFolder) if self.judgesModel else ComparisonTables(self.folder)

    def copyTo(self, folder):
        """Copy tables and report; those of the model's own answer into a folder of their own there.

        Raises
        ------
        OSError: a file cannot be written.
        """
        for name in (*TABLES, "report.html"):
            shutil.copy(os.path.join(self.folder, name), os.path.join(folder, name))
        if self.judgesModel:
            own = os.path.join(folder, os.path.basename(self._modelFolder))
            os.makedirs(own, exist_ok=True)
            for name in TABLES:
                shutil.copy(os.path.join(self._modelFolder, name), os.path.join(own, name))

    def _request(self, **options):
        reference = self._modelFile if self._byModel else self._file("reference.nrrd")
        return EvaluateRequest(tree=self._file("tree.json"), reference=[reference], **options).to_argv()

    def inScene(self, text):
        """Return a message of the engine that names the nodes instead of the files that were written of them."""
        for path, name in ((self._file("reference.nrrd"), self._referenceName), (self._prediction, self._resultName)):
            text = text.replace(path, f"'{name}'")
        return text

    @property
    def _modelFolder(self):
        return os.path.join(self.folder, "without-corrections")

    @property
    def _prediction(self):
        return self._file(self._name + self._ending)

    @property
    def _modelFile(self):
        return self._file("model" + self._ending)

    @property
    def _ending(self):
        return ".soft.npz" if self._content is not None else ".nrrd"

    def _file(self, name):
        return os.path.join(self.folder, "input", name)


def _check(logic, resultNode, referenceNode, tree):
    if resultNode is None:
        raise InputError("no result is chosen", hint="choose the segmentation to evaluate")
    if referenceNode is None:
        raise InputError("no reference is chosen", hint="choose the reference segmentation or label map")
    if resultNode is referenceNode:
        raise InputError("result and reference are the same node", hint="choose another reference")
    if tree is None and not logic.results.isManaged(resultNode):
        raise InputError(f"'{resultNode.GetName()}' has no label tree", hint="choose the label tree for the evaluation")


def _softFile(logic, resultNode, parcellation, moved):
    """Return the result in the world on its present tree: the bytes of its file where that is the same, else itself."""
    # leaves are found by value, so the stored file serves as it is where nothing has moved
    if not (moved or parcellation.corrections or Placement.isMoved(resultNode) or logic.results.mergedOf(resultNode)):
        return base64.b64decode(References.textOf(resultNode, References.PARCELLATION))
    return parcellation


def _write(path, content):
    """Write a .soft.npz file of its bytes, or of a SoftParcellation; the engine reads it once."""
    if not isinstance(content, bytes):
        content.save(path, compressed=False)
        return
    with plainErrors(path), open(path, "wb") as stream:
        stream.write(content)


def _labelsOf(side):
    return (labels for labels, _ in side.slabs())


class _Labels:
    """Label values of the tree on a whole grid."""

    def __init__(self, array):
        self._array = array

    def slabs(self):
        for first, last in slabRanges(self._array.shape):
            slab = self._array[first:last].astype(np.uint16)
            yield slab, slab > 0


def _crisp(logic, resultNode, tree, managed, mapping, overlaps):
    """Return where labels of a result without shares come from, and their grid, in the world."""
    if managed and tree == logic.results.treeOf(resultNode):
        source = LabelSource.sourceOf(resultNode, ParcellationStore())  # unfolded, whatever the cut
        labels, geometry = World.labelsOf(source.labels(tree.cut_at(tree.depth)), source.geometry, resultNode)
        return _Labels(labels), geometry
    geometry = World.gridOf(resultNode, _gridOf(resultNode))
    toWorld = Transforms.transformBetween(resultNode, None)
    return LabelReader(resultNode, tree, geometry, mapping, overlaps, toWorld), geometry


def _gridOf(labelsNode):
    if not labelsNode.IsA("vtkMRMLSegmentationNode"):
        return geometryOfVolume(labelsNode)
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    volume = labelsNode.GetNodeReference(role)
    if volume is not None and volume.GetImageData() is not None:
        return geometryOfVolume(volume)
    image = layersOf(labelsNode)[0].image
    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    corner = matrixToArray(matrix)
    k, j, i = boxOf(image)
    corner[:3, 3] += corner[:3, :3] @ [i.start, j.start, k.start]
    return geometryOf(corner, arrayOf(image).shape[::-1])


def _scanOf(resultNode, geometry):
    """Return the voxels of the scan that the result was made from, None where it is not there on the same grid."""
    if not resultNode.IsA("vtkMRMLSegmentationNode"):
        return None
    volume = References.referenced(resultNode, References.INPUT)
    if volume is None or volume.GetImageData() is None or volume.GetImageData().GetNumberOfScalarComponents() != 1:
        return None
    matrix = Transforms.toWorld(volume)
    if matrix is None or not Transforms.geometryIn(volume, None).same_grid(geometry):
        return None
    return arrayOf(volume.GetImageData())
