"""Label sources under the corrections of their result: soft ones are conditioned, crisp ones are relabelled."""

from dataclasses import replace

import numpy as np

from softseg.soft.correcting.apply import with_added
from softseg.soft.remap import corrected_as

from .Remapping import Remapping


def soft(source, said, known=None):
    """Return a SoftSource under corrections, the oldest first; see :class:`.CorrectionsNode.Said`.

    Parameters
    ----------
    source: the SoftSource, without any.
    said: what was said.
    known: SoftSource under the same corrections before the tree was edited, None where there is none.
    """
    parcellation = None
    if known is not None:
        corrections = _onTree(source.parcellation, source.remapping, said)
        parcellation = corrected_as(source.parcellation, corrections, known.parcellation)
    if parcellation is None:
        parcellation = onTree(source.parcellation, source.remapping, said)
    return replace(source, parcellation=parcellation, parts=(*source.parts, *_parts(source, said)))


def onTree(parcellation, remapping, said):
    """Return a soft parcellation of a remapping's tree under its corrections and these."""
    new = _onTree(parcellation, remapping, said)
    return with_added(parcellation, new) if new else parcellation


def _onTree(parcellation, remapping, said):
    found = (correctionOn(each, parcellation.tree, remapping) for each in said)
    return [correction for correction in found if correction is not None]


def crisp(source, said, _known=None):
    """Return a CrispSource in which corrected voxels have the value of the node itself: nothing finer is known.

    What is not a node is the node above it, or nothing below the root.
    """
    tree = source.remapping.tree
    labels = source.remapping.table()[source.unfolded]
    flat = labels.reshape(-1)
    for each in said:
        correction = correctionOn(each, tree, source.remapping)
        if correction is None:
            continue
        voxels = correction.runs.voxels()
        within = np.zeros(max(tree.value_of(node.id) for node in tree.nodes) + 1, bool)
        within[[tree.value_of(node.id) for node in tree.branch(correction.node_id)]] = True
        inside = within[flat[voxels]]
        if correction.is_node:
            flat[voxels[~inside]] = tree.value_of(correction.node_id)
        else:
            above = tree.parent(correction.node_id)
            flat[voxels[inside]] = 0 if above is None or above == tree.root else tree.value_of(above.id)
    return replace(source, unfolded=labels, remapping=Remapping.between(tree, tree))


def _parts(source, said):
    """Return ``(flat voxels, node id)`` of corrections that name a part of a leaf that was split: only they know it."""
    known, tree = source.parcellation.tree, source.remapping.tree
    found = (each.correction for each in said)
    return tuple(
        (each.runs.voxels(), each.node_id)
        for each in found
        if each.is_node and each.node_id not in known and each.node_id in tree
    )


def correctionOn(said, tree, remapping):
    """Return a Said as a correction about a node that a tree has, None where what is left of it says nothing.

    A node below a leaf that was split stands for that leaf, and one that is gone for the smallest node that has all
    that became of its leaves.

    Parameters
    ----------
    said: the Said.
    tree: the tree, that of ``remapping`` or its known part, maybe with merged leaves opened.
    remapping: from the tree of the result.
    """
    correction, leaves = said.correction, said.leaves
    if correction.node_id in tree:
        nodeId = correction.node_id
    elif correction.node_id in remapping.tree:
        nodeId = remapping.knownNode(correction.node_id) if correction.is_node else None
    else:
        nodeId = _whatBecameOf(leaves, correction.is_node, remapping)
    if nodeId is None or (nodeId == tree.root.id and not correction.is_node):
        return None
    return correction if nodeId == correction.node_id else replace(correction, node_id=nodeId)


def _whatBecameOf(leaves, isNode, remapping):
    """Return the smallest node that has all that became of some leaves; None for "is not" where it has more."""
    became = {_became(leaf, remapping) for leaf in leaves} - {None}
    if not became:
        return None
    paths = [[node.id for node in remapping.known.path(id_)] for id_ in became]
    common = [ids[0] for ids in zip(*paths, strict=False) if len(set(ids)) == 1][-1]
    all_ = {leaf.id for id_ in became for leaf in remapping.known.leaves_under(id_)}
    return common if isNode or all_ == {leaf.id for leaf in remapping.known.leaves_under(common)} else None


def _became(leaf, remapping):
    """Return the id of the known node that a leaf of an earlier tree is now, None where it is nothing."""
    target = remapping.target.get(leaf, leaf if leaf in remapping.tree else None)
    return None if target is None else remapping.knownNode(target)
