"""Cuts: sets of nodes that cover every leaf exactly once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.tree.node import Node, NodeError

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree


@dataclass(frozen=True, eq=False)
class Cut:
    """A set of nodes that covers every leaf of ``tree`` exactly once.

    Attributes
    ----------
    tree: the tree that is cut.
    nodes: the nodes of the cut, in tree order.

    Raises
    ------
    NodeError: a leaf is covered twice or not at all, or a node is not of this tree.
    """

    tree: LabelTree
    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        owner: dict[int, Node] = {}
        for node in self.nodes:
            leaves = self.tree.leaf_slice(node.id)
            for leaf in range(leaves.start, leaves.stop):
                if leaf in owner:
                    raise NodeError(
                        f"a cut covers every leaf once, but '{self.tree.leaves[leaf].id}' lies under both "
                        f"'{owner[leaf].id}' and '{node.id}'",
                        node=node.id,
                    )
                owner[leaf] = node
        for leaf, missing in enumerate(self.tree.leaves):
            if leaf not in owner:
                raise NodeError(
                    "a cut covers every leaf, but nothing covers this one",
                    node=missing.id,
                    hint="add it or one of its ancestors to the cut",
                )
        object.__setattr__(self, "nodes", tuple(sorted(self.nodes, key=lambda n: self.tree.position(n.id))))

    def __len__(self) -> int:
        return len(self.nodes)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Cut) and self.nodes == other.nodes and self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.nodes)

    @cached_property
    def values(self) -> tuple[int, ...]:
        """Label value of each node of the cut, see :meth:`LabelTree.value_of`."""
        return tuple(self.tree.value_of(node.id) for node in self.nodes)

    @cached_property
    def position_of_leaf(self) -> npt.NDArray[np.int64]:
        """``[C]``: for each leaf, in tree order, the position in :attr:`nodes` of the node that covers it."""
        positions = np.empty(len(self.tree.leaves), dtype=np.int64)
        for position, node in enumerate(self.nodes):
            positions[self.tree.leaf_slice(node.id)] = position
        positions.flags.writeable = False
        return positions

    def membership(self) -> npt.NDArray[np.bool_]:
        """Return ``[len(cut), C]``: which leaves each node covers; every column has exactly one True."""
        return np.asarray(np.arange(len(self.nodes))[:, None] == self.position_of_leaf[None, :], dtype=np.bool_)

    def position_of(self, id_: str) -> int:
        """Return the position in :attr:`nodes` of the node that is, or lies above, the node ``id_``.

        Raises
        ------
        NodeError: the node lies above the cut.
        """
        ids = {node.id: position for position, node in enumerate(self.nodes)}
        for node in reversed(self.tree.path(id_)):
            if node.id in ids:
                return ids[node.id]
        raise NodeError("this node lies above the cut", node=id_)

    def node_of_value(self, value: int) -> Node:
        """Return the node of the cut that has this label value.

        Raises
        ------
        NodeError: none has.
        """
        for own, node in zip(self.values, self.nodes, strict=True):
            if own == value:
                return node
        raise NodeError(f"label value {value} is not in the cut")

    def name_of(self, value: int) -> str:
        """Return the name of the node of the cut that has this label value."""
        return self.node_of_value(value).name

    def to_tree(self) -> LabelTree:
        """Return the part of the tree above and including the cut; its leaves are the cut's nodes, with their values.

        What lies below the cut is lost: the result cannot be turned back.
        """
        above = {node.id for cut_node in self.nodes for node in self.tree.path(cut_node.id)}
        values = {node.id: value for node, value in zip(self.nodes, self.values, strict=True)}
        return self.tree.with_nodes(
            [replace(node, value=values.get(node.id, node.value)) for node in self.tree.nodes if node.id in above]
        )
