"""Surfaces of the segments that are shown, kept through folds: one is made again only where its voxels changed.

Slicer drops all surfaces of a segmentation whenever its voxels change, and makes those of every segment in one go, each
from the whole label map. Here each is made from its own part of it, by Slicer's converter and with the segmentation's
settings (joint smoothing apart), one at a time, and stays known by the shape that it was made of.
"""

from collections import OrderedDict

import numpy as np
import slicer
import vtk

from softseg.regions import label_regions

from . import Grids, SegmentList, Segments

_QUICK = {"Conversion method": "1", "SurfaceNets smoothing": "1"}
_MOST_POINTS = 20_000_000
"""Points of all surfaces that are kept; 134 structures of a head at 1 mm have one million."""


class Surfaces:
    """Surfaces that were made lately, and those that are still to be made."""

    def __init__(self):
        self._made = OrderedDict()
        self._pending: dict = {}
        self._given: dict = {}

    @staticmethod
    def areOn(segmentationNode):
        """Whether a segmentation has surfaces, as Slicer's own *Show 3D* asks."""
        return segmentationNode.GetSegmentation().ContainsRepresentation(Segments.SURFACE)

    def of(self, segmentationNode, tree, image):
        """Return a surface for each node that has voxels in a label map; those that are not known yet are empty so far.

        :meth:`steps` fills them.

        Parameters
        ----------
        segmentationNode: the segmentation.
        tree: its LabelTree.
        image: the shared layer.
        """
        values = {tree.value_of(node.id): node.id for node in tree.nodes if node != tree.background}
        regions = label_regions(Grids.arrayOf(image), values)
        settings = _settingsText(segmentationNode, image)
        surfaces, pending = {}, {}
        for value, region in regions.items():
            id_, key = values[value], (settings, region.digest)
            surfaces[id_] = self._present(segmentationNode, id_, key)
            if key not in self._made:
                pending[id_] = (key, region.box, surfaces[id_])
        self._pending[segmentationNode.GetID()] = pending
        return surfaces

    def _present(self, segmentationNode, id_, key):
        """Return the surface that a segment has, where it is still right; else another one."""
        place = (segmentationNode.GetID(), id_)
        segment = segmentationNode.GetSegmentation().GetSegment(id_)
        known, surface, changed = self._given.get(place, (None, None, None))
        present = None if segment is None else segment.GetRepresentation(Segments.SURFACE)
        if known == key and surface is present and surface.GetMTime() == changed:
            return surface
        surface = vtk.vtkPolyData()
        if key in self._made:
            self._made.move_to_end(key)
            surface.ShallowCopy(self._made[key])  # Slicer's effects write into the one that a segment has
        self._given[place] = (key, surface, surface.GetMTime())
        return surface

    def pendingOf(self, segmentationNode):
        """Return the ids of segments whose surfaces are still to be made."""
        return list(self._pending.get(segmentationNode.GetID(), {}))

    def steps(self, segmentationNode):
        """Make the surfaces that are missing, small ones first; yields ``(done, total)`` after each.

        It ends early where the segmentation is folded meanwhile: what that left to do is a matter of other steps.
        """
        pending: dict = self._pending.get(segmentationNode.GetID(), {})
        order = sorted(pending, key=lambda id_: np.prod([part.stop - part.start for part in pending[id_][1]]))
        for done, id_ in enumerate(order, 1):
            segment = segmentationNode.GetSegmentation().GetSegment(id_)
            if self._pending.get(segmentationNode.GetID()) is not pending:
                return
            key, box, surface = pending[id_]
            if segment is not None and segment.GetRepresentation(Segments.SURFACE) is surface:
                self._keep(key, _surfaceOf(segmentationNode, segment, box))
                surface.ShallowCopy(self._made[key])
                self._given[segmentationNode.GetID(), id_] = (key, surface, surface.GetMTime())
            yield done, len(order)
        self._pending.pop(segmentationNode.GetID(), None)

    def show(self, segmentationNode, tree, on):
        """Give all segments surfaces, or take them away, as Slicer's own *Show 3D* does; :meth:`steps` fills them.

        Those of segments that people added are made at once.
        """
        segmentation, display = segmentationNode.GetSegmentation(), segmentationNode.GetDisplayNode()
        if on == self.areOn(segmentationNode):
            return
        with SegmentList.batch(segmentationNode):
            if on:
                surfaces = self.of(segmentationNode, tree, Segments.layerOf(segmentationNode))
                for id_ in segmentation.GetSegmentIDs():
                    segment = segmentation.GetSegment(id_)
                    if not Segments.isOurs(segment):
                        image = segment.GetRepresentation(Segments.REPRESENTATION)
                        box = tuple(slice(0, part.stop - part.start) for part in Grids.boxOf(image))
                        surface = _surfaceOf(segmentationNode, segment, box)
                        segment.AddRepresentation(Segments.SURFACE, surface)
                Segments.giveSurfaces(segmentationNode, surfaces)
                segmentation.InvokeEvent(slicer.vtkSegmentation.ContainedRepresentationNamesModified)
                display.SetPreferredDisplayRepresentationName2D(Segments.REPRESENTATION)
                display.SetPreferredDisplayRepresentationName3D(Segments.SURFACE)
                display.SetVisibility3D(True)
            else:
                segmentation.RemoveRepresentation(Segments.SURFACE)
                self._pending.pop(segmentationNode.GetID(), None)

    def _keep(self, key, surface):
        self._made[key] = surface
        self._made.move_to_end(key)
        while len(self._made) > 1 and sum(each.GetNumberOfPoints() for each in self._made.values()) > _MOST_POINTS:
            self._made.popitem(last=False)

    def clear(self):
        """Forget everything, as when the scene is closed."""
        self._made.clear()
        self._pending.clear()
        self._given.clear()


