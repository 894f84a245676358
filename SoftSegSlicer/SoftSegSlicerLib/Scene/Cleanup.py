"""What goes with a result that is removed from the scene."""

import slicer
import vtk

from . import References, SliceLayers

_OWNED = (
    References.TREE,
    References.SOURCE_TREE,
    References.PARCELLATION,
    References.LEAF_LABELS,
    References.HEAT_MAP,
    References.ENTROPY,
    References.DISAGREEMENT,
    References.INTERVALS,
    References.OUTLIER_SCORE,
    References.OUTLIERS,
)


class Cleanup:
    """Removes the hidden nodes and the maps of a segmentation together with it; they would stay in every saved scene.

    Tables stay: they may be wanted for themselves.

    Parameters
    ----------
    scene: the MRML scene; it is watched as long as this object lives.
    """

    def __init__(self, scene):
        self._scene = scene
        owned = {}  # no reference to self, or the observers would keep it alive

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onAboutToBeRemoved(caller, event, node):  # noqa: ARG001 - VTK's signature
            if node is not None and node.IsA("vtkMRMLSegmentationNode") and not scene.IsClosing():
                owned[node.GetID()] = _ownedBy(node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def onRemoved(caller, event, node):  # noqa: ARG001
            if node is not None:
                _remove(scene, owned.pop(node.GetID(), []))

        self._tags = [
            scene.AddObserver(slicer.vtkMRMLScene.NodeAboutToBeRemovedEvent, onAboutToBeRemoved),
            scene.AddObserver(slicer.vtkMRMLScene.NodeRemovedEvent, onRemoved),
        ]

    def stop(self):
        """Watch no longer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []

    def __del__(self):
        self.stop()


def _ownedBy(segmentationNode):
    nodes = [References.referenced(segmentationNode, role) for role in _OWNED]
    contours = [References.referenced(node, References.CONTOUR) for node in nodes if node is not None]
    return [node.GetID() for node in (*nodes, *contours) if node is not None]


def _remove(scene, ids):
    for node in map(scene.GetNodeByID, ids):
        if node is not None:
            if node.IsA("vtkMRMLVolumeNode"):
                SliceLayers.restore(node)
                SliceLayers.hideLabels(node)
            scene.RemoveNode(node)
