"""Expressions (``$...``) in configurations of MONAI: which of them are values and nothing more.

MONAI evaluates them with Python's ``eval``. Here an expression may compute with numbers, texts, lists and references,
and call the few functions below; anything else (other calls, lambdas, comprehensions, imports) is code and refused.
"""

from __future__ import annotations

import ast
import re

from softseg.errors import InputError

_REFERENCE = re.compile(r"@(\w+(?:(?:::|#)\w+)*)")
_NODES = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.Attribute, ast.Call, ast.keyword, ast.Subscript, ast.Slice),
    *(ast.List, ast.Tuple, ast.Dict, ast.IfExp, ast.Compare, ast.BoolOp, ast.UnaryOp, ast.BinOp),
    *(ast.And, ast.Or, ast.Not, ast.USub, ast.UAdd, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod),
    *(ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot),
)
_FUNCTIONS = {
    *("int", "float", "bool", "str", "len", "list", "tuple", "min", "max", "round", "abs", "sum"),
    *("torch.device", "torch.cuda.is_available"),
}
_METHODS = ("to", "eval")
_NUMBERS = (
    "float16",
    "float32",
    "float64",
    "float",
    "half",
    "double",
    "int8",
    "int16",
    "int32",
    "int64",
    "int",
    "long",
)
_TYPES = {f"{module}.{name}" for module in ("torch", "np", "numpy") for name in (*_NUMBERS, "uint8", "uint16", "bool")}


def references(text: str) -> list[str]:
    """Return what a text refers to (``@a::b``), as paths separated by ``::``."""
    return [found.replace("#", "::") for found in _REFERENCE.findall(text)]


def require_plain(text: str, file: str, field: str) -> None:
    """Refuse an expression that is more than a value.

    Parameters
    ----------
    text: without its ``$``.
    file, field: for messages.

    Raises
    ------
    InputError: it is code, or no expression of Python.
    """
    try:
        tree = ast.parse(_REFERENCE.sub("_ref", text).strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(text, file, field) from error
    _require_values(tree.body, text, file, field)


def _require_values(node: ast.AST, text: str, file: str, field: str) -> None:
    if not isinstance(node, _NODES):
        raise _refused(text, file, field)
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.Call):
        if not _is_known(node.func):
            raise _refused(text, file, field)
        children = [child for child in children if child is not node.func]
    elif isinstance(node, ast.Attribute):
        if _dotted(node) not in _TYPES:
            raise _refused(text, file, field)
        children = []
    elif isinstance(node, ast.Name) and node.id != "_ref":
        raise _refused(text, file, field)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)) and ("_ref" in str(node.value)):
        raise _refused(text, file, field)  # MONAI puts quotation marks in its place, which would end the text
    for child in children:
        _require_values(child, text, file, field)


def _is_known(function: ast.AST) -> bool:
    """Whether a function is one of those above, or moves a network that is referred to."""
    if _dotted(function) in _FUNCTIONS:
        return True
    if not isinstance(function, ast.Attribute) or function.attr not in _METHODS:
        return False
    inner = function.value
    return (isinstance(inner, ast.Name) and inner.id == "_ref") or (
        isinstance(inner, ast.Call) and not inner.args and _is_known(inner.func)
    )


def _dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return "?"


def _refused(text: str, file: str, field: str) -> InputError:
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    return InputError(
        f"is code ({shown}), which is not run",
        file=file,
        field=field,
        hint="--trust-code runs it, if you trust where the bundle comes from",
    )
