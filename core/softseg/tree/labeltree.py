"""The label tree: an immutable tree of labels, valid once constructed.

Nodes are kept depth-first, so the leaves under any node are neighbours. Class indices number the leaves ``0..C-1`` in
that order and the inner nodes from ``C`` on; label *values* are what files hold.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.tree import structure
from softseg.tree.cut import Cut
from softseg.tree.edits import EditsMixin
from softseg.tree.labels import free_values, look_up
from softseg.tree.node import Node, NodeError
from softseg.types import IGNORE_INDEX

if TYPE_CHECKING:
    from softseg.tree.diff import Change


class LabelTree(EditsMixin):
    """A tree of labels.

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
        return isinstance(other, LabelTree) and self._nodes == other._nodes and self._name == other._name

    def __hash__(self) -> int:
        return hash((self._name, self._nodes))

    def __repr__(self) -> str:
        return f"LabelTree({self._name!r}: {len(self._nodes)} nodes, {len(self._leaves)} leaves, depth {self.depth})"

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
        return self._slices[id_].start

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

    # -- cuts and label maps --------------------------------------------------------------------------------------

    def cut_at(self, level: int) -> Cut:
        """Return the cut at a depth: the nodes at ``level`` (0 is the root) and the leaves above it.

        Raises
        ------
        InputError: the level is not within 0..depth.
        """
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 0 <= level <= self.depth:
            raise NodeError(f"expected a level from 0 to {self.depth}, got {level!r}")
        depths = self.depths
        return Cut(
            self,
            tuple(
                node
                for position, node in enumerate(self._nodes)
                if depths[position] == level or (depths[position] < level and not self._children[node.id])
            ),
        )

    def cut(self, ids: Iterable[str]) -> Cut:
        """Return the cut made of these nodes (ids, or names that occur once).

        Raises
        ------
        NodeError: a leaf is covered twice or not at all, or a node is unknown.
        """
        return Cut(self, tuple(self.find(id_) for id_ in ids))

    def cut_from(self, spec: str | int | os.PathLike[str]) -> Cut:
        """Return the cut that a user names: a level, ``"leaves"``, or a text file with one id or name a line.

        Empty lines and lines that begin with ``#`` are skipped in the file.

        Raises
        ------
        InputError: no such level, no such file, or its nodes are not a cut.
        """
        from softseg.tree.formats import read_cut

        if isinstance(spec, int):
            return self.cut_at(spec)
        text = os.fspath(spec)
        if text == "leaves":
            return self.cut_at(self.depth)
        return self.cut_at(int(text)) if text.isascii() and text.isdigit() else read_cut(self, Path(text))

    def value_of(self, id_: str) -> int:
        """Return the label value of any node.

        A node without one gets a fresh one that depends on the tree alone, so it is the same in every cut: in tree
        order, the integers that follow the tree's highest value (or, where they would pass 65535, the smallest free).
        """
        return self._values[self.position(id_)]

    @cached_property
    def _values(self) -> tuple[int, ...]:
        own = [node.value for node in self._nodes]
        fresh = iter(free_values({value for value in own if value is not None}, own.count(None)))
        return tuple(next(fresh) if value is None else value for value in own)

    @cached_property
    def _own_values(self) -> dict[int, str]:
        values = {} if self.has_value(0) else {0: ""}
        return values | {node.value: node.id for node in self._nodes if node.value is not None}

    def has_value(self, value: int) -> bool:
        """Whether a node has this label value of its own."""
        return any(node.value == value for node in self._nodes)

    def collapse(self, labels: npt.ArrayLike, cut: Cut) -> npt.NDArray[np.uint16]:
        """Return a label map at a cut.

        Parameters
        ----------
        labels: label values, integers (or whole floats), any shape. Values of inner nodes, also those that
            :meth:`value_of` made for an earlier cut, are welcome: collapsing twice is collapsing once.
        cut: a cut of this tree.

        Returns
        -------
        ``cut.values`` in the shape of ``labels``. A voxel labelled with a node *above* the cut keeps its label: nothing
        finer is known. 0 stays 0 where the tree has no background.

        Raises
        ------
        InputError: a value is not in the tree (it is named), or is not a whole number.
        """
        if cut.tree != self:
            raise NodeError("the cut belongs to another tree")
        table = {} if self.has_value(0) else {0: 0}
        for value, node in zip(self._values, self._nodes, strict=True):
            table[value] = value
        for value, cut_node in zip(cut.values, cut.nodes, strict=True):
            for node in self.branch(cut_node.id):
                table[self.value_of(node.id)] = value
        return look_up(labels, table, np.uint16, self._what()).astype(np.uint16, copy=False)

    def to_class_indices(self, labels: npt.ArrayLike) -> npt.NDArray[np.int16]:
        """Return the class index of every label value.

        Parameters
        ----------
        labels: label values that nodes have of their own, any shape; 0 without a background node means unlabelled and
            becomes ``IGNORE_INDEX``.

        Raises
        ------
        InputError: a value is not in the tree (it is named), or is not a whole number.
        """
        table = {value: self.class_index(id_) if id_ else IGNORE_INDEX for value, id_ in self._own_values.items()}
        return look_up(labels, table, np.int16, self._what()).astype(np.int16, copy=False)

    def to_values(self, class_indices: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Return the label value (:meth:`value_of`) of every class index, any shape; ``IGNORE_INDEX`` becomes 0.

        Raises
        ------
        InputError: an index is outside -1..V-1.
        """
        indices = np.asarray(class_indices)
        if indices.size and (indices.min() < IGNORE_INDEX or indices.max() >= len(self._nodes)):
            raise NodeError(f"expected class indices from {IGNORE_INDEX} to {len(self._nodes) - 1}")
        table = np.array([self.value_of(node.id) for node in self.class_nodes] + [0], dtype=np.uint16)
        return np.asarray(table[indices])

    def _what(self) -> str:
        return f"the label tree '{self._name}'" if self._name else "the label tree"

    def mirror_permutation(self) -> npt.NDArray[np.int64]:
        """Return ``[C]``: for each leaf the index of its mirror image, itself where it has none.

        Partners differ in nothing but the side, written Left/Right, lh/rh or L/R, in their ids or in the names along
        their paths. The permutation is its own inverse.
        """
        from softseg.tree.mirror import mirror_permutation

        return mirror_permutation(self)

    def diff(self, other: LabelTree) -> tuple[Change, ...]:
        """Return what was changed on the way from this tree to ``other``; nothing when they are equal."""
        from softseg.tree.diff import changes

        return changes(self, other)

    # -- making others --------------------------------------------------------------------------------------------

    def with_nodes(self, nodes: Iterable[Node]) -> LabelTree:
        """Return a tree of the same name with other nodes."""
        return LabelTree(nodes, self._name)

    def with_name(self, name: str) -> LabelTree:
        """Return the same tree under another name."""
        return LabelTree(self._nodes, name)

    @staticmethod
    def changed(node: Node, **fields: Any) -> Node:
        """Return the node with other fields."""
        return replace(node, **fields)

    def to_json(self) -> dict[str, Any]:
        """Return the tree as the object that its JSON file holds (docs/label-trees.md)."""
        from softseg.tree.formats.own_json import to_json

        return to_json(self)

    @staticmethod
    def from_json(document: Mapping[str, Any]) -> LabelTree:
        """Return the tree that such an object describes.

        Raises
        ------
        InputError: it is not such an object; the message names the node.
        """
        from softseg.tree.formats.own_json import from_json

        return from_json(document)

    @staticmethod
    def load(path: str | os.PathLike[str], format: str | None = None) -> LabelTree:  # noqa: A002
        """Read a tree.

        Parameters
        ----------
        path: the file.
        format: one of ``softseg.tree.FORMATS``; by default found from the file's ending and first lines.

        Raises
        ------
        InputError: the file is missing, not of that format, or does not hold one valid tree; the message names file,
            line and node.
        """
        from softseg.tree.formats import load

        return load(path, format)

    def save(self, path: str | os.PathLike[str], format: str | None = None) -> Path:  # noqa: A002
        """Write the tree; the file appears only when complete.

        Parameters
        ----------
        path: the file.
        format: one of ``softseg.tree.FORMATS``; by default found from the file's ending. Flat formats keep the leaves
            and, where they have room, the path; docs/label-trees.md says what each of them keeps.

        Raises
        ------
        InputError: the format is unknown or cannot hold this tree, or the file cannot be written.
        """
        from softseg.tree.formats import save

        return save(self, path, format)


def _fixed(values: Sequence[Any] | npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    array = np.array(values, dtype=dtype)
    array.flags.writeable = False
    return array
