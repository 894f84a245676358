"""Everything the module does, without its widgets: for the Python console, headless scripts and the panels."""

import os

from softseg.errors import InputError
from softseg.soft import SoftParcellation

from .Scene import (
    Folding,
    LabelSource,
    References,
    Remapping,
    SegmentationBuilder,
    TreeNode,
)
from .Scene.ParcellationNode import ParcellationStore
from .Scene.Probe import Probe, toLocal
from .Scene.VolumesTable import nodeVolumes, writeVolumesTable


class SoftSegSlicerLogic:
    """Results in the scene: made, folded, shown as heat maps, measured, edited.

    A result is one segmentation node. Its tree, soft parcellation, heat map and volumes are nodes that it refers to, so
    a saved scene brings all of them back. ``slicer.mrmlScene`` must be set; an application is not needed.
    """

    def __init__(self):
        self._store = ParcellationStore()
        self._probes = ParcellationStore(most=2)

    # -- results --------------------------------------------------------------------------------------------------

    def loadParcellation(self, path, volumeNode=None):
        """Return a new segmentation of a soft parcellation's file.

        Parameters
        ----------
        path: a .soft.npz file.
        volumeNode: the volume that was segmented, if it is in the scene.

        Raises
        ------
        InputError: the file is missing or is no sound soft parcellation.
        """
        parcellation, content = self._store.readFile(path)
        name = os.path.basename(os.fspath(path)).split(".")[0]
        return self._add(parcellation, content, volumeNode, name if name != "soft" else "")

    def addSegmentation(self, parcellation, volumeNode=None, name=""):
        """Return a new segmentation of a SoftParcellation; see :meth:`loadParcellation`."""
        return self._add(parcellation, None, volumeNode, name)

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

    def isManaged(self, node):
        """Whether this node is a segmentation with a label tree (also one that was read from a .seg.nrrd file)."""
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            return False
        return References.referenced(node, References.TREE) is not None or TreeNode.carriesDocument(node)

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

        Raises
        ------
        InputError: no such level or node, or the nodes are no cut.
        """
        self._show(segmentationNode, TreeNode.asCut(self.treeOf(segmentationNode), cut))

    def _show(self, segmentationNode, cut):
        source = LabelSource.sourceOf(segmentationNode, self._store)
        Folding.writeLayer(segmentationNode, source.geometry, source.box, cut, source.labels(cut))

    def _requireManaged(self, segmentationNode):
        if not self.isManaged(segmentationNode):
            raise InputError("this segmentation has no label tree", hint="choose a tree for it first")
        if References.referenced(segmentationNode, References.TREE) is None:
            TreeNode.restoreDocument(segmentationNode)

    # -- looking --------------------------------------------------------------------------------------------------

    def parcellationOf(self, segmentationNode):
        """Return the SoftParcellation of a segmentation, on its present tree; None where there is none.

        Decoded when first asked for. Its tree ends at leaves that were split after the prediction.
        """
        self._requireManaged(segmentationNode)
        if References.referenced(segmentationNode, References.PARCELLATION) is None:
            return None
        return LabelSource.sourceOf(segmentationNode, self._store).parcellation

    def nodeVolumes(self, segmentationNode):
        """Return a NodeVolume (``softMl``, ``hardMl``, ``certainty``) for the id of every node of the tree.

        Without a soft parcellation ``softMl`` and ``certainty`` are None.
        """
        self._requireManaged(segmentationNode)
        return nodeVolumes(LabelSource.sourceOf(segmentationNode, self._store), self._store)

    def volumesTable(self, segmentationNode):
        """Return the table node of all volumes, filled again."""
        return writeVolumesTable(segmentationNode, self.treeOf(segmentationNode), self.nodeVolumes(segmentationNode))

    def describe(self, segmentationNode, ras):
        """Return what lies at a point: ``[(node id, share), ...]`` from the root to the largest node of the cut.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        ras: three numbers, mm in the world.

        Returns
        -------
        empty outside the grid, and where nothing is labelled.
        """
        self._requireManaged(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        probe = self._probes.derived(id(source), lambda: Probe(source))
        return probe.path(toLocal(segmentationNode, ras), self.cutOf(segmentationNode))
