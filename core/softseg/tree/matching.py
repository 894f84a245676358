"""What belongs to what: the node of a label tree for each segment, label or leaf that came from elsewhere.

Each item is matched by itself: by its id or name, else by its DICOM code, else by its label value, and by value only
where no name contradicts. Nothing is guessed: what stays open has a reason, and callers ask or refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from softseg.tree.finding import NameMatch, NodeFinder
from softseg.tree.matches import ADD, LEAVE_OUT, Choice, Chosen, Item, Match, Matching, listed
from softseg.tree.names import says_nothing
from softseg.tree.node import Node

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

__all__ = [
    "ADD",
    "LEAVE_OUT",
    "Choice",
    "Chosen",
    "Item",
    "Match",
    "Matching",
    "contradictions",
    "listed",
    "match_items",
    "match_trees",
]

_SHOWN = 6


def match_items(
    items: Sequence[Item], tree: LabelTree, chosen: Chosen | None = None, *, numbered: bool = False
) -> Matching:
    """Match items with the nodes of a tree.

    A name decides, however it is spelled (:mod:`softseg.tree.names`), before the id, the code and the value. Names
    that programs give (``Segment_3``) are ignored; there the value counts, unless it is known that the values are
    others than the tree's: because an item that has a name has another value than its node, or because ``numbered``
    and any item has a name. A name that no node has contradicts the value. Items that mean the same node are open, but
    for the one whose name is spelled like it.

    Parameters
    ----------
    items: with different keys; the result has their order, which matters for nothing else.
    tree: where nodes are looked for.
    chosen: what people chose; it is taken as it is, also several items for one node.
    numbered: whether a program numbered the values one after another, as Slicer does with segments.

    Raises
    ------
    NodeError (an InputError): a chosen node is not in the tree.
    """
    finder, chosen = NodeFinder(tree), dict(chosen or {})
    settled = {item.key: _chosen(item, choice, tree) for item in items if (choice := chosen.get(item.key)) is not None}
    rest = [item for item in items if item.key not in settled]
    rest, contradictory = _assumed(rest, tree, finder)
    named = _one_to_one([_by_name(item, tree, finder) for item in rest])
    names = any(not item.nameless for item in rest)
    trusted = not _numbered_otherwise(named, tree) and not (numbered and (names or settled))
    taken = {match.node.id for match in (*settled.values(), *(one.match for one in named)) if match.node is not None}
    found = {one.match.item.key: one.match for one in named}
    by_value = [_by_value(one, tree, trusted, taken) for one in named if one.match.node is None]
    found |= {match.item.key: match for match in _alone(by_value)}
    found |= {match.item.key: match for match in contradictory} | settled
    added: Chosen = {item.key: ADD for item in items if chosen.get(item.key) is ADD}
    return Matching(tree, tuple(replace(found[item.key], item=item) for item in items)).choosing(added)


def match_trees(source: LabelTree, target: LabelTree) -> Matching:
    """Match the nodes of one tree that have label values with those of another; the keys are the values.

    A node that has the same id and the same value in both is one node, whatever it is called by now: so an edited tree
    fits what its earlier versions made. Others are matched as in :func:`match_items`.
    """
    nodes = [node for node in source.nodes if node.value is not None]
    items = [Item(node.value, node.name, node.id, node.value, node.terminology) for node in nodes]
    same: Chosen = {node.value: node.id for node in nodes if node.id in target and _same(node, target.node(node.id))}
    return match_items(items, target, same)


def contradictions(source: LabelTree, target: LabelTree) -> list[str]:
    """Return a text for each label value that means one thing in one tree and another in the other.

    A value that only one of them has is none.
    """
    finder = NodeFinder(target)
    found = []
    for node in source.nodes:
        other = _with_value(node.value, target)
        if other is None or node.value == 0 or says_nothing(node.name) or says_nothing(other.name):
            continue
        coded = finder.with_code(node.terminology)
        if not _same(node, other) and other not in finder.find(node.name).nodes and other != coded:
            found.append(f"{node.value} is '{node.name}' in one and '{other.name}' in the other")
    return found


def _same(node: Node, other: Node) -> bool:
    """Whether nodes of two trees are one: a meaningful id, and the value."""
    return node.id == other.id and node.value == other.value and not says_nothing(node.id)


@dataclass(frozen=True)
class _Named:
    """A match by name, id or code, and how sure it is (0 is surest)."""

    match: Match
    doubt: int = 0
    candidates: tuple[Node, ...] = ()


def _chosen(item: Item, choice: str | Choice, tree: LabelTree) -> Match:
    if isinstance(choice, Choice):
        return Match(item, left_out=choice is LEAVE_OUT)
    return Match(item, tree.node(choice), "choice")


def _by_name(item: Item, tree: LabelTree, finder: NodeFinder) -> _Named:
    """Return the node that a name means, else the id, else the code."""
    found = finder.find(item.name) if item.name else NameMatch()
    coded = finder.with_code(item.terminology)
    if found.node is not None:
        if coded is not None and not _related(coded, found.node, tree):
            return _Named(Match(item, reason=f"its name means '{found.node.name}', its code '{coded.name}'"))
        return _Named(Match(item, found.node, "name"), found.spelling)
    if item.id in tree:
        return _Named(Match(item, tree.node(item.id), "id"), 4)
    inside = [node for node in found.nodes if coded is not None and node.id == coded.id]
    if coded is not None and (inside or not found.nodes):
        return _Named(Match(item, coded, "code"), 5)
    if found.nodes:
        could = " or ".join(repr(node.id) for node in found.nodes[:_SHOWN])
        return _Named(Match(item, reason=f"could be {could}; name it by the id of the node"), candidates=found.nodes)
    return _Named(Match(item))


def _related(one: Node, other: Node, tree: LabelTree) -> bool:
    return one in tree.path(other.id) or other in tree.path(one.id)


def _one_to_one(found: Sequence[_Named]) -> list[_Named]:
    """Leave each node to the item that means it most surely; open all others, and all where several are as sure."""
    claims: dict[str, list[_Named]] = {}
    for one in found:
        if one.match.node is not None:
            claims.setdefault(one.match.node.id, []).append(one)
    result = []
    for one in found:
        node = one.match.node
        rivals = [] if node is None else [other for other in claims[node.id] if other is not one]
        if node is not None and any(other.doubt <= one.doubt for other in rivals):
            others = listed([repr(other.match.item.name or other.match.item.shown) for other in rivals])
            one = _Named(Match(one.match.item, reason=f"means '{node.name}', as {others} does"))
        result.append(one)
    return result


def _numbered_otherwise(found: Sequence[_Named], tree: LabelTree) -> bool:
    """Whether the name of an item shows that the values are not the tree's."""
    return any(
        one.match.item.value is not None
        and one.match.node is not None
        and one.match.item.value != one.match.node.value
        and (one.match.node.value is not None or tree.has_value(one.match.item.value))
        for one in found
    )


