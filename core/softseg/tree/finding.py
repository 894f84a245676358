"""Finding the node of a label tree that a name or a DICOM code means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from softseg.tree.names import compact, is_background, plain_name, side_and_rest
from softseg.tree.node import Code, Node, Terminology

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

Meaning: TypeAlias = tuple[tuple[str, str] | None, ...]

_ANY_TISSUE = {("85756007", "SCT"), ("T-D0050", "SRT"), ("85756007", "SRT")}
"""Slicer gives this code to every new segment, so it is ignored."""


@dataclass(frozen=True)
class NameMatch:
    """The nodes that a name may mean.

    Attributes
    ----------
    nodes: one where the name is clear, several where it is not, none where no node has it.
    spelling: how freely it was read: 0 as written, 1 but for case and separators, 2 but for the place of the side, 3
        but for blanks.
    """

    nodes: tuple[Node, ...] = ()
    spelling: int = 0

    @property
    def node(self) -> Node | None:
        """The only node, None where there is none or more than one."""
        return self.nodes[0] if len(self.nodes) == 1 else None


class NodeFinder:
    """Finds the nodes of a tree by name and code.

    A node goes by its name and by its id. A node that is called by its side alone (``left`` below ``precentral
    gyrus``), or whose branch has the side (``cortex`` below ``left side``), also goes by both together.

    Parameters
    ----------
    tree: where.
    """

    def __init__(self, tree: LabelTree) -> None:
        self._tree = tree
        self._tiers: tuple[dict[object, list[Node]], ...] = ({}, {}, {}, {})
        self._codes: dict[Meaning, list[Node]] = {}
        for node in tree.nodes:
            self._enter(node)

    def find(self, name: str) -> NameMatch:
        """Return the nodes that a name means; the way of reading it that needs least freedom decides."""
        by_name = [node for node in self._tree.nodes if node.name == name]
        if len(by_name) == 1:
            return NameMatch((by_name[0],))
        for spelling, key in enumerate(_keys(name)):
            nodes = self._tiers[spelling].get(key)
            if nodes and key:
                return NameMatch(tuple(nodes), spelling)
        if is_background(name) and self._tree.background is not None:
            return NameMatch((self._tree.background,), 1)
        return NameMatch()

    def with_code(self, terminology: Terminology | None) -> Node | None:
        """Return the only node with the same type, region and modifiers, None where none or several have them.

        Structures without a code of their own carry that of a node above: then that node is meant.
        """
        nodes = [] if terminology is None else self._codes.get(meaning_of(terminology), [])
        if not nodes:
            return None
        highest = min(nodes, key=lambda node: self._tree.depth_of(node.id))
        below = (highest.id in {above.id for above in self._tree.path(node.id)} for node in nodes)
        return highest if all(below) else None

    def _enter(self, node: Node) -> None:
        for text in (node.name, node.id):
            for tier, key in zip(self._tiers, _keys(text), strict=True):
                _put(tier, key, node)
        side, rest = side_and_rest(node.name)
        if side and not rest:  # called by its side alone
            rest = next((found for found in self._rests_above(node) if found), "")
        elif not side:
            above = (side_and_rest(parent.name)[0] for parent in reversed(self._tree.path(node.id)[:-1]))
            side = next((found for found in above if found), "")
        if side and rest:
            _put(self._tiers[2], (side, rest), node)
            _put(self._tiers[3], (side, compact(rest)), node)
        if node.terminology is not None and not says_any_tissue(node.terminology):
            _put(self._codes, meaning_of(node.terminology), node)

    def _rests_above(self, node: Node) -> Iterable[str]:
        return (side_and_rest(parent.name)[1] for parent in reversed(self._tree.path(node.id)[:-1]))


def meaning_of(terminology: Terminology) -> Meaning:
    """Return the codes that identify a structure: type, region and their modifiers, each with its scheme."""
    return tuple(
        _plain_code(code)
        for code in (
            terminology.type,
            terminology.type_modifier,
            terminology.region,
            terminology.region_modifier,
        )
    )


def says_any_tissue(terminology: Terminology) -> bool:
    """Whether this is what Slicer gives to every new segment: a tissue, no more."""
    return meaning_of(terminology)[0] in _ANY_TISSUE and meaning_of(terminology)[1:] == (None, None, None)


def _plain_code(code: Code | None) -> tuple[str, str] | None:
    return None if code is None else (code.value, code.scheme)


def _keys(name: str) -> tuple[object, ...]:
    side, rest = side_and_rest(name)
    return name, plain_name(name), (side, rest) if rest else "", (side, compact(rest)) if rest else ""


def _put(table: dict[object, list[Node]] | dict[Meaning, list[Node]], key: object, node: Node) -> None:
    known = table.setdefault(key, [])  # type: ignore[arg-type]
    if node not in known:
        known.append(node)
