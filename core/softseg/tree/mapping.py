"""Bringing label maps from one tree to another after the tree was edited."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.tree.labels import look_up
from softseg.tree.labeltree import LabelTree
from softseg.tree.node import NodeError


@dataclass(frozen=True)
class LabelMapping:
    """Where every node of one tree is in another.

    Attributes
    ----------
    source, target: the two trees.
    nodes: from each node of ``source`` that can stand in a label map (every leaf, every inner node with a value) to
        its node in ``target``, by ids.
    """

    source: LabelTree
    target: LabelTree
    nodes: Mapping[str, str]

    @staticmethod
    def between(source: LabelTree, target: LabelTree, became: Mapping[str, str] | None = None) -> LabelMapping:
        """Return the mapping by ids: a node goes to the node of its id, else to its node in ``became``.

        A node that is in neither follows its nearest ancestor that is in one of them: what was merged away is what its
        branch has become.

        Parameters
        ----------
        source, target: the tree before and after.
        became: new id of nodes that were renamed or merged, e.g. ``{"left-x": "x", "right-x": "x"}``.

        Raises
        ------
        NodeError: an id is unknown, or a node leads nowhere but to the root.
        """
        became = dict(became or {})
        for old, new in became.items():
            source.node(old)
            target.node(new)
        nodes: dict[str, str] = {}
        for node in source.nodes:
            if node.value is None:
                continue
            path = source.path(node.id)
            candidates = [_target(above.id, target, became) for above in reversed(path[1:] or path)]
            found = next((candidate for candidate in candidates if candidate), None)
            if found is None:
                raise NodeError(
                    "nothing in the new tree stands for it", node=node.id, hint="name the node that it became"
                )
            nodes[node.id] = found
        return LabelMapping(source, target, nodes)

    def apply(self, labels: npt.ArrayLike) -> npt.NDArray[np.uint16]:
        """Return a label map of ``source`` in the values of ``target``, any shape.

        A node without a value of its own in ``target`` is written with :meth:`LabelTree.value_of`. 0 stays 0 where
        ``source`` has no background.

        Raises
        ------
        InputError: a value is not in ``source``.
        """
        table = {} if self.source.has_value(0) else {0: 0}
        for old, new in self.nodes.items():
            table[self.source.value_of(old)] = self.target.value_of(new)
        return look_up(labels, table, np.uint16, "the label tree").astype(np.uint16, copy=False)

    def inverted(self) -> LabelMapping:
        """Return the way back.

        Raises
        ------
        NodeError: two nodes became one: which of them a voxel was is no longer known.
        """
        back: dict[str, str] = {}
        for old, new in self.nodes.items():
            if new in back:
                raise NodeError(
                    f"cannot be undone: '{back[new]}' and '{old}' both became this node",
                    node=new,
                    hint="keep the label maps from before the merge",
                )
            back[new] = old
        for node in self.target.leaves:
            if node.id not in back:
                raise NodeError("cannot be undone: nothing in the old tree stands for this leaf", node=node.id)
        return LabelMapping(self.target, self.source, back)


def _target(id_: str, target: LabelTree, became: Mapping[str, str]) -> str | None:
    if id_ in became:
        return became[id_]
    return id_ if id_ in target else None
