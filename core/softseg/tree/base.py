"""The tree under :class:`softseg.tree.LabelTree`: its nodes in depth-first order, indices and distances."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.tree import structure
from softseg.tree.node import Node, NodeError

if TYPE_CHECKING:
    from typing_extensions import Self


class TreeBase:
    """Nodes, order, indices and distances of :class:`softseg.tree.LabelTree`.

    Parameters
    ----------
    nodes: the nodes, in any order; children keep the order given.
    name: name of the tree.

    Raises
    ------
    NodeError (an InputError): no node, two roots, a cycle, a repeated id or value, an unknown parent, a leaf without
        value.
    """

    def __init__(self, nodes: Iterable[Node], name: str = "") -> None:
        self._name = name
        self._nodes = structure.ordered(tuple(nodes))
        self._positions = {node.id: position for position, node in enumerate(self._nodes)}
        children: dict[str, list[Node]] = {node.id: [] for node in self._nodes}
        for node in self._nodes[1:]:
            children[str(node.parent)].append(node)
        self._children = {id_: tuple(nodes) for id_, nodes in children.items()}
        self._leaves = tuple(node for node in self._nodes if not self._children[node.id])
        self._slices = self._leaf_slices()

    def _leaf_slices(self) -> dict[str, slice]:
        starts, count = [], 0
        for node in self._nodes:
            starts.append(count)
            count += not self._children[node.id]
        slices: dict[str, slice] = {}
        for node, start in zip(reversed(self._nodes), reversed(starts), strict=True):
            last = self._children[node.id][-1:] or None
            slices[node.id] = slice(start, slices[last[0].id].stop if last else start + 1)
        return slices

    # -- nodes ----------------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """Name of the tree."""
        return self._name

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, depth-first, root first."""
        return self._nodes

    @property
    def root(self) -> Node:
        """The root."""
        return self._nodes[0]

    @property
    def leaves(self) -> tuple[Node, ...]:
        """The leaves in tree order: the classes of a network."""
        return self._leaves

    @cached_property
    def inner_nodes(self) -> tuple[Node, ...]:
        """The nodes that have children, in tree order, root first."""
        return tuple(node for node in self._nodes if self._children[node.id])

    @cached_property
    def depth(self) -> int:
        """Depth of the deepest leaf; the root has depth 0."""
        return int(self.depths.max())

    @cached_property
    def background(self) -> Node | None:
        """The leaf with value 0, or ``None``."""
        return next((leaf for leaf in self._leaves if leaf.value == 0), None)

    def __len__(self) -> int:
        return len(self._nodes)

    def __contains__(self, id_: object) -> bool:
        return id_ in self._positions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreeBase) and self._nodes == other._nodes and self._name == other._name

    def __hash__(self) -> int:
        return hash((self._name, self._nodes))

    def __repr__(self) -> str:
        counts = f"{len(self._nodes)} nodes, {len(self._leaves)} leaves, depth {self.depth}"
        return f"{type(self).__name__}({self._name!r}: {counts})"

    def position(self, id_: str) -> int:
        """Return the position of a node in :attr:`nodes`.

        Raises
        ------
        NodeError: no node has this id.
        """
        try:
            return self._positions[id_]
        except (KeyError, TypeError):
            raise NodeError(f"no node '{id_}' in the tree", hint=self._suggestion(str(id_))) from None

    def node(self, id_: str) -> Node:
        """Return the node with this id (NodeError where there is none)."""
        return self._nodes[self.position(id_)]

    def find(self, id_or_name: str) -> Node:
        """Return the node with this id, or else the only one with this name (upper and lower case alike).

        Raises
        ------
        NodeError: none, or several of that name.
        """
        if id_or_name in self._positions:
            return self.node(id_or_name)
        named = [node for node in self._nodes if node.name == id_or_name]
        named = named or [node for node in self._nodes if node.name.casefold() == id_or_name.casefold()]
        if len(named) > 1:
            ids = ", ".join(f"'{node.id}'" for node in named)
            raise NodeError(f"several nodes are named '{id_or_name}': {ids}", hint="give the id")
        return named[0] if named else self.node(id_or_name)

    def _suggestion(self, id_: str) -> str:
        known = list(self._positions) + [node.name for node in self._nodes]
        close = list(dict.fromkeys(difflib.get_close_matches(id_, known, n=3)))
        return f"did you mean {' or '.join(repr(text) for text in close)}?" if close else "see `softseg tree show`"

    def children(self, id_: str) -> tuple[Node, ...]:
        """Return the children of a node, in order."""
        return self._children[self.node(id_).id]

    def parent(self, id_: str) -> Node | None:
        """Return the parent of a node, ``None`` for the root."""
        parent = self.node(id_).parent
        return None if parent is None else self.node(parent)

    def path(self, id_: str) -> tuple[Node, ...]:
        """Return the nodes from the root down to this one, both included."""
        path = [self.node(id_)]
        while path[-1].parent is not None:
            path.append(self.node(path[-1].parent))
        return tuple(reversed(path))

    def branch(self, id_: str) -> tuple[Node, ...]:
        """Return this node and all nodes below it, in tree order."""
        first = self.position(id_)
        depths, last = self.depths, self.position(id_) + 1
        while last < len(self._nodes) and depths[last] > depths[first]:
            last += 1
        return self._nodes[first:last]

    def depth_of(self, id_: str) -> int:
        """Return the number of edges between the root and this node."""
        return int(self.depths[self.position(id_)])

    def is_leaf(self, id_: str) -> bool:
        """Whether this node has no children."""
        return not self.children(id_)

    # -- numbers --------------------------------------------------------------------------------------------------

    def leaves_under(self, id_: str) -> tuple[Node, ...]:
        """Return the leaves under a node, in tree order; a leaf gives itself."""
        return self._leaves[self.leaf_slice(id_)]

    def leaf_slice(self, id_: str) -> slice:
        """Return the class indices of the leaves under a node: they are neighbours."""
        return self._slices[self.node(id_).id]

    def leaf_index(self, id_: str) -> int:
        """Return the class index of a leaf, 0..C-1.

        Raises
        ------
        NodeError: the node has children.
        """
        if self.children(id_):
            raise NodeError("expected a leaf, got a node with children", node=id_)
        return int(self._slices[id_].start)

    def class_index(self, id_: str) -> int:
        """Return the class index of any node: a leaf's 0..C-1, an inner node's C + its position among them."""
        position = self.position(id_)
        return int(self._class_indices[position])

    @cached_property
    def class_nodes(self) -> tuple[Node, ...]:
        """The node of each class index: the leaves, then the inner nodes."""
        return self._leaves + self.inner_nodes

    @cached_property
    def _class_indices(self) -> npt.NDArray[np.int64]:
        index = {node.id: position for position, node in enumerate(self.class_nodes)}
        return _fixed([index[node.id] for node in self._nodes], np.int64)

    @cached_property
    def weights(self) -> npt.NDArray[np.float64]:
        """``[V]``: length of the edge above each node; 0 for the root, which has none."""
        return _fixed([0.0] + [node.weight for node in self._nodes[1:]], np.float64)

    @cached_property
    def parents(self) -> npt.NDArray[np.int64]:
        """``[V]``: position of each node's parent in :attr:`nodes`; -1 for the root."""
        return _fixed([-1] + [self._positions[str(node.parent)] for node in self._nodes[1:]], np.int64)

    @cached_property
    def depths(self) -> npt.NDArray[np.int64]:
        """``[V]``: depth of each node; 0 for the root."""
        depths = [0]
        for parent in self.parents[1:]:
            depths.append(depths[parent] + 1)
        return _fixed(depths, np.int64)

    def membership(self) -> npt.NDArray[np.bool_]:
        """Return ``[V, C]``: whether leaf ``c`` is, or lies under, node ``v``."""
        return self._membership

    @cached_property
    def _membership(self) -> npt.NDArray[np.bool_]:
        membership = np.zeros((len(self._nodes), len(self._leaves)), dtype=np.bool_)
        for position, node in enumerate(self._nodes):
            membership[position, self._slices[node.id]] = True
        return _fixed(membership, np.bool_)

    def distance_matrix(self, normalize: bool = False) -> npt.NDArray[np.float64]:
        """Return ``[C, C]``: the summed edge weights of the path between every two leaves, in tree order.

        Parameters
        ----------
        normalize: divide by the largest distance (a tree of one leaf stays 0).

        Examples
        --------
        >>> from softseg.resources import label_tree_path
        >>> from softseg.tree import LabelTree
        >>> LabelTree.load(label_tree_path("spinal-cord-grey-matter")).distance_matrix()
        array([[0., 3., 3.],
               [3., 0., 2.],
               [3., 2., 0.]])
        """
        from_root = np.zeros(len(self._nodes))
        for position in range(1, len(self._nodes)):
            from_root[position] = from_root[self.parents[position]] + self.weights[position]
        meeting = np.zeros((len(self._leaves),) * 2)
        for position, node in enumerate(self._nodes):
            meeting[self._slices[node.id], self._slices[node.id]] = from_root[position]
        reach = np.diagonal(meeting)
        matrix = reach[:, None] + reach[None, :] - 2.0 * meeting
        largest = float(matrix.max())
        return np.asarray(matrix / largest if normalize and largest > 0 else matrix, dtype=np.float64)

    # -- making others --------------------------------------------------------------------------------------------

    def with_nodes(self, nodes: Iterable[Node]) -> Self:
        """Return a tree of the same name with other nodes."""
        return type(self)(nodes, self._name)

    def with_name(self, name: str) -> Self:
        """Return the same tree under another name."""
        return type(self)(self._nodes, name)


def _fixed(values: Sequence[Any] | npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
