"""Stand-ins of the qMRML widgets that the module uses, over the real scene; in the application they are C++."""

from __future__ import annotations

import slicer
import vtk
from PySide6.QtCore import Property, QSignalBlocker, Signal, Slot
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget
from shiboken6 import Shiboken

from slicerhost.mrmlviews import qMRMLPlotView, qMRMLPlotWidget, qMRMLTableView  # noqa: F401 - install() takes them
from slicerhost.qtmodule import customWidgets


class _SceneObserver:
    """Calls back when nodes come, go or are renamed; a scene that is being closed or loaded calls once, at its end.

    Parameters
    ----------
    changed: method of a widget; when Qt has deleted that, nothing is called any more.
    """

    def __init__(self, changed):
        self._changed = changed
        self.scene = None
        self._tags = []
        self._nodes = {}

    def watch(self, scene):
        self.release()
        self.scene = scene
        if scene is None:
            return
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent, scene.EndCloseEvent):
            self._tags.append(scene.AddObserver(event, self._call))

    def release(self):
        if self.scene is not None:
            for tag in self._tags:
                self.scene.RemoveObserver(tag)
        self._tags = []
        self.watchNodes([])

    def watchNodes(self, nodes):
        for node, tag in self._nodes.values():
            node.RemoveObserver(tag)
        self._nodes = {n.GetID(): (n, n.AddObserver(vtk.vtkCommand.ModifiedEvent, self._call)) for n in nodes}

    def _call(self, *_):
        if not Shiboken.isValid(self._changed.__self__):
            self.release()
        elif not self.scene.IsBatchProcessing():
            self._changed()


class qMRMLWidget(QWidget):
    """A widget that hands the scene on to the widgets inside it."""

    mrmlSceneChanged = Signal("QVariant")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._scene = None

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Take the scene, hand it on (in the application the .ui file's connections do that)."""
        self._scene = scene
        for child in self.findChildren(QWidget):
            if child is not self and hasattr(child, "setMRMLScene"):
                child.setMRMLScene(scene)
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self):
        """Return the scene."""
        return self._scene


class _NodeFilter:
    """``qMRMLSortFilterProxyModel``: which nodes are not to be chosen."""

    def __init__(self, changed):
        self._hiddenIds, self._changed = [], changed

    @property
    def hiddenNodeIDs(self):
        """Ids of nodes that are not shown."""
        return list(self._hiddenIds)

    @hiddenNodeIDs.setter
    def hiddenNodeIDs(self, ids):
        if list(ids) != self._hiddenIds:
            self._hiddenIds = list(ids)
            self._changed()


