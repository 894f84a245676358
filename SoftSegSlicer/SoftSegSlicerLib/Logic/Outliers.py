"""Voxels that are unlike what the model was trained on."""

from dataclasses import replace

from softseg.errors import InputError

from ..Scene import HeatMap, OutlierMask, Placement
from ..Scene.ShownMap import OUTLIER_SCORE
from ..Scene.Sureness import Sureness
from ..Translation import tr as _
from .HeatMaps import given


class Outliers:
    """The outlier score of a result: its threshold, the voxels beyond it, and its map.

    Parameters
    ----------
    sources: ResultSources.
    results: Results.
    folding: Folding.
    maps: HeatMaps, whose threshold follows.
    """

    def __init__(self, sources, results, folding, maps):
        self._sources, self._results, self._folding, self._maps = sources, results, folding, maps

    def of(self, segmentationNode):
        """Return the outlier score of a result (``score_name``, ``threshold``, ``low``, ``high``), None without one."""
        if not self._results.isManaged(segmentationNode):
            return None
        stored = self._sources.store.read(segmentationNode)
        return None if stored is None else stored.outliers

    def threshold(self, segmentationNode):
        """Return the score beyond which a voxel is an outlier: as it was set, else as it is stored."""
        threshold = Sureness.of(segmentationNode).threshold
        return self._require(segmentationNode).threshold if threshold is None else threshold

    def setThreshold(self, segmentationNode, threshold):
        """Call other voxels outliers from now on; what is shown of them follows.

        Parameters
        ----------
        segmentationNode: a segmentation with an outlier score.
        threshold: in units of the score; None: the stored one.

        Raises
        ------
        InputError: there is no outlier score.
        """
        self._require(segmentationNode)
        sureness = replace(Sureness.of(segmentationNode), threshold=threshold)
        if sureness.leaveOut:
            self._folding.hold(segmentationNode, threshold=threshold)
        else:
            sureness.write(segmentationNode)
        if OutlierMask.isOn(segmentationNode):
            self.show(segmentationNode)
        if self._maps.shown(segmentationNode) == OUTLIER_SCORE:
            self._maps.style(segmentationNode, threshold=self.threshold(segmentationNode))

    def show(self, segmentationNode, opacity=None):
        """Mark the outliers with a coloured layer over the slices, and return its label map volume.

        Parameters
        ----------
        segmentationNode: a segmentation with an outlier score.
        opacity: 0..1; None: as it was.

        Raises
        ------
        InputError: there is no outlier score.
        """
        mask = self._require(segmentationNode).mask(self.threshold(segmentationNode))
        geometry = self._sources.of(segmentationNode).geometry
        return OutlierMask.show(segmentationNode, mask, geometry, opacity)

    def hide(self, segmentationNode):
        """Take the layer of outliers off the slices."""
        OutlierMask.hide(segmentationNode)

    def opacityOf(self, segmentationNode):
        """Return the opacity of the layer of outliers, None while it is off."""
        return OutlierMask.opacityOf(segmentationNode) if OutlierMask.isOn(segmentationNode) else None

    def leaveOut(self, segmentationNode, on):
        """Give outliers no label, or their labels again; returns as :meth:`.Folding.collapse` does.

        Raises
        ------
        InputError: there is no outlier score.
        """
        self._require(segmentationNode)
        return self._folding.hold(segmentationNode, leaveOut=bool(on))

    def areLeftOut(self, segmentationNode):
        """Whether outliers get no label."""
        return Sureness.of(segmentationNode).leaveOut

    def ml(self, segmentationNode):
        """Return the volume of the outliers in ml, as :meth:`.ResultVolumes.ofNodes` does.

        Raises
        ------
        InputError: there is no outlier score.
        """
        mask = self._require(segmentationNode).mask(self.threshold(segmentationNode))
        geometry = self._sources.of(segmentationNode).geometry
        return float(mask.sum()) * geometry.voxel_volume_ml * (Placement.worldGrowth(segmentationNode) or 1.0)

    def showScore(self, segmentationNode, *, opacity=None, colorMap=None, legend=None):
        """Show how strange every voxel is, as :meth:`.HeatMaps.show` does; voxels below the threshold stay clear.

        The colours begin at the least and end at the largest score that is stored, in units of the score.

        Raises
        ------
        InputError: there is no outlier score.
        """
        stored = self._require(segmentationNode)
        source = self._sources.of(segmentationNode)
        threshold = self.threshold(segmentationNode)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        title, span = _("Outlier score: {name}").format(name=stored.score_name), (stored.low, stored.high)
        return HeatMap.show(segmentationNode, OUTLIER_SCORE, stored.degree(), source.geometry, title, style, span)

    def _require(self, segmentationNode):
        found = self.of(segmentationNode)
        if found is None:
            raise InputError(
                "this segmentation has no outlier score",
                hint="segment the scan with the option 'Outliers' and a model that has a fitted score",
            )
        return found
