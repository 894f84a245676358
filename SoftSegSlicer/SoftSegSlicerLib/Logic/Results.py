"""Results in the scene: made, adopted, folded, edited."""

import os

import numpy as np

from softseg.errors import InputError
from softseg.soft import SoftParcellation

from ..Exchange import Adoption
from ..Scene import (
    Folding,
    Grids,
    LabelSource,
    Painting,
    Placement,
    References,
    Remapping,
    SegmentationBuilder,
    SegmentList,
    Segments,
    SliceLayers,
    TreeNode,
)
from ..Scene.ParcellationNode import ParcellationStore
from ..Scene.SceneWatch import SceneWatch
from ..Scene.Sureness import SureSource
from ..Scene.Surfaces import Surfaces
from .Corrections import CorrectionsLogic
from .SegmentChanges import SegmentChangesLogic


class ResultsLogic(SegmentChangesLogic, CorrectionsLogic):
    """Segmentations with a label tree and, where a soft model made them, a soft parcellation."""

    def __init__(self):
        super().__init__()
        self._store = ParcellationStore()
        self._surfaces = Surfaces()
        self._watch = SceneWatch.of(References.sceneOf())
        self._watch.addListener(self._onMoved)
        self._lastSure = None

    # -- results --------------------------------------------------------------------------------------------------

    def loadParcellation(self, path, volumeNode=None, name=""):
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
        parcellation, content = self.readParcellation(path)
        own = os.path.basename(os.fspath(path)).split(".")[0]
        return self._add(parcellation, content, volumeNode, name or (own if own != "soft" else ""))

    def readParcellation(self, path):
        """Return the SoftParcellation of a file and the bytes of the file; see :meth:`loadParcellation`."""
        return self._store.readFile(path)

    def addSegmentation(self, parcellation, volumeNode=None, name="", content=None):
        """Return a new segmentation of a SoftParcellation, with the bytes of its file; see :meth:`loadParcellation`."""
        return self._add(parcellation, content, volumeNode, name)

    def _add(self, parcellation, content, volumeNode, name):
        if not isinstance(parcellation, SoftParcellation):
            raise InputError(f"expected a soft parcellation, got {type(parcellation).__name__}")
        tree = parcellation.tree
        name = name or (volumeNode.GetName() if volumeNode is not None else tree.name) or "segmentation"
        scene = References.sceneOf(volumeNode)
        segmentationNode = SegmentationBuilder.newSegmentation(
            scene, tree, parcellation.geometry, f"{name} segmentation" if volumeNode is not None else name, volumeNode
        )
        self._store.write(segmentationNode, parcellation, content)
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

    def isManaged(self, node):
        """Whether this node is a segmentation with a label tree (also one that was read from a .seg.nrrd file)."""
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            return False
        return References.referenced(node, References.TREE) is not None or TreeNode.carriesTree(node)

    def parcellationOf(self, segmentationNode):
        """Return the SoftParcellation of a segmentation, on its present tree; None where there is none.

        Decoded when first asked for. Its tree ends at leaves that were split after the prediction.
        """
        self._requireManaged(segmentationNode)
        if References.referenced(segmentationNode, References.PARCELLATION) is None:
            return None
        self.takeEdits(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        return LabelSource.parcellationOf(source, segmentationNode, self._store)

    # -- tree and cut ---------------------------------------------------------------------------------------------

    def treeOf(self, segmentationNode):
        """Return the LabelTree of a segmentation.

        Raises
        ------
        InputError: it has none, or the text in the scene is damaged.
        """
        self._requireManaged(segmentationNode)
        return TreeNode.treeOf(segmentationNode)

    def originalTree(self, segmentationNode):
        """Return the LabelTree that the result was made with, before any edit."""
        self._requireManaged(segmentationNode)
        return LabelSource.sourceOf(segmentationNode, self._store).remapping.source

    def mergedOf(self, segmentationNode):
        """Return what :meth:`setTree` was told about nodes of the original tree that are gone."""
        return Remapping.mergedOf(segmentationNode)

    def cutOf(self, segmentationNode):
        """Return the Cut that a segmentation shows."""
        return TreeNode.cutOf(segmentationNode, self.treeOf(segmentationNode))

    def collapse(self, segmentationNode, cut):
        """Show a segmentation at another cut, in place.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        cut: a level (0 is the root), a Cut, or the ids of nodes that make one.

        Returns
        -------
        None, or, where segments were painted beyond the result's grid, the hidden segmentation that keeps that. What
        was painted within is a correction now; segments that people added stay as they are.

        Raises
        ------
        InputError: no such level or node, or the nodes are no cut.
        """
        self.takeChanges(segmentationNode)
        tree = self.treeOf(segmentationNode)
        wanted = TreeNode.asCut(tree, cut)
        edits = self.takeEdits(segmentationNode)
        source = self._shownSource(segmentationNode)
        self._write(segmentationNode, source, wanted, source.labels(wanted))
        return None if edits is None else edits.kept

    def setTree(self, segmentationNode, tree, merged=None):
        """Show a segmentation with an edited tree, at once: names, colours, groups; merged and deleted leaves.

        What the result was made with stays in the scene, so an earlier tree brings everything back. Leaves that are
        split keep their voxels: nothing is known about the parts.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        tree: the edited LabelTree.
        merged: what became of leaves of :meth:`originalTree` that are gone: from their ids to ids of ``tree``. Leaves
            that neither this nor the tree knows were deleted: their voxels are background.

        Returns
        -------
        as for :meth:`collapse`.

        Raises
        ------
        InputError: the tree does not fit the result; nothing was changed.
        """
        edits = self.takeEdits(segmentationNode)
        old, before = self.treeOf(segmentationNode), Remapping.mergedOf(segmentationNode)
        merged = dict(merged or {})
        earlier, shown = self._shownSource(segmentationNode), self.cutOf(segmentationNode)
        # raises before anything is changed
        Remapping.Remapping.between(earlier.remapping.source, tree, merged)
        cut = TreeNode.carriedOver([node.id for node in shown.nodes], tree)
        TreeNode.writeTree(segmentationNode, tree)
        Remapping.writeMerged(segmentationNode, merged)
        if merged == before and TreeNode.structure(tree) == TreeNode.structure(old):
            SegmentList.update(segmentationNode, tree, old)
            TreeNode.writeCut(segmentationNode, cut)
            self._edits.noteRead(segmentationNode)
            return None if edits is None else edits.kept
        try:
            source = self._shownSource(segmentationNode)
            labels = source.labels(cut)
        except InputError:
            TreeNode.writeTree(segmentationNode, old)
            Remapping.writeMerged(segmentationNode, before)
            raise
        SegmentList.update(segmentationNode, tree, old)
        self._write(segmentationNode, source, cut, labels)
        return None if edits is None else edits.kept

    def _show(self, segmentationNode, cut):
        """Show a new segmentation for the first time."""
        source = self._shownSource(segmentationNode)
        self._write(segmentationNode, source, cut, source.labels(cut))

    def _shownSource(self, segmentationNode):
        """Return where the labels that a segmentation shows come from: its source, held to what is sure."""
        source = LabelSource.sourceOf(segmentationNode, self._store)
        shown = SureSource.shown(source, segmentationNode, self._lastSure)
        self._lastSure = None if shown is source else shown
        return shown

    def _write(self, segmentationNode, source, cut, labels):
        Folding.writeLayer(segmentationNode, source, cut, labels, self._surfaces)
        self._edits.noteWritten(segmentationNode)

    def _onMoved(self, segmentationNode, bent):
        """Catch up after a segmentation moved: by a transform, by hardening one, or because it is a copy."""
        if bent:  # Slicer may have cut off what it bent beyond a corner
            source, cut = self._shownSource(segmentationNode), self.cutOf(segmentationNode)
            if Painting.agrees(segmentationNode, source, cut):
                self._write(segmentationNode, source, cut, source.labels(cut))

    def _requireManaged(self, segmentationNode):
        if segmentationNode is not None and segmentationNode.GetScene() is not None:
            self._watch.settle(segmentationNode)
        if not self.isManaged(segmentationNode):
            raise InputError("this segmentation has no label tree", hint="choose a tree for it first")
        if References.referenced(segmentationNode, References.TREE) is None:
            TreeNode.restoreTree(segmentationNode)

    def forget(self):
        """Let go of everything that was decoded, as when the scene is closed."""
        self._store.clear()
        self.forgetCorrections()
        self._lastSure = None
