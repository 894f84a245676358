"""Label trees that are made from the labels themselves, where a dataset names none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.cubes import read_label_map
from softseg.data.importers.description import flat_tree
from softseg.data.labels import settled_labels
from softseg.errors import InputError
from softseg.events import Events
from softseg.soft.raters import OVERSHOOT
from softseg.tree import LabelTree, Node
from softseg.tree.labels import WHOLE, farthest_from_whole
from softseg.tree.node import MAX_VALUE

CONTAINED = 0.98
"""A structure counts as part of another when at least this much of it lies inside (our default)."""

_MOST_VALUES = 1000


def tree_of_values(
    cases: Sequence[Mapping[str, Any]], name: str, events: Events, names: Mapping[int, str] | None = None
) -> LabelTree:
    """Return a flat tree of the values in all label files; soft ones have the single structure ``structure``.

    Parameters
    ----------
    cases: with ``labels``.
    name: of the tree.
    events: receives warnings of values that were rounded.
    names: of the values, as far as they are known; others are called ``label-VALUE``.

    Raises
    ------
    InputError: a file holds other numbers than label values or soft labels in 0..1, too many values, or all hold 0.
    """
    values: set[int] = set()
    soft: Path | None = None
    for case in cases:
        for path in case["labels"] if isinstance(case["labels"], list) else [case["labels"]]:
            events.check()
            array = settled_labels(read_label_map(path).array, path, events.warning)
            if array.dtype.kind == "f":
                if array.min() < -OVERSHOOT or array.max() > 1 + OVERSHOOT:
                    raise InputError(
                        f"expected whole label values or soft labels in 0..1, got {farthest_from_whole(array)}",
                        file=path,
                        field="labels",
                        hint=f"only values within {WHOLE:g} of a whole number are rounded",
                    )
                soft = soft or path
                values.add(1)
                continue
            found = [int(value) for value in np.unique(array)]
            strange = next((value for value in found if not 0 <= value <= MAX_VALUE), None)
            if strange is not None:
                raise InputError(f"expected label values in 0..{MAX_VALUE}, got {strange}", file=path, field="labels")
            values.update(found)
            if len(values) > _MOST_VALUES:
                raise InputError(f"holds more than {_MOST_VALUES} values: is it a label map?", file=path)
    called = {value: (names or {}).get(value, f"label-{value}") for value in sorted(values) if value != 0}
    count = Counter(called.values())
    leaves = {text if count[text] == 1 else f"{text} {value}": value for value, text in called.items()}
    if not leaves:
        raise InputError("the labels hold nothing but 0", file=Path(name), field="labels")
    if soft is not None and len(leaves) > 1:
        raise InputError("holds soft labels where others hold several label values", file=soft, field="labels")
    return flat_tree(leaves, name)


def tree_of_maps(cases: Sequence[Mapping[str, Any]], nodes: Sequence[str], name: str) -> LabelTree:
    """Return a tree in which a structure that always lies inside another is its child, beside ``rest-of-PARENT``."""
    volume = dict.fromkeys(nodes, 0.0)
    common = {(one, other): 0.0 for one in nodes for other in nodes}
    for case in cases:
        arrays = {node: np.asarray(read_label_map(path).array, np.float32) for node, path in case["labels"].items()}
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) > 1:
            raise InputError("label files of one scan differ in size", file=case["labels"][nodes[0]], field=case["id"])
        for one in nodes:
            volume[one] += float(arrays[one].sum())
            for other in nodes:
                common[one, other] += float(np.minimum(arrays[one], arrays[other]).sum())
    nodes = [node for node in nodes if node != "background"]
    parents = dict.fromkeys(nodes, "root")
    for one in nodes:
        around = [
            other
            for other in nodes
            if volume[one] > 0 and volume[one] < volume[other] and common[one, other] > CONTAINED * volume[one]
        ]
        parents[one] = min(around, key=lambda other: volume[other], default="root")
    return _nested_tree(parents, name)


def _nested_tree(parents: Mapping[str, str], name: str) -> LabelTree:
    nodes = [Node(id="root", name=name, parent=None), Node(id="background", name="background", parent="root", value=0)]
    value = 0

    def add(parent: str) -> None:
        nonlocal value
        inside = [node for node, above in parents.items() if above == parent]
        for node in inside:
            leaf = node not in parents.values()
            value += 1 if leaf else 0
            nodes.append(Node(id=node, name=node, parent=parent, value=value if leaf else None))
            add(node)
        if inside and parent != "root":
            value += 1
            nodes.append(Node(id=f"rest-of-{parent}", name=f"rest of {parent}", parent=parent, value=value))

    add("root")
    return LabelTree(nodes, name)
