"""Folding: the shared layer gets the labels of another cut, in place, and the segments become those of the cut."""

import numpy as np

from softseg.types import OUTLIER_VALUE

from . import EditorSelection, Grids, SegmentList, Segments, TreeNode


def shownCut(cut):
    """Return the cut whose labels are computed for display, and where each of its nodes lies in ``cut``.

    They differ where the cut joins the background with something else (as the root does): then the branch is opened
    until the background stands alone, because a segment that fills the whole volume shows nothing.

    Returns
    -------
    the cut; from each of its node ids to the id of the node of ``cut`` that it is shown as.
    """
    tree = cut.tree
    owner = {node.id: node.id for node in cut.nodes}
    background = tree.background
    if background is None or background.id in owner:
        return cut, owner
    path = [node.id for node in tree.path(background.id)]
    joined = next(id_ for id_ in path if id_ in owner)
    del owner[joined]
    for above in path[path.index(joined) : -1]:
        owner.update({child.id: joined for child in tree.children(above) if child.id not in path})
    owner[background.id] = background.id
    return tree.cut(owner), owner


def softLabels(parcellation, remapping, cut, box):
    """Return the labels of a soft parcellation at a cut: uint16 ``(k, j, i)`` of a box.

    Parameters
    ----------
    parcellation: of a SoftSource.
    remapping: to the tree of ``cut``. Below a leaf that was split nothing is known: the leaf's own label stays.
    cut: of ``remapping.tree``.
    box: slices ``(k, j, i)`` of the grid.
    """
    shown, owner = shownCut(cut)
    if parcellation.tree is cut.tree:
        computed, values = shown, [cut.tree.value_of(owner[node.id]) for node in shown.nodes]
    else:
        owners = {remapping.knownNode(node.id): owner[node.id] for node in shown.nodes}
        computed = parcellation.tree.cut(owners)
        values = [cut.tree.value_of(_visible(node.id, owners[node.id], cut.tree)) for node in computed.nodes]
    own = tuple(box) == parcellation.box
    labels = parcellation.box_labels(computed) if own else parcellation.labels(computed)[box]
    if list(computed.values) == values:
        return labels
    table = np.zeros(max(computed.values) + 1, np.uint16)
    table[list(computed.values)] = values
    return table[labels]


def withParts(labels, source, cut):
    """Return labels of a SoftSource in which voxels of a split leaf are the parts that people said they are.

    Parameters
    ----------
    labels: of ``source`` at ``cut``, ``(k, j, i)`` of its box.
    source: SoftSource with ``parts``.
    cut: Cut.
    """
    _shown, owner = shownCut(cut)
    whole = np.zeros(source.geometry.shape, labels.dtype)
    whole[source.box] = labels
    flat = whole.reshape(-1)
    for voxels, nodeId in source.parts:
        leaf = source.remapping.knownNode(nodeId)
        here = voxels[flat[voxels] == valueShown(cut.tree, owner, leaf)]
        flat[here] = valueShown(cut.tree, owner, nodeId)
    return whole[source.box]


def valueShown(tree, owner, nodeId):
    """Return the label value that a node is shown with: that of its node in the cut, or its own above the cut.

    Parameters
    ----------
    tree: tree of the cut.
    owner: as from :func:`shownCut`.
    nodeId: any node of the tree.
    """
    return tree.value_of(next((owner[node.id] for node in tree.path(nodeId) if node.id in owner), nodeId))


def answerTable(tree, cut):
    """Return the look-up from values of :meth:`LabelTree.node_values` to the values shown at a cut.

    A node below the cut is shown as the node of the cut that it belongs to, one above as itself.

    Parameters
    ----------
    tree: tree of a SoftSource's parcellation; its nodes are those of the cut's tree, or lie below one of them.
    cut: Cut that is shown.

    Returns
    -------
    uint16, index is a value of a label map of mixed depth; 0 for values that no node has, as for what is unknown.
    """
    _shown, owner = shownCut(cut)
    table = np.zeros(OUTLIER_VALUE + 1, np.uint16)
    for id_, value in tree.node_values().items():
        known = next(node.id for node in reversed(tree.path(id_)) if node.id in cut.tree)
        table[value] = valueShown(cut.tree, owner, known)
    return table


def _visible(knownId, ownerId, tree):
    """Return the coarser of both nodes: the known one when the cut lies below it, else the cut's."""
    return knownId if any(node.id == knownId for node in tree.path(ownerId)) else ownerId


def crispTable(remapping, cut):
    """Return the look-up from unfolded label values to the values shown at a cut: uint16, index is the old value."""
    table = remapping.table()
    folded = cut.tree.collapse(table, cut)
    folded[table == 0] = 0
    return folded


def coarserNodes(cut, values):
    """Return the ids of nodes above a cut that are among these label values: nothing finer is known there."""
    tree = cut.tree
    inCut = {node.id for node in cut.nodes}
    return [
        node.id
        for node in tree.inner_nodes
        if tree.value_of(node.id) in values and not any(above.id in inCut for above in tree.path(node.id))
    ]


def writeLayer(segmentationNode, source, cut, labels, surfaces):
    """Show labels in the shared layer of a segmentation, and let its segments be those of the cut.

    A node of the cut without any voxel has no segment: native tools would list dozens of empty ones. It stays in the
    tree, and gets its segment when it gets voxels. Where no node has voxels the first one keeps a segment, which
    carries the tree into files. Segments that people added stay as they are.

    Parameters
    ----------
    segmentationNode: the segmentation.
    source: SoftSource or CrispSource that gave the labels.
    cut: Cut whose nodes are shown.
    labels: integers ``(k, j, i)`` of the source's box, values of nodes of the tree.
    surfaces: Surfaces that keeps those of segments whose voxels do not change; where none are shown it is not asked.
    """
    Segments.setOthersApart(segmentationNode, Segments.layerOf(segmentationNode))
    image = Segments.ensureLayer(segmentationNode, source.geometry, source.box, cut.tree)
    Grids.arrayOf(image)[:] = labels
    image.GetPointData().GetScalars().Modified()
    selections = EditorSelection.selections(segmentationNode)
    ids = Segments.withVoxels(cut.tree, [node.id for node in cut.nodes] + source.coarser(cut), labels)
    made = surfaces.of(segmentationNode, cut.tree, image) if surfaces.areOn(segmentationNode) else None
    SegmentList.bringTo(segmentationNode, cut.tree, ids, image, made)
    with SegmentList.batch(segmentationNode):
        Segments.shareLayer(segmentationNode, image, cut.tree)
        TreeNode.writeCut(segmentationNode, cut)
        if made is None:
            image.Modified()
        else:
            Segments.giveSurfaces(segmentationNode, made)
            Segments.keepSurfacesWhileModified(segmentationNode, image)
    EditorSelection.restore(selections, segmentationNode, cut.tree)
