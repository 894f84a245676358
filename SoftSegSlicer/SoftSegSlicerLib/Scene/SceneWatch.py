"""Watches the segmentations of a scene: what Slicer does to one is done to all that belongs to it."""

import weakref

import slicer
import vtk

from softseg.errors import SoftSegError

from . import Bending, Ownership, Placement, References, Segments, Stored, Transforms

_WATCHES = weakref.WeakValueDictionary()


class SceneWatch:
    """Keeps results whole while nodes are transformed, hardened, copied and removed; one for each scene.

    Get it with :meth:`of`; it watches as long as somebody holds on to it.

    Parameters
    ----------
    scene: the MRML scene.
    """

    def __init__(self, scene):
        self._scene = scene
        self._nodes = {}
        self._listeners = []
        self._busy = False
        self._owned = {}
        events = slicer.vtkMRMLScene
        self._tags = [
            scene.AddObserver(events.NodeAddedEvent, _calling(self, SceneWatch._onAdded)),
            # before the selectors, which choose another segmentation: what follows from that spares the one that goes
            scene.AddObserver(events.NodeAboutToBeRemovedEvent, _calling(self, SceneWatch._onAboutToBeRemoved), 1.0),
            # after Slicer's own, which looks for display nodes of what was removed
            scene.AddObserver(events.NodeRemovedEvent, _calling(self, SceneWatch._onRemoved), -1.0),
        ]
        for event in (events.EndImportEvent, events.EndUndoEvent, events.EndRedoEvent, events.EndRestoreEvent):
            self._tags.append(scene.AddObserver(event, _calling(self, SceneWatch._onEnd)))
        self._onEnd(None)

    @staticmethod
    def of(scene):
        """Return the watch of a scene."""
        found = _WATCHES.get(scene)
        if found is None:
            found = _WATCHES[scene] = SceneWatch(scene)
        return found

    def addListener(self, method):
        """Call a bound method whenever a segmentation has moved: with it, and whether its voxels were bent.

        The listener is not kept alive by this.
        """
        self._listeners.append(weakref.WeakMethod(method))

    def stop(self):
        """Watch no longer."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        for watched in self._nodes.values():
            watched.stop()
        self._tags, self._nodes = [], {}

    def __del__(self):
        self.stop()

    # -- the scene ------------------------------------------------------------------------------------------------

    def _onAdded(self, node):
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            return
        known = self._nodes.get(node.GetID())
        if known is None or known.node is not node:
            if known is not None:
                known.stop()
            self._nodes[node.GetID()] = _Watched(node, self)
            _safely(self.settle, node)

    def _onAboutToBeRemoved(self, node):
        if node is not None and node.GetID() in self._nodes:
            self._nodes.pop(node.GetID()).stop()
            References.LEAVING.add(node)
            if not self._scene.IsClosing():
                self._owned[node.GetID()] = [owned.GetID() for owned in Ownership.goingWith(node)]

    def _onRemoved(self, node):
        if node is not None:
            References.LEAVING.discard(node)
            Ownership.remove(self._scene, self._owned.pop(node.GetID(), []))

    def _onEnd(self, _node):
        """Catch up after many nodes came at once."""
        for number in range(self._scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
            self._onAdded(self._scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode"))
        for watched in tuple(self._nodes.values()):
            _safely(self._catchUp, watched)

    def _catchUp(self, watched):
        watched.look()
        self.settle(watched.node)
        Placement.noteTurns(watched.node)
        Placement.follow(watched.node)

    # -- one segmentation -----------------------------------------------------------------------------------------

    def settle(self, node):
        """Make sure that a segmentation that may be a copy has nodes of its own."""
        scene = self._scene
        if self._busy or scene.IsImporting() or scene.IsUndoing() or scene.IsRedoing() or scene.IsRestoring():
            return
        self._busy = True
        try:
            if Ownership.settle(node):
                self._moved(node)
        finally:
            self._busy = False

    def _moved(self, node, bent=False):
        Placement.follow(node)
        for listener in tuple(self._listeners):
            method = listener()
            if method is None:
                self._listeners.remove(listener)
            else:
                method(node, bent)


class _Watched:
    """One segmentation, and the transform that it was under last."""

    def __init__(self, node, watch):
        self.node = node
        self._watch = weakref.ref(watch)
        self._transform = None
        self.look()
        segmentation = slicer.vtkSegmentation
        self._tags = [
            node.AddObserver(event, _telling(self, method))
            for event, method in (
                (vtk.vtkCommand.ModifiedEvent, _Watched._onModified),
                (slicer.vtkMRMLTransformableNode.TransformModifiedEvent, _Watched._onTransformModified),
                (slicer.vtkMRMLSegmentationNode.ReferenceImageGeometryChangedEvent, _Watched._onReferenceChanged),
                (segmentation.SourceRepresentationModified, _Watched._onReferenceChanged),
                (segmentation.ContainedRepresentationNamesModified, _Watched._onModified),
            )
        ]

    def stop(self):
        """Watch no longer."""
        for tag in self._tags:
            self.node.RemoveObserver(tag)
        self._tags = []

    def look(self):
        """Remember the transform that the segmentation is under."""
        self._transform = None
        if self.node.GetParentTransformNode() is not None:
            general = Transforms.transformBetween(self.node, None)
            matrix = Transforms.matrixOf(general)
            self._transform = general if matrix is None else Transforms.linear(matrix)

    def _onModified(self):
        watch = self._watch()
        if watch is not None:
            watch.settle(self.node)

    def _onReferenceChanged(self):
        Placement.settle(self.node, Segments.layerOf(self.node))

    def _onTransformModified(self):
        node, before = self.node, self._transform
        self.look()
        hardened = before is not None and Placement.wasHardened(node, before)
        bent = hardened and Bending.harden(node, before)
        watch = self._watch()
        if watch is not None:
            watch._moved(node, bent)


def _safely(method, *arguments):
    """Call a method nobody waits for: what is damaged is said in the log, and everything else goes on."""
    try:
        method(*arguments)
    except SoftSegError as error:
        Stored.tell(error)


def _calling(target, method):
    """Return a callback that calls ``method(target, node)`` as long as the target lives."""
    reference = weakref.ref(target)

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def call(caller, event, node=None):  # noqa: ARG001 - VTK's signature
        target = reference()
        if target is not None:
            _safely(method, target, node)

    return call


def _telling(target, method):
    """Return a callback that calls ``method(target)`` as long as the target lives; event data are not read."""
    reference = weakref.ref(target)

    def call(_caller, _event):
        target = reference()
        if target is not None:
            _safely(method, target)

    return call
