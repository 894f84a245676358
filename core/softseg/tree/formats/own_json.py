"""The product's own format: JSON that keeps everything, one node a line.

``{"schema": "softseg-label-tree", "version": 1, "name": ..., "nodes": [{"id", "name", "parent", "weight", "color",
"value", "terminology"}, ...]}``; docs/label-trees.md describes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.texts import TooDeepError, parse_json
from softseg.tree.formats.source import build, located
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import Code, Node, NodeError, Terminology

SCHEMA = "softseg-label-tree"
VERSION = 1
_NODE_KEYS = frozenset({"id", "name", "parent", "weight", "color", "value", "terminology"})
_CODE_FIELDS = ("category", "type", "type_modifier", "region", "region_modifier")


def to_json(tree: LabelTree) -> dict[str, Any]:
    """Return the tree as a JSON object; fields at their defaults are left out."""
    return {"schema": SCHEMA, "version": VERSION, "name": tree.name, "nodes": [_node_object(n) for n in tree.nodes]}


def _node_object(node: Node) -> dict[str, Any]:
    entry: dict[str, Any] = {"id": node.id, "name": node.name, "parent": node.parent}
    if node.weight != 1.0:
        entry["weight"] = node.weight
    if node.color is not None:
        entry["color"] = list(node.color)
    if node.value is not None:
        entry["value"] = node.value
    if node.terminology is not None:
        codes = {field: getattr(node.terminology, field) for field in _CODE_FIELDS}
        entry["terminology"] = {
            field: {"value": code.value, "scheme": code.scheme, "meaning": code.meaning}
            for field, code in codes.items()
            if code is not None
        }
    return entry


def write(tree: LabelTree) -> str:
    """Return the tree as JSON text with one node a line."""
    document = to_json(tree)
    nodes = ",\n".join(f"    {json.dumps(node, ensure_ascii=False)}" for node in document.pop("nodes"))
    head = json.dumps(document, ensure_ascii=False, indent=2).removesuffix("\n}")
    return f'{head},\n  "nodes": [\n{nodes}\n  ]\n}}\n'


def read(text: str, file: Path, name: str) -> LabelTree:
    """Return the tree in JSON text; without a name in it, it is called ``name``.

    Raises
    ------
    InputError: not JSON, not a label tree, of a newer version, or not one valid tree; file, line and node are named.
    """
    try:
        document = parse_json(text, _object)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=file, field=f"line {error.lineno}") from error
    except TooDeepError as error:
        raise InputError(f"not a label tree: {error}", file=file) from error
    except ValueError as error:
        raise InputError(f"not JSON: {error}", file=file) from error
    return _tree(document, file, _node_lines(text), name)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entry = dict(pairs)
    if len(entry) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key '{next(key for key in keys if keys.count(key) > 1)}' is there twice")
    return entry


def from_json(document: Any) -> LabelTree:
    """Return the tree that a JSON object describes; see :func:`read`."""
    return _tree(document, None, [], "")


def _tree(document: Any, file: Path | None, lines: list[int], name: str) -> LabelTree:
    if not isinstance(document, Mapping):
        raise InputError("expected a JSON object", file=file)
    if document.get("schema") != SCHEMA:
        raise InputError(
            f"expected '{SCHEMA}', got {document.get('schema')!r}", file=file, field="schema", hint="not a label tree"
        )
    version = document.get("version")
    if version != VERSION or isinstance(version, bool):
        raise InputError(
            f"expected version {VERSION}, got {version!r}",
            file=file,
            field="version",
            hint="written by a newer softseg? update this one",
        )
    if unknown := sorted(set(document) - {"schema", "version", "name", "nodes"}):
        raise InputError("unknown key", file=file, field=unknown[0])
    name = document.get("name", name)
    if not isinstance(name, str):
        raise InputError(f"expected text, got {name!r}", file=file, field="name")
    entries = document.get("nodes")
    if not isinstance(entries, list):
        raise InputError("expected a list of nodes", file=file, field="nodes")
    padded: list[int | None] = [*lines, *[None] * (len(entries) - len(lines))]
    nodes = []
    for position, entry in enumerate(entries):
        with located(file, padded[position]):
            nodes.append(_node(entry, position))
    return build(nodes, padded, file, name)


def _node(entry: Any, position: int) -> Node:
    if not isinstance(entry, Mapping):
        raise NodeError(f"expected nodes[{position}] to be an object, got {entry!r}")
    id_ = entry.get("id")
    if not isinstance(id_, str):
        raise NodeError(f"expected nodes[{position}] to have an id that is text, got {id_!r}")
    if unknown := sorted(set(entry) - _NODE_KEYS):
        raise NodeError(f"unknown key '{unknown[0]}'", node=id_, hint=f"expected {', '.join(sorted(_NODE_KEYS))}")
    fields = {key: entry[key] for key in ("weight", "color", "value") if key in entry}
    return Node(
        id_,
        entry.get("name", id_),
        entry.get("parent"),
        terminology=_terminology(entry.get("terminology"), id_),
        **fields,
    )


def _terminology(entry: Any, node: str) -> Terminology | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping) or not {"category", "type"} <= set(entry) <= set(_CODE_FIELDS):
        raise NodeError(
            f"expected terminology with category, type and at most {', '.join(_CODE_FIELDS[2:])}", node=node
        )
    codes = {}
    for field, code in entry.items():
        if not isinstance(code, Mapping) or set(code) != {"value", "scheme", "meaning"}:
            raise NodeError(f"expected terminology {field} to have value, scheme and meaning", node=node)
        try:
            codes[field] = Code(code["value"], code["scheme"], code["meaning"])
        except NodeError as error:
            raise NodeError(error.message, node=node) from error
    return Terminology(**codes)


def _node_lines(text: str) -> list[int]:
    """Return the line (from 1) on which each entry of the list ``nodes`` begins; ``text`` is valid JSON."""
    decoder, blank = json.JSONDecoder(), re.compile(r"[\s,:]*")

    def skip(at: int) -> int:
        match = blank.match(text, at)
        return match.end() if match else at

    lines: list[int] = []
    at = skip(0)
    if text[at] != "{":
        return lines
    at = skip(at + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = skip(at)
        if key == "nodes" and text[at] == "[":
            lines, at = [], skip(at + 1)
            while text[at] != "]":
                lines.append(text.count("\n", 0, at) + 1)
                at = skip(decoder.raw_decode(text, at)[1])
            at = skip(at + 1)
        else:
            at = skip(decoder.raw_decode(text, at)[1])
    return lines
