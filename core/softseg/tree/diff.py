"""What differs between two label trees."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from softseg.tree.node import Node

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes
    ----------
    kind: ``"tree"`` (name of the tree), ``"added"``, ``"removed"``, ``"changed"`` (one field of a node) or
        ``"order"`` (the children of a node stand in another order, which changes class indices).
    id: the node; empty for ``"tree"``.
    field: the field that changed, ``"children"`` for ``"order"``, else empty.
    before, after: the field's value, the node, or the children's ids, in the old and the new tree.
    """

    kind: Literal["tree", "added", "removed", "changed", "order"]
    id: str
    field: str
    before: Any
    after: Any


def changes(old: LabelTree, new: LabelTree) -> tuple[Change, ...]:
    """Return every difference: first what was removed, then, in the new tree's order, what was added or changed."""
    found: list[Change] = []
    if old.name != new.name:
        found.append(Change("tree", "", "name", old.name, new.name))
    found += [Change("removed", node.id, "", node, None) for node in old.nodes if node.id not in new]
    for node in new.nodes:
        if node.id not in old:
            found.append(Change("added", node.id, "", None, node))
            continue
        before = old.node(node.id)
        for field in fields(Node):
            if getattr(before, field.name) != getattr(node, field.name):
                changed = getattr(before, field.name), getattr(node, field.name)
                found.append(Change("changed", node.id, field.name, *changed))
        found += _order(node.id, old, new)
    return tuple(found)


def _order(id_: str, old: LabelTree, new: LabelTree) -> list[Change]:
    before, after = [child.id for child in old.children(id_)], [child.id for child in new.children(id_)]
    if [child for child in before if child in after] == [child for child in after if child in before]:
        return []
    return [Change("order", id_, "children", tuple(before), tuple(after))]
