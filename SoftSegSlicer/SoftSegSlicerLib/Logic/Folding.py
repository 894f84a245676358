"""Results shown at other cuts, with edited trees, or held to what is sure."""

import logging
from dataclasses import replace

from softseg.errors import InputError, SoftSegError

from ..Scene import Painting, References, Remapping, SegmentChanges, SegmentList, TreeNode
from ..Scene.Sureness import Sureness
from .Signal import Signal


class Folding:
    """Writes the segments of a result again when its cut, its tree or what it is held to changes.

    Parameters
    ----------
    sources: ResultSources.
    labels: ShownLabels.
    corrections: Corrections.

    Attributes
    ----------
    folded: Signal with a segmentation that is shown at another cut.
    treeChanged: Signal with a segmentation that has another tree.
    """

    def __init__(self, sources, labels, corrections):
        self.folded, self.treeChanged = Signal(), Signal()
        self._sources, self._labels, self._corrections = sources, labels, corrections

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
        tree = self._sources.treeOf(segmentationNode)
        wanted = TreeNode.asCut(tree, cut)
        edits = self._corrections.takeEdits(segmentationNode)
        source = self._sources.shown(segmentationNode)
        self._labels.write(segmentationNode, source, wanted, source.labels(wanted))
        self.folded.emit(segmentationNode)
        return None if edits is None else edits.kept

    def setTree(self, segmentationNode, tree, merged=None):
        """Show a segmentation with an edited tree, at once: names, colours, groups; merged and deleted leaves.

        What the result was made with stays in the scene, so an earlier tree brings everything back. Leaves that are
        split keep their voxels: nothing is known about the parts.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        tree: the edited LabelTree.
        merged: what became of leaves of :meth:`.Results.originalTree` that are gone: from their ids to ids of ``tree``.
            Leaves that neither this nor the tree knows were deleted: their voxels are background.

        Returns
        -------
        as for :meth:`collapse`.

        Raises
        ------
        InputError: the tree does not fit the result; nothing was changed.
        """
        edits = self._corrections.takeEdits(segmentationNode)
        self._writeTree(segmentationNode, tree, dict(merged or {}))
        self.treeChanged.emit(segmentationNode)
        return None if edits is None else edits.kept

    def _writeTree(self, segmentationNode, tree, merged):
        old, before = self._sources.treeOf(segmentationNode), Remapping.mergedOf(segmentationNode)
        earlier, shown = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
        # raises before anything is changed
        Remapping.Remapping.between(earlier.remapping.source, tree, merged)
        cut = TreeNode.carriedOver([node.id for node in shown.nodes], tree)
        TreeNode.writeTree(segmentationNode, tree)
        Remapping.writeMerged(segmentationNode, merged)
        if merged == before and TreeNode.structure(tree) == TreeNode.structure(old):
            SegmentList.update(segmentationNode, tree, old)
            TreeNode.writeCut(segmentationNode, cut)
            self._labels.edits.noteRead(segmentationNode)
            return
        try:
            source = self._sources.shown(segmentationNode)
            labels = source.labels(cut)
        except InputError:
            TreeNode.writeTree(segmentationNode, old)
            Remapping.writeMerged(segmentationNode, before)
            raise
        SegmentList.update(segmentationNode, tree, old)
        self._labels.write(segmentationNode, source, cut, labels)

    def takeChanges(self, segmentationNode):
        """Let the tree follow names, colours and codes that people gave segments in Slicer; return whether any did."""
        tree = self._sources.treeOf(segmentationNode)
        SegmentChanges.releaseCopies(segmentationNode, tree)
        changed = SegmentChanges.changedTree(segmentationNode, tree)
        if changed is not tree:
            self.setTree(segmentationNode, changed, Remapping.mergedOf(segmentationNode))
        return changed is not tree

    def hold(self, segmentationNode, **changes):
        """Hold the labels of a soft result to other values of Sureness, and show them; returns as :meth:`collapse`."""
        edits = self._corrections.takeEdits(segmentationNode)
        self._sources.soft(segmentationNode)
        before, cut = Sureness.of(segmentationNode), self._sources.cutOf(segmentationNode)
        wanted = replace(before, **changes)
        if wanted == before:
            return None
        wanted.write(segmentationNode)
        try:
            source = self._sources.shown(segmentationNode)
            labels = source.labels(cut)
        except InputError:
            before.write(segmentationNode)
            raise
        self._labels.write(segmentationNode, source, cut, labels)
        return None if edits is None else edits.kept

    def showMissing(self):
        """Show results that came with a scene without their segments, as where these were saved as ``.soft.npz``."""
        scene = References.sceneOf()
        for number in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
            node = scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode")
            soft = References.referenced(node, References.PARCELLATION) is not None
            if soft and node.GetSegmentation().GetNumberOfSegments() == 0:
                self._showAgain(node)

    def _showAgain(self, segmentationNode):
        try:
            self.collapse(segmentationNode, self._sources.cutOf(segmentationNode))
        except SoftSegError:  # a damaged one says so where people look at it
            logging.warning("%s has no segments and cannot be shown", segmentationNode.GetName(), exc_info=True)

    def followMove(self, segmentationNode, bent):
        """Catch up after a segmentation moved: by a transform, by hardening one, or because it is a copy."""
        if bent:  # Slicer may have cut off what it bent beyond a corner
            source, cut = self._sources.shown(segmentationNode), self._sources.cutOf(segmentationNode)
            if Painting.agrees(segmentationNode, source, cut):
                self._labels.write(segmentationNode, source, cut, source.labels(cut))