class qMRMLNodeComboBox(QComboBox):
    """The scene's nodes of some classes, by name."""

    currentNodeChanged = Signal("QVariant")
    currentNodeIDChanged = Signal(str)
    nodeActivated = Signal("QVariant")

    def __init__(self, parent=None):
        super().__init__(parent)
        self._types = []
        self._attributes = []
        self._none = True
        self._noneText = "None"
        self._hidden = False
        self._children = True
        self._uponCreation = True
        self._ids = []
        self._last = None
        self._flags = {}
        self._proxy = _NodeFilter(self._sceneChanged)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self._watcher = _SceneObserver(self._sceneChanged)
        self.currentIndexChanged.connect(self._report)
        self.activated.connect(lambda *_: self.nodeActivated.emit(self.currentNode()))

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Take the scene."""
        self._watcher.watch(scene)
        self._sceneChanged()

    def mrmlScene(self):
        """Return the scene."""
        return self._watcher.scene

    def sortFilterProxyModel(self):
        """Return what tells which nodes are hidden."""
        return self._proxy

    def addAttribute(self, nodeType, name, value=None):
        """Show nodes of that class only if they have that attribute."""
        self._attributes.append((nodeType, name, value))
        self._sceneChanged()

    def removeAttribute(self, nodeType, name):
        """Take such a condition back."""
        self._attributes = [a for a in self._attributes if a[:2] != (nodeType, name)]
        self._sceneChanged()

    def currentNode(self):
        """Return the chosen node or None."""
        identifier = self._currentID()
        return self._watcher.scene.GetNodeByID(identifier) if identifier and self._watcher.scene else None

    def setCurrentNode(self, node):
        """Choose a node (or an id); None chooses nothing."""
        self._setCurrentID(node if isinstance(node, str) else node.GetID() if node is not None else "")

    def setCurrentNodeID(self, identifier):
        """Choose by id."""
        self._setCurrentID(identifier)

    def setCurrentNodeIndex(self, index):
        """Choose by place in the list."""
        self.setCurrentIndex(index + (1 if self._none else 0))

    def nodeCount(self):
        """Return how many nodes are to choose from."""
        return sum(1 for identifier in self._ids if identifier)

    def nodeFromIndex(self, index):
        """Return the node at a place."""
        identifiers = [identifier for identifier in self._ids if identifier]
        return self._watcher.scene.GetNodeByID(identifiers[index])

    def _fits(self, node):
        if not any(node.GetClassName() == t or (self._children and node.IsA(t)) for t in self._types):
            return False
        if node.GetID() in self._proxy.hiddenNodeIDs or (node.GetHideFromEditors() and not self._hidden):
            return False
        for nodeType, name, value in self._attributes:
            if node.IsA(nodeType) and (node.GetAttribute(name) is None or value not in (None, node.GetAttribute(name))):
                return False
        return True

    def _sceneChanged(self):
        scene = self._watcher.scene
        nodes = [] if scene is None else [n for n in _nodesOf(scene) if self._fits(n)]
        self._watcher.watchNodes(nodes)
        entries = ([("", self._noneText)] if self._none else []) + [(n.GetID(), n.GetName() or "") for n in nodes]
        if entries == [(i, self.itemText(k)) for k, i in enumerate(self._ids)]:
            return
        before, known = self._currentID(), set(self._ids)
        new = [identifier for identifier, _ in entries if identifier and identifier not in known]
        with QSignalBlocker(self):
            self.clear()
            self._ids = [identifier for identifier, _ in entries]
            self.addItems([text for _, text in entries])
            wanted = before
            if new and self._uponCreation and scene is not None and not scene.IsBatchProcessing() and known:
                wanted = new[-1]
            if wanted not in self._ids:
                wanted = "" if self._none else (self._ids[0] if self._ids else "")
            self.setCurrentIndex(self._ids.index(wanted) if wanted in self._ids else -1)
        self._report()

    def _currentID(self):
        return self._ids[self.currentIndex()] if 0 <= self.currentIndex() < len(self._ids) else ""

    def _setCurrentID(self, identifier):
        self.setCurrentIndex(self._ids.index(identifier or "") if (identifier or "") in self._ids else -1)

    def _report(self, *_):
        if self._currentID() != self._last:
            self._last = self._currentID()
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(self._last)

    def _change(self, which, value):
        setattr(self, which, value)
        self._sceneChanged()

    def _setNoneText(self, text):
        """Slicer takes the entry away before it adds the other one: where it was chosen, the next one is then."""
        wasChosen = self._none and self.currentIndex() == 0
        self._change("_noneText", text)
        if wasChosen and len(self._ids) > 1:
            self.setCurrentIndex(1)

    def _flag(name, default=True):
        return Property(
            bool, lambda self: self._flags.get(name, default), lambda self, v: self._flags.update({name: v})
        )

    currentNodeID = Property(str, _currentID, _setCurrentID, notify=currentNodeIDChanged)
    nodeTypes = Property("QStringList", lambda self: self._types, lambda self, v: self._change("_types", list(v)))
    noneEnabled = Property(bool, lambda self: self._none, lambda self, v: self._change("_none", v))
    noneDisplay = Property(str, lambda self: self._noneText, _setNoneText)
    showHidden = Property(bool, lambda self: self._hidden, lambda self, v: self._change("_hidden", v))
    showChildNodeTypes = Property(bool, lambda self: self._children, lambda self, v: self._change("_children", v))
    selectNodeUponCreation = Property(
        bool, lambda self: self._uponCreation, lambda self, v: self._change("_uponCreation", v)
    )
    addEnabled = _flag("addEnabled")
    removeEnabled = _flag("removeEnabled")
    editEnabled = _flag("editEnabled", False)
    renameEnabled = _flag("renameEnabled", False)
    del _flag


class qMRMLSegmentSelectorWidget(QWidget):
    """A segmentation and one of its segments."""

    currentNodeChanged = Signal("QVariant")
    currentSegmentChanged = Signal(str)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._nodes = qMRMLNodeComboBox(self)
        self._nodes.setObjectName("comboBox_SegmentationNode")
        self._nodes.nodeTypes = ["vtkMRMLSegmentationNode"]
        self._nodes.selectNodeUponCreation = False
        self._segments = QComboBox(self)
        self._segments.setObjectName("comboBox_Segment")
        self._segments.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._segments.setMinimumContentsLength(8)
        self._ids = []
        self._none = False
        self._horizontal = False
        self._tag = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._nodes)
        layout.addWidget(self._segments)
        self._nodes.currentNodeChanged.connect(self._nodeChanged)
        self._segments.currentIndexChanged.connect(lambda *_: self.currentSegmentChanged.emit(self.currentSegmentID()))

    @Slot("QVariant")
    def setMRMLScene(self, scene):
        """Take the scene."""
        self._nodes.setMRMLScene(scene)

    def currentNode(self):
        """Return the chosen segmentation or None."""
        return self._nodes.currentNode()

    def currentNodeID(self):
        """Return its id."""
        return self._nodes.property("currentNodeID")

    def setCurrentNode(self, node):
        """Choose a segmentation."""
        self._nodes.setCurrentNode(node)

    def setCurrentNodeID(self, identifier):
        """Choose a segmentation by id."""
        self._nodes.setCurrentNodeID(identifier)

    def currentSegmentID(self):
        """Return the chosen segment's id, empty if none."""
        return self._ids[self._segments.currentIndex()] if 0 <= self._segments.currentIndex() < len(self._ids) else ""

    def setCurrentSegmentID(self, identifier):
        """Choose a segment."""
        if identifier in self._ids:
            self._segments.setCurrentIndex(self._ids.index(identifier))

    def segmentIDs(self):
        """Return the ids there are."""
        return [identifier for identifier in self._ids if identifier]

    def _nodeChanged(self, node):
        if self._tag is not None:
            watched, tag = self._tag
            watched.RemoveObserver(tag)
            self._tag = None
        if node is not None:
            self._tag = node, node.AddObserver(slicer.vtkSegmentation.SegmentAdded, lambda *_: self._fill())
        self._fill()
        self.currentNodeChanged.emit(node)

    def _fill(self):
        node, before = self.currentNode(), self.currentSegmentID()
        segmentation = None if node is None else node.GetSegmentation()
        found = [] if segmentation is None else list(segmentation.GetSegmentIDs())
        self._ids = ([""] if self._none else []) + found
        with QSignalBlocker(self._segments):
            self._segments.clear()
            if self._none:
                self._segments.addItem("None")
            self._segments.addItems([segmentation.GetSegment(i).GetName() for i in found])
            if before in self._ids:
                self._segments.setCurrentIndex(self._ids.index(before))
        self.currentSegmentChanged.emit(self.currentSegmentID())

    def _setNone(self, enabled):
        self._none = enabled
        self._nodes.noneEnabled = enabled
        self._fill()

    def _setHorizontal(self, horizontal):
        self._horizontal = horizontal
        self.layout().setDirection(
            QHBoxLayout.Direction.LeftToRight if horizontal else QHBoxLayout.Direction.TopToBottom
        )

    noneEnabled = Property(bool, lambda self: self._none, _setNone)
    horizontalLayout = Property(bool, lambda self: self._horizontal, _setHorizontal)
    selectNodeUponCreation = Property(
        bool,
        lambda self: self._nodes.selectNodeUponCreation,
        lambda self, v: setattr(self._nodes, "selectNodeUponCreation", v),
    )
    segmentationNodeSelectorVisible = Property(
        bool, lambda self: self._nodes.isVisibleTo(self), lambda self, v: self._nodes.setVisible(v)
    )


def _nodesOf(scene):
    return [scene.GetNthNode(index) for index in range(scene.GetNumberOfNodes())]


def install() -> None:
    """Put the widgets into the name space ``slicer``, as in the application, and let .ui files name them."""
    for name, widget in list(globals().items()):
        if name.startswith("qMRML"):
            setattr(slicer, name, widget)
            if widget not in customWidgets:
                customWidgets.append(widget)
