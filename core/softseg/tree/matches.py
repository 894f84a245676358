"""Items that belong to nodes of a label tree, and what was found for each of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, TypeAlias

from softseg.errors import InputError
from softseg.tree.finding import says_any_tissue
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

Chosen: TypeAlias = Mapping[Hashable, "str | Choice | None"]
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
    given: whether a person gave it the name; False for a name from a program's own colour table.
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
        """Whether nothing was found and nothing was chosen."""
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
        """The items that were matched by label value alone."""
        return tuple(match for match in self.matches if match.how == "value")

    @property
    def nodes(self) -> dict[Hashable, Node]:
        """The nodes that were found, by the items' keys."""
        return {match.item.key: match.node for match in self.matches if match.node is not None}

    @property
    def values(self) -> dict[Hashable, int]:
        """The tree's label values (:meth:`LabelTree.value_of`) by the items' keys; what is left out is not there."""
        return {key: self.tree.value_of(node.id) for key, node in self.nodes.items()}

    def only(self, keys: Iterable[Hashable]) -> Matching:
        """Return the matching of these items alone."""
        wanted = set(keys)
        return Matching(self.tree, tuple(match for match in self.matches if match.item.key in wanted))

    def require(self, hint: str = "rename them, choose another label tree, or assign their nodes") -> None:
        """Refuse open items.

        Raises
        ------
        InputError: items are open; they and the reasons are named.
        """
        if not self.open:
            return
        plain = [match.item.shown for match in self.open if not match.reason]
        tree = f"the label tree '{self.tree.name}'" if self.tree.name else "the label tree"
        parts = [f"{tree} has no node for {listed(plain)}"] if plain else []
        reasons = [f"{match.item.shown}: {match.reason}" for match in self.open if match.reason]
        more = [f"and {len(reasons) - _SHOWN} more"] if len(reasons) > _SHOWN else []
        head = [] if plain or not reasons else [f"not every label has a node in {tree}"]
        raise InputError("; ".join([*parts, *head, *reasons[:_SHOWN], *more]), hint=hint)

    def note(self) -> str:
        """Return one line about the items that were taken by value alone; empty where none was."""
        found = [f"{match.item.shown} as '{match.node.name}'" for match in self.by_value if match.node is not None]
        return f"matched by label value, without a known name: {listed(found)}" if found else ""

    def choosing(self, chosen: Chosen) -> Matching:
        """Return the matching with what people chose for items; it is taken as it is, also several for one node.

        Raises
        ------
        NodeError (an InputError): a chosen node is not in the tree.
        InputError: a key is that of no item.
        """
        strange = [key for key in chosen if key not in {match.item.key for match in self.matches}]
        if strange:
            raise InputError(f"there is no label {listed(strange)}", field="mapping")
        tree, matches = self.tree, []
        for match in self.matches:
            choice = chosen.get(match.item.key)
            if choice is ADD:
                tree, node = _with_leaf(tree, match.item)
                matches.append(Match(match.item, node, "added"))
            elif choice is LEAVE_OUT:
                matches.append(Match(match.item, left_out=True))
            elif choice is not None and (match.node is None or match.node.id != choice):
                matches.append(Match(match.item, tree.node(str(choice)), "choice"))
            else:
                matches.append(match)
        return Matching(tree, tuple(matches))

    def adding(self) -> Matching:
        """Return the matching with a new leaf below the root for each open item."""
        return self.choosing({match.item.key: ADD for match in self.open})

    def leaving_out(self) -> Matching:
        """Return the matching without the open items."""
        return self.choosing({match.item.key: LEAVE_OUT for match in self.open})


def listed(names: Sequence[object]) -> str:
    """Return names for a sentence, the first few of many."""
    shown = ", ".join(str(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


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
