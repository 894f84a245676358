"""Which names of Slicer the module uses, found in its source; and which ones the committed list has."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "SoftSegSlicer"
LIST = Path(__file__).with_name("SlicerNames.txt")
_CLASS = re.compile(r"^(vtkMRML\w+|vtkSlicer\w+|vtkSegment\w*|vtkOrientedImage\w*|qMRML\w+|qSlicer\w+)$")
_METHOD = re.compile(
    r"^(Get|Set|Add|Remove|Create|Update|Is|Has|Contains|Clear|Import|Export|Start|End|Invoke|Copy|Deep"
    r"|Shallow|Apply|Resample|Show|Jump|Find|Generate|Serialize|Deserialize|Register|UnRegister|Read"
    r"|Write|AutoWindow|Insert|Rotate|Fit|Enable|Disable|Modified|Snap|Reset)([A-Z0-9]\w*)?$"
)


def used():
    """Return ``{name: first place}``: classes, ``Class`` strings, ``slicer.util.x``, and methods as ``.Method``."""
    names = {}
    for file in sorted(MODULE.rglob("*.py")):
        for name, line in _namesOf(ast.parse(file.read_text(encoding="utf-8"))):
            names.setdefault(name, f"{file.relative_to(REPOSITORY)}:{line}")
    for file in sorted(MODULE.rglob("*.ui")):
        for widget in ElementTree.parse(file).iter("widget"):  # noqa: S314 - our own files
            if _CLASS.match(widget.get("class", "")):
                names.setdefault(widget.get("class"), str(file.relative_to(REPOSITORY)))
    return names


def _namesOf(tree):
    own = {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in pieces:  # part of an f-string, such as a node's id
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _CLASS.match(node.value):
            yield node.value, node.lineno
        if isinstance(node, ast.Attribute):
            dotted = _dotted(node)
            if dotted.startswith("slicer.") and dotted.count(".") == 1 and _CLASS.match(node.attr):
                yield node.attr, node.lineno
            elif re.match(r"^slicer\.(util|app|modules)\.\w+$", dotted):
                yield dotted, node.lineno
            if _METHOD.match(node.attr) and node.attr not in own:
                yield f".{node.attr}", node.lineno
        if isinstance(node, ast.Call) and _isAttributeLookup(node):
            yield node.args[1].value if _CLASS.match(node.args[1].value) else "", node.lineno


def _isAttributeLookup(node):
    named = isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr") and len(node.args) > 1
    return named and isinstance(node.args[1], ast.Constant) and isinstance(node.args[1].value, str)


def _dotted(node):
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join(reversed([*parts, node.id])) if isinstance(node, ast.Name) else ""


def listed():
    """Return ``{name: header}`` of the committed list."""
    rows = [line.split() for line in LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(rows)


def missing(found, known):
    """Return what is used and not listed: a class or function by its name, a method by that of any listed class."""
    methods = {name.partition(".")[2] for name in known if not name.startswith("slicer.")}
    return {
        name: place
        for name, place in found.items()
        if name and (name[1:] not in methods if name.startswith(".") else name not in known)
    }
