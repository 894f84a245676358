"""What the segments of a result hold now, whoever wrote it: one node of the tree per voxel."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from softseg.lookup import look_up

from . import Folding, Grids, Segments


@dataclass(frozen=True)
class Painting:
    """Segments read as labels.

    Attributes
    ----------
    box: slices ``(k, j, i)`` of the result's grid.
    labels: label values of the tree, uint16 ``(k, j, i)`` of ``box``; 0 where no segment is.
    before: what the result says there, of the same shape.
    outside: voxels of segments beyond the grid, which no correction can hold.
    contested: voxels that more than one segment claims; what was painted last has them.
    """

    box: tuple
    labels: Any
    before: Any
    outside: int
    contested: int

    @cached_property
    def changed(self):
        """Mask ``(k, j, i)`` of the voxels that say something else than the result."""
        return self.labels != self.before


def read(segmentationNode, source, cut):
    """Return the Painting of a segmentation, None where no segment of a node has labels.

    Voxels that a segment which people added took from nodes are no change: below it the result is what it was.

    Parameters
    ----------
    segmentationNode: the segmentation.
    source: SoftSource or CrispSource that it shows.
    cut: Cut that it shows.
    """
    layers = _layersOf(segmentationNode, cut)
    if not any(layer.ours for layer in layers):
        return None
    grid = tuple(slice(0, size) for size in source.geometry.shape)
    layers = [_Layer(Grids.onLattice(layer.image, source.geometry), layer.table, layer.ours) for layer in layers]
    reaches = [Grids.reachOf(layer.image, source.geometry, grid) for layer in layers if layer.ours]
    box = union([source.box, *(reach for reach in reaches if reach is not None)])
    before = within(source.labels(cut).astype(np.uint16, copy=False), source.box, box)
    labels, contested = _together([layer for layer in layers if layer.ours], source.geometry, box, before)
    for layer in layers:
        if not layer.ours:
            covered = (layer.on(source.geometry, box) != 0) & (labels == 0)
            labels[covered] = before[covered]
    outside = sum(layer.outside(source.geometry, grid) for layer in layers if layer.ours)
    return Painting(box, labels, before, outside, contested)


def signature(segmentationNode):
    """Return what is another one when somebody may have edited segments of nodes."""
    found = []
    for id_, segment in Segments.ownSegments(segmentationNode):
        image = segment.GetRepresentation(Segments.REPRESENTATION)
        found.append((id_, 0 if image is None else image.GetMTime(), segment.GetLabelValue()))
    return tuple(found)


def agrees(segmentationNode, source, cut):
    """Whether the shared layer shows the labels of a source as far as it reaches."""
    image = Segments.layerOf(segmentationNode)
    if image is None or not Segments.isShared(segmentationNode, image):
        return False
    here, there = Grids.overlap(image, source.geometry, source.box)
    return np.array_equal(Grids.arrayOf(image)[there], source.labels(cut)[here])


def union(boxes):
    """Return the smallest box, slices ``(k, j, i)``, that holds all boxes."""
    return tuple(
        slice(min(part.start for part in parts), max(part.stop for part in parts)) for parts in zip(*boxes, strict=True)
    )


def within(array, box, larger):
    """Return an array of a box in a box that holds it; 0 where it does not reach."""
    if tuple(box) == tuple(larger):
        return array
    out = np.zeros([part.stop - part.start for part in larger], array.dtype)
    out[tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, larger, strict=True))] = array
    return out


@dataclass(frozen=True)
class _Layer:
    """A label map of segments: from its values to those of the tree; of other segments, to 1."""

    image: Any
    table: Any
    ours: bool

    def on(self, geometry, box):
        """Return its values in a box of the grid, ``(k, j, i)``; 0 where it does not reach."""
        out = np.zeros([part.stop - part.start for part in box], np.uint16)
        here, there = Grids.overlap(self.image, geometry, box)
        out[here] = self._values(there)
        return out

    def outside(self, geometry, grid):
        """Return the number of its voxels beyond the grid."""
        reach = Grids.boxOf(self.image)
        _here, there = Grids.overlap(self.image, geometry, grid)
        if all(part.stop - part.start == own.stop - own.start for part, own in zip(there, reach, strict=True)):
            return 0
        everything = tuple(slice(None) for _ in there)
        return int(np.count_nonzero(self._values(everything)) - np.count_nonzero(self._values(there)))

    def _values(self, there):
        return look_up(Grids.arrayOf(self.image)[there], self.table)  # its last place stands for all above


def _layersOf(segmentationNode, cut):
    """Return the layers of a segmentation, what was painted last at the end."""
    segmentation = segmentationNode.GetSegmentation()
    images, ours, others = {}, {}, {}
    _shown, owner = Folding.shownCut(cut)
    for id_ in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(id_)
        image = segment.GetRepresentation(Segments.REPRESENTATION)
        if image is None or image.GetPointData().GetScalars() is None or 0 in image.GetDimensions():
            continue
        key = image.GetAddressAsString("")
        images[key] = image
        known = Segments.isOurs(segment) and id_ in cut.tree
        value = Folding.valueShown(cut.tree, owner, id_) if known else 1
        (ours if known else others).setdefault(key, {})[segment.GetLabelValue()] = value
    order = sorted(images, key=lambda key: images[key].GetMTime())
    found = [_Layer(images[key], _table(ours[key]), True) for key in order if key in ours]
    return found + [_Layer(images[key], _table(others[key]), False) for key in order if key in others]


def _table(values):
    """Return a look-up with one place more than needed, which stands for all greater values: 0."""
    table = np.zeros(max(values) + 2, np.uint16)
    table[list(values)] = list(values.values())
    return table


def _together(layers, geometry, box, before):
    """Return the labels of several layers in one, and how many voxels more than one of them claims."""
    labels, contested = layers[0].on(geometry, box), 0
    for layer in layers[1:]:
        part = layer.on(geometry, box)
        clash = (part != 0) & (labels != 0) & (part != labels)
        contested += int(np.count_nonzero(clash))
        take = (part != 0) & ((labels == 0) | (part != before))
        labels[take] = part[take]
    return labels, contested
