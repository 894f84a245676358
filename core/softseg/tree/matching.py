"""What belongs to what: the node of a label tree for each segment, label or leaf that came from elsewhere.

Each item is matched by itself: by its id or name, else by its DICOM code, else by its label value, and by value only
where no name contradicts. Nothing is guessed: what stays open has a reason, and callers ask or refuse.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

from softseg.errors import InputError
from softseg.tree.finding import Found, NodeFinder, says_any_tissue
from softseg.tree.labels import free_values
from softseg.tree.names import says_nothing
from softseg.tree.node import Node, Terminology

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

How: TypeAlias = Literal["id", "name", "code", "value", "choice", "added", ""]

_SHOWN = 6


class Choice(Enum):
    """What else people may choose for an item than a node."""

    LEAVE_OUT = "leave out"
    ADD = "add"


LEAVE_OUT, ADD = Choice.LEAVE_OUT, Choice.ADD

Chosen: TypeAlias = Mapping[Hashable, "str | Choice"]
"""What people chose: by key the id of a node, ``LEAVE_OUT`` or ``ADD`` (a new leaf below the root)."""


@dataclass(frozen=True)
class Item:
    """Something that has a name, a code or a value and belongs to a node of a tree.

    Attributes
    ----------
    key: what the caller knows it by; unique.
    name: what people call it; may be empty.
    id: a stable id, as segments have; may be empty.
    value: its label value, None where it has none that means anything.
    terminology: its DICOM codes.
    given: whether somebody gave it the name; False for what a program's own colour table calls its value.
    """

    key: Hashable
    name: str = ""
    id: str = ""
    value: int | None = None
    terminology: Terminology | None = None
    given: bool = True

    @property
    def nameless(self) -> bool:
        """Whether its name is one that programs give, or none."""
        return says_nothing(self.name)

    @property
    def shown(self) -> str:
        """What messages call it: a segment by its name, a label by its value and its name."""
        if self.value is None or (self.id and not self.nameless):
            return self.name or self.id or str(self.key)
        named = self.name and self.name != str(self.value)
        return f"{self.value} ({self.name})" if named else str(self.value)


@dataclass(frozen=True)
class Match:
    """What was found for an item.

    Attributes
    ----------
    item: what was asked about.
    node: its node; None where it is left out or open.
    how: what decided; empty where it is open or left out.
    reason: why it is open.
    left_out: whether people chose to leave it out.
    """

    item: Item
    node: Node | None = None
    how: How = ""
    reason: str = ""
    left_out: bool = False

    @property
    def open(self) -> bool:
        """Whether nothing was found and nobody chose anything."""
        return self.node is None and not self.left_out


@dataclass(frozen=True)
class Matching:
    """The matches of all items, in their order.

    Attributes
    ----------
    tree: where the nodes are; it has the leaves that were added.
    matches: one per item.
    """

    tree: LabelTree
    matches: tuple[Match, ...]

    @property
    def open(self) -> tuple[Match, ...]:
        """The items that have no node."""
        return tuple(match for match in self.matches if match.open)

    @property
    def by_value(self) -> tuple[Match, ...]:
        """The items that nothing but their label value speaks for."""
        return tuple(match for match in self.matches if match.how == "value")

    @property
    def nodes(self) -> dict[Hashable, Node]:
        """The nodes that were found, by the items' keys."""
        return {match.item.key: match.node for match in self.matches if match.node is not None}

    @property
    def values(self) -> dict[Hashable, int]:
        """The tree's label values (:meth:`LabelTree.value_of`) by the items' keys; what is left out is not there."""
        return {key: self.tree.value_of(node.id) for key, node in self.nodes.items()}

    def require(self, hint: str = "rename them, choose another label tree, or say which node each of them is") -> None:
        """Refuse open items.

        Raises
        ------
        InputError: items are open; they and the reasons are named.
        """
        if not self.open:
            return
        plain = [match.item.shown for match in self.open if not match.reason]
        parts = [f"the label tree '{self.tree.name}' has no node for {listed(plain)}"] if plain else []
        told = [f"{match.item.shown}: {match.reason}" for match in self.open if match.reason]
        more = [f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else []
        head = [] if plain or not told else [f"not every label has a node in the label tree '{self.tree.name}'"]
        raise InputError("; ".join([*parts, *head, *told[:_SHOWN], *more]), hint=hint)

    def said(self) -> str:
        """Return one line about the items that were taken by value alone; empty where none was."""
        found = [f"{match.item.shown} as '{match.node.name}'" for match in self.by_value if match.node is not None]
        return f"taken by label value, as no name says more: {listed(found)}" if found else ""

    def adding(self, keys: Iterable[Hashable] | None = None) -> Matching:
        """Return the matching with a new leaf below the root for these open items (all of them by default)."""
        wanted = {match.item.key for match in self.open} if keys is None else set(keys)
        tree, matches = self.tree, []
        for match in self.matches:
            if match.item.key in wanted and match.node is None:
                tree, node = _with_leaf(tree, match.item)
                match = Match(match.item, node, "added")
            matches.append(match)
        return Matching(tree, tuple(matches))

    def leaving_out(self, keys: Iterable[Hashable] | None = None) -> Matching:
        """Return the matching without these open items (all of them by default)."""
        wanted = {match.item.key for match in self.open} if keys is None else set(keys)
        return Matching(
            self.tree,
            tuple(
                Match(match.item, left_out=True) if match.item.key in wanted and match.open else match
                for match in self.matches
            ),
        )


def match_items(
    items: Sequence[Item], tree: LabelTree, chosen: Chosen | None = None, *, numbered: bool = False
) -> Matching:
    """Match items with the nodes of a tree.

    A name decides, however it is spelled (:mod:`softseg.tree.names`), before the id, the code and the value. Names
    that programs give (``Segment_3``) say nothing; there the value counts, unless it is known that the values are
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
    settled = {item.key: _chosen(item, chosen[item.key], tree) for item in items if item.key in chosen}
    rest = [item for item in items if item.key not in settled]
    rest, contradictory = _assumed(rest, tree, finder)
    named = _one_to_one([_by_name(item, tree, finder) for item in rest])
    trusted = not _numbered_otherwise(named, tree) and not (numbered and any(not item.nameless for item in items))
    taken = {match.node.id for match in (*settled.values(), *(one.match for one in named)) if match.node is not None}
    found = {one.match.item.key: one.match for one in named}
    by_value = [_by_value(one, tree, trusted, taken) for one in named if one.match.node is None]
    found |= {match.item.key: match for match in _alone(by_value)}
    found |= {match.item.key: match for match in contradictory} | settled
    added = [item.key for item in items if chosen.get(item.key) is ADD]
    return Matching(tree, tuple(replace(found[item.key], item=item) for item in items)).adding(added)


def listed(names: Sequence[object]) -> str:
    """Return names for a sentence, the first few of many."""
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


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
    found = finder.find(item.name) if item.name else Found()
    coded = finder.with_code(item.terminology)
    if found.node is not None:
        if coded is not None and not _related(coded, found.node, tree):
            return _Named(Match(item, reason=f"its name says '{found.node.name}', its code '{coded.name}'"))
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
    """Whether the name of an item says that the values are not the tree's."""
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

    Names that nobody gave count where all of them mean nodes and the values do not; where both do and differ, nothing
    says which is right.
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
        Match(item, reason=f"its value says '{differing[item.key].name}', the program's own colour table '{item.name}'")
        for item in assumed
        if item.key in differing
    ]
    kept = [item for item in items if item.key not in differing]
    return [item if item.given else replace(item, name="") for item in kept], open_


def _with_leaf(tree: LabelTree, item: Item) -> tuple[LabelTree, Node]:
    """Return the tree with a leaf below the root that has the item's name, and its id, value and codes where free."""
    name = " ".join((item.name or (f"label {item.value}" if item.value is not None else item.id or "new")).split())
    wanted = id_ = item.id or name
    number = 2
    while id_ in tree:
        id_, number = f"{wanted}-{number}", number + 1
    taken = set(tree.node_values().values()) | {0}
    value = item.value if item.value is not None and item.value not in taken else free_values(taken, 1)[0]
    codes = item.terminology
    codes = None if codes is not None and says_any_tissue(codes) else codes
    tree = tree.add(Node(id_, name, tree.root.id, value=value, terminology=codes))
    return tree, tree.node(id_)
