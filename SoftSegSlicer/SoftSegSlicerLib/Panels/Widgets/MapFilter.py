"""Keeps the maps of results (probability, disagreement, outliers ...) out of the selectors of scans and labels."""

import slicer
import vtk

from SoftSegSlicerLib.Scene.References import isMap

__all__ = ["MapFilter"]

FIRST = 10.0
"""Priority of the observer: selectors that choose a new node by themselves must know before that it is a map."""


class MapFilter:
    """Hides maps in node selectors; they stay visible in the module Data.

    Parameters
    ----------
    scene: the MRML scene.
    """

    def __init__(self, scene):
        self._scene, self._selectors = scene, []
        self._ids = [node.GetID() for node in slicer.util.getNodesByClass("vtkMRMLVolumeNode", scene) if isMap(node)]
        self._tags = [
            scene.AddObserver(scene.NodeAddedEvent, self._onNodeAdded, FIRST),
            scene.AddObserver(scene.StartCloseEvent, self._onClose, FIRST),
        ]

    def apply(self, *selectors):
        """Hide maps in these qMRMLNodeComboBoxes from now on."""
        self._selectors += selectors
        for selector in selectors:
            selector.sortFilterProxyModel().hiddenNodeIDs = self._ids

    def forget(self, selector):
        """Let go of a selector that is deleted."""
        self._selectors.remove(selector)

    def cleanup(self):
        """Stop observing the scene."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags, self._selectors = [], []

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _onNodeAdded(self, _scene, _event, node):
        if node is not None and node.IsA("vtkMRMLVolumeNode") and isMap(node):
            self._set([*self._ids, node.GetID()])

    def _onClose(self, *_args):
        self._set([])  # the next scene gives the same ids to other nodes

    def _set(self, ids):
        self._ids = ids
        for selector in self._selectors:
            selector.sortFilterProxyModel().hiddenNodeIDs = ids
