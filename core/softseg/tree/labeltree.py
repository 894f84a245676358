"""The label tree: an immutable tree of labels, valid once constructed.

Nodes are kept depth-first, so the leaves under any node are neighbours. Class indices number the leaves ``0..C-1`` in
that order and the inner nodes from ``C`` on; label *values* are what files hold.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.tree.cut import Cut
from softseg.tree.edits import TreeEdits
from softseg.tree.labels import free_values, look_up
from softseg.types import IGNORE_INDEX

if TYPE_CHECKING:
    from softseg.tree.diff import Change


class LabelTree(TreeEdits):
    """A tree of labels.

    Parameters
    ----------
    nodes: the nodes, in any order; children keep the order given.
    name: name of the tree.

    Raises
    ------
    NodeError (an InputError): no node, two roots, a cycle, a repeated id or value, an unknown parent, a leaf without
        value.

    Examples
    --------
    >>> from softseg.resources import label_tree_path
    >>> from softseg.tree import LabelTree
    >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
    >>> [leaf.id for leaf in tree.leaves], tree.depth
    (['background', 'grey-matter', 'white-matter'], 2)
    """

    def cut_at(self, level: int) -> Cut:
        """Return the cut at a depth: the nodes at ``level`` (0 is the root) and the leaves above it.

        Raises
        ------
        InputError: the level is not within 0..depth.

        Examples
        --------
        >>> from softseg.resources import label_tree_path
        >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
        >>> [node.id for node in tree.cut_at(1).nodes]
        ['background', 'cord']
        """
        if isinstance(level, bool) or not isinstance(level, (int, np.integer)) or not 0 <= level <= self.depth:
            raise InputError(f"expected a level from 0 to {self.depth}, got {level!r}")
        if level not in self._cuts:
            chosen = np.flatnonzero((self.depths == level) | (self._ends & (self.depths < level)))
            self._cuts[level] = Cut(self, tuple(self._nodes[position] for position in chosen))
        return self._cuts[level]

    @cached_property
    def _ends(self) -> npt.NDArray[np.bool_]:
        """``[V]``: which nodes are leaves."""
        return np.array([not self._children[node.id] for node in self._nodes])

    @cached_property
    def _cuts(self) -> dict[int, Cut]:
        return {}

    @cached_property
    def level_sizes(self) -> tuple[int, ...]:
        """Number of nodes of the cut at each level, from the root's (1) to the leaves'."""
        nodes = np.bincount(self.depths)
        leaves = np.bincount(self.depths[[self._positions[leaf.id] for leaf in self._leaves]], minlength=nodes.size)
        return tuple((nodes + np.cumsum(leaves) - leaves).tolist())

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

    def node_values(self) -> dict[str, int]:
        """Return the label value of every node, by id, in tree order: :meth:`value_of` of each, the root included.

        They differ from each other, so a label map of mixed depth can hold any of them.
        """
        return dict(zip((node.id for node in self._nodes), self._values, strict=True))

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

        Examples
        --------
        >>> from softseg.resources import label_tree_path
        >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
        >>> tree.collapse([0, 1, 2], tree.cut_at(1)).tolist()  # 4 is the cord
        [0, 4, 4]
        """
        if cut.tree is not self and cut.tree.nodes != self.nodes:
            raise InputError("the cut belongs to another tree")
        table = {value: value for value in self._values} | ({} if self.has_value(0) else {0: 0})
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
            raise InputError(f"expected class indices from {IGNORE_INDEX} to {len(self._nodes) - 1}")
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
            and, where they have room, the path; docs/label-trees.md lists what each of them keeps.

        Raises
        ------
        InputError: the format is unknown or cannot hold this tree, or the file cannot be written.
        """
        from softseg.tree.formats import save

        return save(self, path, format)
