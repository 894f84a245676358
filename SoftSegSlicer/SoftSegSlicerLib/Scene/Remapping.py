"""Where the labels of a result are in its tree after edits: nothing stored is changed, so every edit can be undone."""

import json
from dataclasses import dataclass

import numpy as np

from softseg.errors import InputError
from softseg.tree import LabelTree, Node

from . import References, Stored


@dataclass(frozen=True)
class Remapping:
    """From the tree a result was made with to the tree it is shown with.

    Attributes
    ----------
    source: tree of the result.
    tree: tree it is shown with.
    target: from the id of each node of ``source`` to the id of its node in ``tree``; None for those that were deleted
        where the tree has no background that they could become.
    known: the part of ``tree`` about which the result says something: nodes below a leaf that was split are left out.
    """

    source: LabelTree
    tree: LabelTree
    target: dict
    known: LabelTree

    @staticmethod
    def between(source, tree, merged=None):
        """Return the remapping between two trees.

        A node goes where ``merged`` says, else to the node of its id, else to that of its label value. Else a leaf goes
        to its nearest former ancestor if that is a leaf now; otherwise it was deleted and is background. An inner node,
        which can stand in coarse labels, goes to its nearest former ancestor that is still there.

        Parameters
        ----------
        source, tree: LabelTree before and after.
        merged: from the id of a node of ``source`` to the id of its node in ``tree``.

        Raises
        ------
        InputError: only one of the trees has a background, or ``merged`` names a node that ``tree`` lacks.
        """
        if (source.background is None) != (tree.background is None):
            raise InputError(
                f"the edited tree {'has no' if tree.background is None else 'has a'} background (a leaf with value 0), "
                "unlike the tree of this result",
                hint="undo that edit",
            )
        byValue = {node.value: node.id for node in tree.nodes if node.value is not None}
        merged = merged or {}
        for id_ in merged.values():
            tree.node(id_)
        target = {node.id: _targetOf(node, source, tree, merged, byValue) for node in source.nodes}
        leaves = {leaf.id for leaf in source.leaves}
        return Remapping(source, tree, target, _knownPart(tree, {target[id_] for id_ in leaves} - {None}))

    def table(self):
        """Return the label value in ``tree`` of every label value of ``source``: uint16, 0 where there is none."""
        values = {self.source.value_of(old): 0 if new is None else self.tree.value_of(new) for old, new in self.pairs()}
        table = np.zeros(max(values) + 1, np.uint16)
        table[list(values)] = list(values.values())
        return table

    def pairs(self):
        """Return the pairs of :attr:`target`."""
        return self.target.items()

    def knownNode(self, nodeId):
        """Return the node of :attr:`known` that is, or lies above, a node of the tree."""
        return next(node.id for node in reversed(self.tree.path(nodeId)) if node.id in self.known)

    def opened(self):
        """Return :attr:`known` with every merged leaf opened into those it was made of, in the order of ``source``.

        On it a stored parcellation answers for merged leaves without being written anew. None where the order of the
        leaves changed, or where a leaf has nothing stored.
        """
        parts = {leaf.id: [] for leaf in self.known.leaves}
        for leaf in self.source.leaves:
            new = self.target[leaf.id]
            if new is None:
                return None
            parts[self.knownNode(new)].append(leaf.id)
        if [id_ for ids in parts.values() for id_ in ids] != [leaf.id for leaf in self.source.leaves]:
            return None
        if not all(parts.values()):
            return None
        tree = self.known
        for part, ids in parts.items():
            if len(ids) > 1:
                tree = tree.split(part, [Node(f"{part}/{id_}", id_, part) for id_ in ids])
        background = self.known.background
        return None if background is not None and len(parts[background.id]) > 1 else tree

    def apply(self, parcellation):
        """Return a soft parcellation of ``source`` on :attr:`known`.

        Raises
        ------
        InputError: the parcellation cannot be brought to the tree.
        """
        if self.known == self.source:
            return parcellation
        merged = {}
        for leaf in self.source.leaves:
            new = self.target[leaf.id]
            if new is None:
                parcellation = parcellation.masked(leaf.id, np.zeros(parcellation.geometry.shape, bool))
            else:
                merged[leaf.value] = self.known.value_of(self.knownNode(new))
        return parcellation.with_tree(self.known, merged)


def _targetOf(node, source, tree, merged, byValue):
    nowhere = None if tree.background is None else tree.background.id
    if node.id in merged:
        return merged[node.id]
    if node.id in tree:
        return node.id
    if node.value in byValue:
        return byValue[node.value]
    for ancestor in reversed(source.path(node.id)[:-1]):
        if ancestor.id in tree:
            stays = tree.is_leaf(ancestor.id) or not source.is_leaf(node.id)
            return ancestor.id if stays else nowhere
    return nowhere


def _knownPart(tree, targets):
    nodes, stack, split = [], [tree.root], False
    while stack:
        node = stack.pop()
        if node.id in targets or tree.is_leaf(node.id):
            nodes.append(node.id)
            split = split or not tree.is_leaf(node.id)
        else:
            stack.extend(reversed(tree.children(node.id)))
    return tree.cut(nodes).to_tree() if split else tree


def mergedOf(segmentationNode):
    """Return what became of nodes that are gone since the result was made: from their ids to present ones."""
    return Stored.required(segmentationNode, References.MERGED, _isMapping, {})


def _isMapping(value):
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


def writeMerged(segmentationNode, merged):
    """Remember what became of nodes that are gone."""
    segmentationNode.SetAttribute(References.MERGED, json.dumps(merged, sort_keys=True) if merged else None)
