"""What Segment Statistics tells of a segment of ours: soft volume, certainty, intensities weighted by probability."""

import math

from softseg.errors import SoftSegError
from softseg.image import Image
from softseg.soft.intensities import intensities_on, node_intensity

from ..Scene import Grids, Transforms

KEYS = ("soft_volume_cm3", "certainty", "soft_mean", "soft_stdev", "soft_median")


class SegmentNumbers:
    """Numbers of one segment after the other; what they share is kept from one to the next.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    """

    def __init__(self, logic):
        self._logic = logic
        self._key, self._intensities = None, None

    def of(self, segmentationNode, segmentId, volumeNode, keys=KEYS):
        """Return ``{key: number}`` of a segment, without those that are not known.

        Parameters
        ----------
        segmentationNode: any segmentation; one without a soft parcellation has no such numbers.
        segmentId: id of a segment; of one that people added nothing is known.
        volumeNode: scalar volume whose intensities are measured, or None.
        keys: of KEYS; what is not asked for is not computed.
        """
        try:
            found = self._volumes(segmentationNode, segmentId, keys)
            if volumeNode is not None and any(key in keys for key in KEYS[2:]):
                found.update(self._inScan(segmentationNode, segmentId, volumeNode))
        except SoftSegError:  # damaged, or bent by a transform: nothing can be said
            return {}
        return {key: number for key, number in found.items() if key in keys and math.isfinite(number)}

    def _volumes(self, segmentationNode, segmentId, keys):
        if not self._logic.results.isManaged(segmentationNode) or not any(key in keys for key in KEYS[:2]):
            return {}
        volume = self._logic.volumes.ofNodes(segmentationNode).get(segmentId)
        if volume is None or volume.softMl is None:
            return {}
        certainty = math.nan if volume.certainty is None else volume.certainty
        return {"soft_volume_cm3": volume.softMl, "certainty": certainty}

    def _inScan(self, segmentationNode, segmentId, volumeNode):
        if not self._logic.results.isManaged(segmentationNode):
            return {}
        parcellation = self._logic.results.parcellationOf(segmentationNode)
        if parcellation is None or segmentId not in parcellation.tree:
            return {}
        found = node_intensity(parcellation, segmentId, self._on(segmentationNode, parcellation.geometry, volumeNode))
        return {"soft_mean": found.mean, "soft_stdev": found.std, "soft_median": found.median}

    def _on(self, segmentationNode, geometry, volumeNode):
        """Return the intensities of a volume at the voxels of a result, which may lie under other transforms."""
        own = Transforms.geometryIn(volumeNode, segmentationNode)
        key = (volumeNode.GetID(), volumeNode.GetImageData().GetMTime(), own, geometry)
        if key != self._key:
            array = Grids.arrayOf(volumeNode.GetImageData())
            self._intensities, self._key = intensities_on(Image(array, own), geometry), key
        return self._intensities
