"""Segmentations and label maps made elsewhere, brought to a label tree."""

import logging

import numpy as np

from softseg.errors import InputError
from softseg.tree.overlaps import Overlaps
from softseg.types import IGNORE_INDEX

from ..Scene import Grids
from .LabelItems import FIRST, contradiction, matchLabels
from .LabelItems import REFUSE as REFUSE_OVERLAPS
from .LabelReader import classTables, layersOf, orderOf

ADD, BACKGROUND, REFUSE = "add", "background", "refuse"
"""What to do with labels that a tree lacks: add them as leaves, leave them out, or refuse."""


def matchesOf(labelsNode, tree, mapping=None):
    """Return what belongs to what: the node of the tree for each segment or label value, and what is open.

    Parameters
    ----------
    labelsNode: segmentation node, or volume node of whole numbers; values within 0.001 of them are rounded, which the
        log says.
    tree: LabelTree.
    mapping: what people chose, see :func:`Exchange.LabelMatching.chosenOf`.

    Returns
    -------
    softseg.tree.matching.Matching

    Raises
    ------
    InputError: the node is empty, or the mapping names what is not there.
    """
    return matchLabels(labelsNode, layersOf(labelsNode), tree, mapping)


def readLabels(labelsNode, tree, missing=REFUSE, mapping=None, overlaps=REFUSE_OVERLAPS):
    """Return the labels of a node in the values of a tree.

    Each segment or label is the node of the tree with its name, id or code, or with its label value where no name
    contradicts (:mod:`softseg.tree.matching`). Where segments overlap, the deeper node of a branch wins.

    Parameters
    ----------
    labelsNode: segmentation node, or volume node of whole numbers.
    tree: LabelTree.
    missing: what becomes of open labels: REFUSE, ADD or BACKGROUND.
    mapping: what people chose, see :func:`Exchange.LabelMatching.chosenOf`.
    overlaps: voxels of segments that contradict each other: ``"refuse"``, or ``"first"`` for the first of them.

    Returns
    -------
    array ``(k, j, i)``, its grid, and the tree, which has more leaves where some were added.

    Raises
    ------
    InputError: the node is empty, or labels are open (they are named).
    ContradictionError: segments contradict each other.
    """
    layers = layersOf(labelsNode)
    for layer in layers:
        if layer.said:
            logging.warning(layer.said)
    matching = matchLabels(labelsNode, layers, tree, mapping)
    if missing == ADD:
        matching = matching.adding()
    elif missing == BACKGROUND:
        matching = matching.leaving_out()
    matching.require("choose another tree, map each one to a node, add them to the tree, or leave them out")
    counted = Overlaps(matching.tree, orderOf(matching))
    array, geometry = _merged(layers, matching, counted)
    if counted.contradictions and overlaps != FIRST:
        raise contradiction(counted, labelsNode)
    return array, geometry, matching.tree


def _merged(layers, matching, overlaps):
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
    shape = [stop - start for start, stop in zip(first, last, strict=True)]
    tables = classTables(layers, matching)
    if len(layers) == 1:  # nothing can overlap
        out = matching.tree.to_values(tables[0])[Grids.arrayOf(layers[0].image)]
    else:
        classes = np.full(shape, IGNORE_INDEX, np.int16)
        for layer, box, table in zip(layers, boxes, tables, strict=True):
            here = tuple(slice(part.start - at, part.stop - at) for part, at in zip(box, first, strict=True))
            overlaps.add(classes[here], table[Grids.arrayOf(layer.image)])
        out = matching.tree.to_values(classes)
    corner = affine.copy()
    corner[:3, 3] += affine[:3, :3] @ np.array(first[::-1])
    return out, Grids.geometryOf(corner, out.shape[::-1])
