"""Results in the scene: made, adopted, asked for what they are."""

import os

import numpy as np

from softseg.errors import InputError
from softseg.soft import SoftParcellation

from ..Exchange import Adoption
from ..Scene import (
    Grids,
    HeatMap,
    LabelSource,
    Placement,
    References,
    Remapping,
    SegmentationBuilder,
    Segments,
    SliceLayers,
)


class Results:
    """Segmentations with a label tree and, where a soft model made them, a soft parcellation.

    Parameters
    ----------
    sources: ResultSources.
    labels: ShownLabels.
    corrections: Corrections.

    Attributes
    ----------
    isManaged, treeOf, cutOf: as in ResultSources.
    """

    def __init__(self, sources, labels, corrections):
        self._sources, self._labels, self._corrections = sources, labels, corrections
        self.isManaged, self.treeOf, self.cutOf = sources.isManaged, sources.treeOf, sources.cutOf

    # -- making -------------------------------------------------------------------------------------------------------

    def load(self, path, volumeNode=None, name=""):
        """Return a new segmentation of a soft parcellation's file.

        Parameters
        ----------
        path: a .soft.npz file.
        volumeNode: the volume that was segmented, if it is in the scene.
        name: of what was segmented; by default the volume's or the file's.

        Raises
        ------
        InputError: the file is missing or is no sound soft parcellation.
        """
        parcellation, content = self.read(path)
        own = os.path.basename(os.fspath(path)).split(".")[0]
        return self.add(parcellation, volumeNode, name or (own if own != "soft" else ""), content)

    def read(self, path):
        """Return the SoftParcellation of a file and the bytes of the file; see :meth:`load`."""
        return self._sources.store.readFile(path)

    def add(self, parcellation, volumeNode=None, name="", content=None):
        """Return a new segmentation of a SoftParcellation, with the bytes of its file; see :meth:`load`."""
        if not isinstance(parcellation, SoftParcellation):
            raise InputError(f"expected a soft parcellation, got {type(parcellation).__name__}")
        tree = parcellation.tree
        name = name or (volumeNode.GetName() if volumeNode is not None else tree.name) or "segmentation"
        scene = References.sceneOf(volumeNode)
        segmentationNode = SegmentationBuilder.newSegmentation(
            scene, tree, parcellation.geometry, f"{name} segmentation" if volumeNode is not None else name, volumeNode
        )
        self._sources.store.write(segmentationNode, parcellation, content)
        self._show(segmentationNode, tree.cut_at(tree.depth))
        return segmentationNode

    def matches(self, labelsNode, tree, mapping=None):
        """Return which node of a tree each segment or label is, and why others are open, before anything is taken.

        Parameters
        ----------
        labelsNode, tree, mapping: as for :meth:`adopt`.

        Returns
        -------
        softseg.tree.matching.Matching: ``.matches``, ``.open``, ``.by_value``.
        """
        return Adoption.matchesOf(labelsNode, tree, mapping)

    def moveWith(self, segmentationNode, volumeNode, before):
        """Move a result as its volume was moved since the engine had it: transforms may be hardened meanwhile.

        Parameters
        ----------
        segmentationNode: the result.
        volumeNode: what was segmented.
        before: grid that the volume had.
        """
        now = Grids.geometryOfVolume(volumeNode)
        if now.size == before.size and not now.same_grid(before):
            segmentationNode.ApplyTransformMatrix(Grids.arrayToMatrix(now.affine @ np.linalg.inv(before.affine)))
            Placement.settle(segmentationNode, Segments.layerOf(segmentationNode))
            segmentationNode.SetReferenceImageGeometryParameterFromVolumeNode(volumeNode)
            Placement.noteReference(segmentationNode)

    def adopt(self, labelsNode, tree, missing=Adoption.REFUSE, *, mapping=None, overlaps="refuse"):
        """Return a new segmentation, foldable along a tree, of one that was made elsewhere; that one is hidden.

        Each segment or label is found in the tree by its name, id or code, and by its label value only where no name
        contradicts; :meth:`matches` says what was found.

        Parameters
        ----------
        labelsNode: segmentation node, or a label map or integer volume node.
        tree: LabelTree.
        missing: labels that stay open are refused ("refuse"), added below the tree's root ("add"), or left out
            ("background").
        mapping: which node a segment or label is, where that is open or wrong: from segment ids, label values or names
            to ids or names of nodes; None leaves one out.
        overlaps: voxels of segments that contradict each other (neither is an ancestor of the other) are refused
            ("refuse"), or those of the segment that comes first ("first").

        Raises
        ------
        InputError: labels are open (they and the reasons are named), segments contradict each other, or the node is
            empty.
        """
        array, geometry, tree = Adoption.readLabels(labelsNode, tree, missing, mapping, overlaps)
        scene = References.sceneOf(labelsNode)
        volumeNode = labelsNode if labelsNode.IsA("vtkMRMLVolumeNode") else self._inputOf(labelsNode)
        name = f"{labelsNode.GetName()} ({tree.name})" if tree.name else labelsNode.GetName()
        segmentationNode = SegmentationBuilder.newSegmentation(scene, tree, geometry, name, volumeNode)
        segmentationNode.SetAndObserveTransformNodeID(labelsNode.GetTransformNodeID())
        LabelSource.writeKept(segmentationNode, array, geometry, tree)
        self._show(segmentationNode, tree.cut_at(tree.depth))
        labelsNode.SetDisplayVisibility(False)
        SliceLayers.hideLabels(labelsNode)  # a label map is a layer of the slices, whatever its visibility
        return segmentationNode

    def _inputOf(self, segmentationNode):
        return segmentationNode.GetNodeReference(segmentationNode.GetReferenceImageGeometryReferenceRole())

    def _show(self, segmentationNode, cut):
        """Show a new segmentation for the first time, and no other one."""
        source = self._sources.shown(segmentationNode)
        self._labels.write(segmentationNode, source, cut, source.labels(cut))
        self.showAlone(segmentationNode)

    # -- asking -------------------------------------------------------------------------------------------------------

    def parcellationOf(self, segmentationNode):
        """Return the SoftParcellation of a segmentation, on its present tree; None where there is none.

        Decoded when first asked for. Its tree ends at leaves that were split after the prediction.
        """
        self._sources.require(segmentationNode)
        if References.referenced(segmentationNode, References.PARCELLATION) is None:
            return None
        source = self.source(segmentationNode)
        return LabelSource.parcellationOf(source, segmentationNode, self._sources.store)

    def originalTree(self, segmentationNode):
        """Return the LabelTree that the result was made with, before any edit."""
        self._sources.require(segmentationNode)
        return self._sources.of(segmentationNode).remapping.source

    def mergedOf(self, segmentationNode):
        """Return what :meth:`.Folding.setTree` was told about nodes of the original tree that are gone."""
        return Remapping.mergedOf(segmentationNode)

    def geometryOf(self, segmentationNode):
        """Return the whole grid of a result, in the segmentation's own coordinates."""
        self._sources.require(segmentationNode)
        return self._sources.shown(segmentationNode).geometry

    def source(self, segmentationNode):
        """Return where the labels of a result come from, once what was painted in it is a correction."""
        self._sources.require(segmentationNode)
        self._corrections.takeEdits(segmentationNode)
        return self._sources.of(segmentationNode)

    def soft(self, segmentationNode):
        """Return the SoftSource of a result, as :meth:`source` does.

        Raises
        ------
        InputError: it has no soft parcellation.
        """
        self._sources.require(segmentationNode)
        self._corrections.takeEdits(segmentationNode)
        return self._sources.soft(segmentationNode)

    def shown(self, segmentationNode):
        """Return where the labels that a result shows come from: its source, held to what is sure."""
        return self._sources.shown(segmentationNode)

    # -- showing ------------------------------------------------------------------------------------------------------

    def showAlone(self, segmentationNode):
        """Show a result and hide the other results, which would lie on top of it; other segmentations stay.

        While the scene closes nothing changes: the selectors walk through what is left of it.
        """
        if segmentationNode is None or References.sceneOf(segmentationNode).IsClosing():
            return
        HeatMap.hideOthers(segmentationNode)
        for other in References.segmentations(segmentationNode):
            if other is not segmentationNode and self._sources.isManaged(other) and other.GetDisplayVisibility():
                other.SetDisplayVisibility(False)
        if not segmentationNode.GetDisplayVisibility():
            segmentationNode.SetDisplayVisibility(True)
