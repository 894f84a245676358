"""What the panels share: logic, parameters, the segmentation they are about, and news of each other."""

from __future__ import annotations

import slicer

from SoftSegSlicerLib.Dialogs import Dialogs
from SoftSegSlicerLib.Panels.Widgets.DeviceList import DeviceList
from SoftSegSlicerLib.Panels.Widgets.MapFilter import MapFilter
from SoftSegSlicerLib.Process.ProcessRunner import ProcessRunner

EVENTS = ("segmentationChanged", "treeChanged", "cutChanged", "modelsChanged", "volumesChanged", "corrected")


class PanelContext:
    """Handed to every panel.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    dialogs: asks people; see :class:`SoftSegSlicerLib.Dialogs.Dialogs`.

    Attributes
    ----------
    parameterNode: the wrapped parameter node of this scene; None while a scene is being closed.
    entered: whether the module is the one that is looked at; what follows the mouse in the views rests meanwhile.
    showPanel: called with a panel's name, brings its tab to the front; the shell sets it.
    mapFilter: keeps maps of results out of the selectors that are given to it.
    devices: what computes on this computer.
    makeRunner: called without arguments, returns a new Runner; tests replace it.
    """

    def __init__(self, logic, dialogs=None):
        self.logic = logic
        self.dialogs = dialogs or Dialogs()
        self.mapFilter = MapFilter(slicer.mrmlScene)
        self.devices = DeviceList()
        self.makeRunner = ProcessRunner
        self.showPanel = None
        self.entered = True
        self.parameterNode = None
        self._observers = {event: [] for event in EVENTS}
        self._known = None
        logic.corrections.changed.connect(self._onCorrected)
        logic.volumes.changed.connect(self._onVolumesChanged)

    def cleanup(self):
        """Let go of the scene, and stop what runs."""
        self.logic.corrections.changed.disconnect(self._onCorrected)
        self.logic.volumes.changed.disconnect(self._onVolumesChanged)
        self.mapFilter.cleanup()
        self.devices.cleanup()

    def _onCorrected(self, node, text):
        self.notify("corrected", node=node, text=text)

    def _onVolumesChanged(self, node):
        self.notify("volumesChanged", node=node)

    def runner(self):
        """Return a new runner of engine processes."""
        return self.makeRunner()

    @property
    def segmentation(self):
        """The segmentation that Look, Tree and Compare are about; None if there is none."""
        return None if self.parameterNode is None else self.parameterNode.segmentation

    @segmentation.setter
    def segmentation(self, node):
        if self.parameterNode is None or node is self.parameterNode.segmentation:
            return
        self.parameterNode.segmentation = node
        self._known = node
        self.notify("segmentationChanged")

    def sync(self):
        """Tell the observers if the segmentation has changed without their knowledge: deleted, or another scene."""
        node = self.segmentation
        if node is not self._known:
            self._known = node
            self.notify("segmentationChanged")

    def addObserver(self, event, callback):
        """Call ``callback(**data)`` at each :meth:`notify` of one of EVENTS."""
        self._observers[event].append(callback)

    def removeObserver(self, event, callback):
        """Stop that."""
        self._observers[event].remove(callback)

    def notify(self, event, **data):
        """Tell all who observe ``event``."""
        for callback in tuple(self._observers[event]):
            callback(**data)
