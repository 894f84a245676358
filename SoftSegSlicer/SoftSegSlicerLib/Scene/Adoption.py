"""Segmentations and label maps made elsewhere, brought to a label tree."""

import numpy as np

from softseg.errors import InputError
from softseg.tree import Node

from ..Exchange.LabelMatching import NodeFinder, listed
from ..Exchange.LabelReader import layersOf, segmentNames
from . import Grids

ADD, BACKGROUND, REFUSE = "add", "background", "refuse"
"""What to do with labels that a tree lacks: add them as leaves, leave them out, or refuse."""


def readLabels(labelsNode, tree, missing=REFUSE):
    """Return the labels of a node in the values of a tree.

    A segment is the node of the tree with its id or name, or, where not all segments are found so, with its label
    value; a voxel of a label map is the node with its value. Where segments overlap, the deeper node wins.

    Parameters
    ----------
    labelsNode: segmentation node, or volume node of whole numbers.
    tree: LabelTree.
    missing: REFUSE, ADD or BACKGROUND.

    Returns
    -------
    array ``(k, j, i)``, its grid, and the tree, which has more leaves after ADD.

    Raises
    ------
    InputError: the node is empty, or labels are not in the tree (they are named).
    """
    layers = layersOf(labelsNode)
    isSegmentation = labelsNode.IsA("vtkMRMLSegmentationNode")
    names = segmentNames(labelsNode) if isSegmentation else {}
    called, ids = {}, {}
    for number, layer in enumerate(layers):
        for label, key in layer.labels:
            if label:
                name = names.get(key, key) or ""
                called[number, label] = "" if name == str(label) else name
                ids[number, label] = key if isSegmentation else ""
    found = _nodesOf(called, ids, tree, valuesFirst=not isSegmentation)
    lacking = [key for key in called if found[key] is None]
    if lacking and missing == REFUSE:
        shown = listed([f"{key[1]} ({called[key]})" if called[key] else key[1] for key in lacking])
        raise InputError(
            f"the label tree '{tree.name}' has no node for label {shown}",
            hint="choose another tree, add these labels to it, or leave them out",
        )
    if lacking and missing == ADD:
        tree, added = _withLeaves(tree, lacking, called, ids)
        found.update(added)
    array, geometry = _merged(layers, {key: node for key, node in found.items() if node is not None}, tree)
    return array, geometry, tree


def _nodesOf(called, ids, tree, valuesFirst):
    """Return the node of each label (None: not in the tree), by ids and names or by values, whichever finds more."""
    finder = NodeFinder(tree)
    values = {node.value: node for node in tree.nodes if node.value is not None}
    byName = {key: finder.find(ids[key], called[key] or "") for key in called}
    byValue = {key: values.get(key[1]) for key in called}
    ways = [byValue, byName] if valuesFirst else [byName, byValue]
    return min(ways, key=_misses)


def _misses(found):
    """Return how many labels have no node, or share one with another: values of several layers may repeat."""
    nodes = [node.id for node in found.values() if node is not None]
    return len(found) - len(set(nodes))


def _withLeaves(tree, lacking, called, ids):
    added = {}
    for key in lacking:
        name = " ".join((called[key] or f"label {key[1]}").split())
        id_ = _fresh(ids[key] or name, tree)
        value = key[1] if not tree.has_value(key[1]) else max(tree.value_of(node.id) for node in tree.nodes) + 1
        tree = tree.add(Node(id_, name, tree.root.id, value=value))
        added[key] = tree.node(id_)
    return tree, added


def _fresh(id_, tree):
    number, wanted = 2, id_
    while wanted in tree:
        wanted, number = f"{id_}-{number}", number + 1
    return wanted


def _merged(layers, found, tree):
    """Return one array of tree values and its grid from layers of one geometry."""
    affine = Grids.imageToRas(layers[0].image)
    for layer in layers[1:]:
        if np.abs(Grids.imageToRas(layer.image) - affine).max() > 1e-3:
            raise InputError(
                "the segments of this segmentation lie on different grids",
                hint="export it to a label map and choose that",
            )
    boxes = [Grids.boxOf(layer.image) for layer in layers]
    first = [min(box[axis].start for box in boxes) for axis in range(3)]
    last = [max(box[axis].stop for box in boxes) for axis in range(3)]
    out = np.zeros([stop - start for start, stop in zip(first, last, strict=True)], np.uint16)
    depths = np.full(max(tree.value_of(node.id) for node in tree.nodes) + 1, -1, np.int16)
    for node in tree.nodes:
        depths[tree.value_of(node.id)] = tree.depth_of(node.id)
    for number, (layer, box) in enumerate(zip(layers, boxes, strict=True)):
        array = Grids.arrayOf(layer.image)
        values = {label: tree.value_of(node.id) for (of, label), node in found.items() if of == number}
        table = np.zeros(max(int(array.max()), *values, 0) + 1, np.uint16)
        table[list(values)] = list(values.values())
        here = tuple(slice(part.start - at, part.stop - at) for part, at in zip(box, first, strict=True))
        labels = table[array]
        if number == 0:
            out[here] = labels
        else:
            better = (labels > 0) & ((out[here] == 0) | (depths[labels] > depths[out[here]]))
            out[here][better] = labels[better]
    corner = affine.copy()
    corner[:3, 3] += affine[:3, :3] @ np.array(first[::-1])
    return out, Grids.geometryOf(corner, out.shape[::-1])