def tell(segmentationNode):
    """Let views draw surfaces that were filled."""
    segmentation = segmentationNode.GetSegmentation()
    segmentation.InvokeEvent(slicer.vtkSegmentation.RepresentationModified)


def useQuickConversion(segmentation):
    """Let surfaces be made and smoothed by surface nets, about ten times as fast as what Slicer does otherwise.

    Both can be chosen in the menu of Slicer's *Show 3D*.
    """
    for name, value in _QUICK.items():
        segmentation.SetConversionParameter(name, value)


def _settingsText(segmentationNode, image):
    """Return a text that is another one when the same voxels would give another surface."""
    parameters = segmentationNode.GetSegmentation().SerializeAllConversionParameters()
    others = [part for part in parameters.split("&") if "geometry" not in part.lower()]
    return repr((others, Grids.imageToRas(image).ravel().tolist(), image.GetExtent()))


def _surfaceOf(segmentationNode, segment, box):
    """Return the surface of a segment, made by Slicer's converter from its part of the label map and one voxel around.

    Parameters
    ----------
    segmentationNode: whose settings count.
    segment: the segment.
    box: slices ``(k, j, i)`` of its voxels, counted from the corner of its label map.
    """
    image = segment.GetRepresentation(Segments.REPRESENTATION)
    corner = [own.start for own in Grids.boxOf(image)]
    around = [slice(side.start + at - 1, side.stop + at + 1) for side, at in zip(box, corner, strict=True)]
    part = slicer.vtkOrientedImageData()
    Grids.allocate(part, around, vtk.VTK_UNSIGNED_CHAR)
    part.SetGeometryFromImageToWorldMatrix(Grids.arrayToMatrix(Grids.imageToRas(image)))
    Grids.arrayOf(part)[1:-1, 1:-1, 1:-1] = Grids.arrayOf(image)[box] == segment.GetLabelValue()
    alone, copy = slicer.vtkSegmentation(), slicer.vtkSegment()
    alone.CopyConversionParameters(segmentationNode.GetSegmentation())
    copy.SetName(segment.GetName())
    copy.AddRepresentation(Segments.REPRESENTATION, part)
    alone.AddSegment(copy, "segment")
    alone.CreateRepresentation(Segments.SURFACE)
    return copy.GetRepresentation(Segments.SURFACE)
