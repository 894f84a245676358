"""``slicer.parameterNodeWrapper``: typed attributes over a vtkMRMLScriptedModuleNode, and their widgets.

bool, int, float, str, list[str] and MRML node classes (also ``| None``). Values are stored in the node under the
attribute's name, nodes as node references.
"""

from __future__ import annotations

import ast
import types
import typing
from contextlib import contextmanager

import slicer
import vtk
from PySide6.QtWidgets import QAbstractButton, QComboBox, QDoubleSpinBox, QLineEdit, QSlider, QSpinBox, QWidget

SlicerParameterNamePropertyName = "SlicerParameterName"
_PLAIN = {bool: False, int: 0, float: 0.0, str: "", list: []}


class _Parameter:
    def __init__(self, name, kind, default):
        self.name, self.kind = name, kind
        self.isNode = isinstance(kind, type) and issubclass(kind, slicer.vtkMRMLNode)
        if not self.isNode and kind not in _PLAIN:
            raise TypeError(f"the stand-in cannot store {name}: {kind}")
        self.default = default

    def __get__(self, wrapper, _owner=None):
        if wrapper is None:
            return self
        node = wrapper.parameterNode
        if self.isNode:
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        return text if self.kind is str else self.kind(ast.literal_eval(text))

    def __set__(self, wrapper, value):
        node = wrapper.parameterNode
        if self.isNode:
            if value is not None and not isinstance(value, self.kind):
                raise TypeError(f"{self.name}: expected {self.kind.__name__}, got {type(value).__name__}")
            node.SetNodeReferenceID(self.name, None if value is None else value.GetID())
            return
        if self.kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, self.kind):
            raise TypeError(f"{self.name}: expected {self.kind.__name__}, got {value!r}")
        node.SetParameter(self.name, value if self.kind is str else repr(value))


def _kindOf(annotation):
    if typing.get_origin(annotation) is typing.Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    return list if typing.get_origin(annotation) is list else annotation


class _Connector:
    """One widget: how it is read, written, and heard."""

    def __init__(self, widget, changed):
        self.widget = widget
        reads = {
            QAbstractButton: ("checked", "toggled"),
            QLineEdit: ("text", "textChanged"),
            QSpinBox: ("value", "valueChanged"),
            QDoubleSpinBox: ("value", "valueChanged"),
            QSlider: ("value", "valueChanged"),
        }
        if hasattr(widget, "currentNode"):
            self._property, self.signal = None, widget.currentNodeChanged
        elif isinstance(widget, QComboBox):
            self._property, self.signal = "currentText", widget.currentIndexChanged
        elif hasattr(widget, "currentPathChanged"):
            self._property, self.signal = "currentPath", widget.currentPathChanged
        elif hasattr(widget, "valueChanged") and not isinstance(widget, tuple(reads)):
            self._property, self.signal = "value", widget.valueChanged
        else:
            self._property, name = next(v for k, v in reads.items() if isinstance(widget, k))
            self.signal = getattr(widget, name)
        self._slot = lambda *_: changed()
        self.signal.connect(self._slot)

    def read(self):
        return self.widget.currentNode() if self._property is None else self.widget.property(self._property)

    def write(self, value):
        if self._property is None:
            self.widget.setCurrentNode(value)
        elif value != self.read():
            self.widget.setProperty(self._property, value)

    def release(self):
        self.signal.disconnect(self._slot)


class _Wrapper:
    """What every wrapper class can do."""

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis, self._nextTag, self._updating = {}, 0, False
        for parameter in self.allParameters.values():
            if not parameter.isNode and not parameterNode.GetParameterNames().count(parameter.name):
                parameter.__set__(self, parameter.default)

    def default(self, name):
        """Return an object with the default as ``value``."""
        return types.SimpleNamespace(value=self.allParameters[name].default)

    def getValue(self, name):
        """Return the value of the parameter of this name."""
        return getattr(self, self.allParameters[name].name)

    def setValue(self, name, value):
        """Set the value of the parameter of this name."""
        setattr(self, self.allParameters[name].name, value)

    def connectGui(self, gui):
        """Tie widgets with the property SlicerParameterName to their parameters; returns a tag to untie them."""
        if isinstance(gui, QWidget):
            widgets = gui.findChildren(QWidget)
        else:
            widgets = [w for w in vars(gui).values() if isinstance(w, QWidget)]
        named = {w.property(SlicerParameterNamePropertyName): w for w in widgets}
        return self.connectParametersToGui({name: widget for name, widget in named.items() if name})

    def connectParametersToGui(self, mapping):
        """Tie the widgets of a dictionary; returns a tag to untie them."""
        for name in mapping:
            if name not in self.allParameters:
                raise ValueError(f"no parameter of the name {name}")
        connectors = {}
        for name, widget in mapping.items():
            connectors[name] = connector = _Connector(widget, lambda name=name: self._fromGui(name))
            with self._quiet():
                connector.write(self.getValue(name))
        tag, self._nextTag = self._nextTag, self._nextTag + 1
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self._toGui())
        self._guis[tag] = connectors, observer
        return tag

    def disconnectGui(self, tag):
        """Untie the widgets of a tag."""
        connectors, observer = self._guis.pop(tag)
        self.RemoveObserver(observer)
        for connector in connectors.values():
            connector.release()

    @contextmanager
    def _quiet(self):
        before, self._updating = self._updating, True
        try:
            yield
        finally:
            self._updating = before

    def _fromGui(self, name):
        if not self._updating:
            connector = next(c[name] for c, _ in self._guis.values() if name in c)
            self.setValue(
                name,
                self.allParameters[name].kind(connector.read())
                if not self.allParameters[name].isNode
                else connector.read(),
            )

    def _toGui(self):
        if self._updating:
            return
        with self._quiet():
            for connectors, _ in list(self._guis.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))

    def StartModify(self):
        """Hold events back."""
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        """Send them."""
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event, callback, priority=0.0):
        """Observe the node."""
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        """Stop observing."""
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        """Say that it changed."""
        self.parameterNode.Modified()


def parameterNodeWrapper(classtype=None):
    """Make the annotated attributes of a class parameters of the node given to its constructor."""

    def wrap(cls):
        hints = typing.get_type_hints(cls, include_extras=True)
        parameters = {}
        for name, annotation in hints.items():
            kind = _kindOf(annotation)
            parameters[name] = _Parameter(name, kind, getattr(cls, name, _PLAIN.get(kind)))
        body = {**{k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__")}, **parameters}
        return type(cls.__name__, (_Wrapper,), {**body, "allParameters": parameters})

    return wrap if classtype is None else wrap(classtype)
