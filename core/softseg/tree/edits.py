"""Edits of a label tree: each returns a new tree and leaves the old one as it is, so undo is a list of trees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from softseg.tree.base import TreeBase
from softseg.tree.labels import free_values
from softseg.tree.node import Color, Node, NodeError, Terminology

if TYPE_CHECKING:
    from typing_extensions import Self

BACKGROUND = "background"
"""Id of the leaf that :meth:`TreeEdits.with_background` adds."""


class TreeEdits(TreeBase):
    """The edits of :class:`softseg.tree.LabelTree`.

    All raise NodeError (an InputError), naming the node, when the node is unknown or the result would not be a valid
    tree: two roots, a cycle, a repeated id or value, a leaf without value.
    """

    def add(self, node: Node, index: int | None = None) -> Self:
        """Add a node under ``node.parent``: as child number ``index``, last by default."""
        if node.parent is None:
            raise NodeError("a new node needs a parent: the tree has its root", node=node.id)
        self.node(node.parent)
        return self._with_children(node.parent, [node], index)

    def remove(self, id_: str, keep_children: bool = False) -> Self:
        """Remove a node with all below it; with ``keep_children`` these take its place under its parent."""
        node = self.node(id_)
        if node.parent is None:
            raise NodeError("the root cannot be removed", node=id_)
        if not keep_children:
            gone = {below.id for below in self.branch(id_)}
            return self.with_nodes(other for other in self.nodes if other.id not in gone)
        return self.with_nodes(
            replace(other, parent=node.parent) if other.parent == id_ else other
            for other in self.nodes
            if other.id != id_
        )

    def rename(self, id_: str, name: str, new_id: str | None = None) -> Self:
        """Give a node another name, and another id where ``new_id`` is given (children follow).

        Examples
        --------
        >>> from softseg.resources import label_tree_path
        >>> from softseg.tree import LabelTree
        >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
        >>> tree.rename("grey-matter", "gray matter").node("grey-matter").name
        'gray matter'
        """
        self.node(id_)
        new_id = id_ if new_id is None else new_id
        return self.with_nodes(
            replace(other, id=new_id, name=name)
            if other.id == id_
            else (replace(other, parent=new_id) if other.parent == id_ else other)
            for other in self.nodes
        )

    def move(self, id_: str, parent: str, index: int | None = None) -> Self:
        """Move a node with all below it under another parent (or within its own): child number ``index``, else last."""
        node = self.node(id_)
        self.node(parent)
        if node.parent is None:
            raise NodeError("the root cannot be moved", node=id_)
        if any(other.id == parent for other in self.branch(id_)):
            raise NodeError(f"cannot be moved into its own branch: '{parent}' lies under it", node=id_)
        branch = {other.id for other in self.branch(id_)}
        moved = [replace(other, parent=parent) if other.id == id_ else other for other in self.branch(id_)]
        siblings = [other for other in self.children(parent) if other.id != id_]
        rest = [other for other in self.nodes if other.id not in branch]
        return self.with_nodes(_insert(rest, siblings, moved, index))

    def group(self, ids: Iterable[str], node: Node) -> Self:
        """Put siblings, with all below them, under a new node that takes the place of the first of them.

        ``node.parent`` must be their parent.
        """
        members = self._siblings(ids)
        if node.parent != members[0].parent:
            raise NodeError(f"expected the parent '{members[0].parent}' of the grouped nodes", node=node.id)
        grouped = {member.id for member in members}
        nodes: list[Node] = []
        for other in self.nodes:
            if other.id == members[0].id:
                nodes.append(node)
            nodes.append(replace(other, parent=node.id) if other.id in grouped else other)
        return self.with_nodes(nodes)

    def merge(
        self, ids: Iterable[str], id_: str | None = None, name: str | None = None, value: int | None = None
    ) -> Self:
        """Make one leaf out of siblings and all below them; it takes the place of the first of them.

        What was below is forgotten: no edit of the result brings it back, and a label map in the new values cannot be
        turned into the old ones (see :class:`softseg.tree.mapping.LabelMapping`). To only draw nodes together use
        :meth:`group` and a cut.

        Parameters
        ----------
        ids: one or more nodes with the same parent.
        id_, name: of the new leaf; by default those of the first.
        value: of the new leaf; by default that of the first of ``ids`` or of the leaves under them that has one.
        """
        members = self._siblings(ids)
        first = members[0]
        if value is None:
            below = [*members, *(leaf for member in members for leaf in self.leaves_under(member.id))]
            value = next(node.value for node in below if node.value is not None)
        merged = replace(
            first, id=first.id if id_ is None else id_, name=first.name if name is None else name, value=value
        )
        if len(members) > 1 or id_ is not None:
            merged = replace(merged, terminology=None)
        gone = {below.id for member in members for below in self.branch(member.id)}
        return self.with_nodes(
            merged if other.id == first.id else other
            for other in self.nodes
            if other.id == first.id or other.id not in gone
        )

    def split(self, id_: str, parts: Sequence[Node]) -> Self:
        """Give a leaf children.

        Parameters
        ----------
        id_: the leaf; it keeps its value, which now is a coarse label.
        parts: the new leaves, with ``id_`` as parent; those without a value get the next free ones.
        """
        if self.children(id_):
            raise NodeError("only a leaf can be split; use add", node=id_)
        if not parts:
            raise NodeError("a split needs at least one part", node=id_)
        for part in parts:
            if part.parent != id_:
                raise NodeError(f"expected the parent '{id_}', got '{part.parent}'", node=part.id)
        taken = {node.value for node in (*self.nodes, *parts) if node.value is not None}
        fresh = iter(free_values(taken, sum(part.value is None for part in parts)))
        valued = [replace(part, value=next(fresh)) if part.value is None else part for part in parts]
        return self._with_children(id_, valued, None)

    def recolor(self, id_: str, color: Color | None) -> Self:
        """Give a node another colour (0..255 each), or none."""
        return self._replaced(id_, replace(self.node(id_), color=color))

    def reweight(self, id_: str, weight: float) -> Self:
        """Give the edge above a node another length, > 0."""
        return self._replaced(id_, replace(self.node(id_), weight=weight))

    def with_value(self, id_: str, value: int | None) -> Self:
        """Give a node another label value; an inner node may have none."""
        return self._replaced(id_, replace(self.node(id_), value=value))

    def with_terminology(self, id_: str, terminology: Terminology | None) -> Self:
        """Give a node other DICOM codes, or none."""
        return self._replaced(id_, replace(self.node(id_), terminology=terminology))

    def with_background(self) -> Self:
        """Return a tree with a leaf of value 0: this one, or one with ``background`` as the root's first child.

        Raises
        ------
        NodeError: value 0 belongs to a node with children, the id ``background`` to a node of another value, or the
            root is the only node.
        """
        if self.background is not None:
            return self
        if len(self) == 1:
            raise NodeError("a tree of one node has no place for a background", node=self.root.id)
        node = Node(BACKGROUND, BACKGROUND, self.root.id, color=(0, 0, 0), value=0)
        return self._with_children(self.root.id, [node], 0)

    def _replaced(self, id_: str, node: Node) -> Self:
        return self.with_nodes(node if other.id == id_ else other for other in self.nodes)

    def _with_children(self, parent: str, nodes: Sequence[Node], index: int | None) -> Self:
        return self.with_nodes(_insert(self.nodes, self.children(parent), nodes, index))

    def _siblings(self, ids: Iterable[str]) -> list[Node]:
        members = sorted({self.position(id_) for id_ in ids})
        if not members:
            raise NodeError("expected at least one node")
        nodes = [self.nodes[position] for position in members]
        for node in nodes:
            if node.parent is None:
                raise NodeError("the root has no siblings", node=node.id)
            if node.parent != nodes[0].parent:
                raise NodeError(
                    f"not a sibling of '{nodes[0].id}': their parents are '{node.parent}' and '{nodes[0].parent}'",
                    node=node.id,
                    hint="move them under one parent first",
                )
        return nodes


def _insert(nodes: Sequence[Node], siblings: Sequence[Node], new: Sequence[Node], index: int | None) -> list[Node]:
    """Return ``nodes`` with ``new`` before sibling number ``index``, or at the end."""
    if index is None or index == len(siblings):
        return [*nodes, *new]
    if not 0 <= index < len(siblings):
        raise NodeError(
            f"expected a position from 0 to {len(siblings)} among the siblings, got {index}", node=new[0].id
        )
    at = next(position for position, node in enumerate(nodes) if node.id == siblings[index].id)
    return [*nodes[:at], *new, *nodes[at:]]