def _by_value(one: _Named, tree: LabelTree, trusted: bool, taken: set[str]) -> Match:
    """Return the node with an item's value where no name contradicts."""
    item = one.match.item
    node = _with_value(item.value, tree)
    if node is None or (one.match.reason and not one.candidates):
        return one.match
    if one.candidates:
        return Match(item, node, "value") if trusted and node in one.candidates else one.match
    outside = item.value == 0 and node is tree.background
    if not item.nameless and not says_nothing(node.name) and not outside:
        return Match(item, reason=f"no node has this name, and {item.value} is '{node.name}' in the tree")
    if node.id in taken:
        return Match(item, reason=f"{item.value} is '{node.name}' in the tree, which another name means")
    if not trusted and not outside:
        return Match(item, reason="it has no name, and the values of the others are not the tree's")
    return Match(item, node, "value")


def _with_value(value: int | None, tree: LabelTree) -> Node | None:
    """Return the node that has a label value of its own."""
    return None if value is None else next((node for node in tree.nodes if node.value == value), None)


def _alone(found: Sequence[Match]) -> list[Match]:
    """Open all items that have one value, as those of several layers may."""
    nodes = [match.node.id for match in found if match.node is not None]
    return [
        Match(match.item, reason=f"several have the value of '{match.node.name}'")
        if match.node is not None and nodes.count(match.node.id) > 1
        else match
        for match in found
    ]


def _assumed(items: Sequence[Item], tree: LabelTree, finder: NodeFinder) -> tuple[list[Item], list[Match]]:
    """Return the items with the names that count, and open ones.

    Default names count where all of them mean nodes and the values do not; where both do and differ, neither
    is taken.
    """
    assumed = [item for item in items if not item.given and not item.nameless]
    if not assumed:
        return list(items), []
    nodes = {item.key: finder.find(item.name).node for item in assumed}
    by_name = all(nodes.values()) and len({node.id for node in nodes.values() if node}) == len(assumed)
    valued = {item.key: node for item in assumed for node in [_with_value(item.value, tree)] if node is not None}
    if by_name and len(valued) < len(assumed):
        return list(items), []
    differing = {key: node for key, node in valued.items() if by_name and node != nodes[key]}
    open_ = [
        Match(
            item, reason=f"its value means '{differing[item.key].name}', the program's own colour table '{item.name}'"
        )
        for item in assumed
        if item.key in differing
    ]
    kept = [item for item in items if item.key not in differing]
    return [item if item.given else replace(item, name="") for item in kept], open_
