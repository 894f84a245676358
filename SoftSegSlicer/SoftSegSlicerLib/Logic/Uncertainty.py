"""Uncertainty of results: deepest certain labels, outliers, the uncertainty of one decision."""

import math
from dataclasses import replace

from softseg.errors import InputError
from softseg.soft.confidence import steps_of

from ..Scene import Grids, HeatMap, LabelSource, OutlierMask, Placement, References
from ..Scene.Probe import toLocal
from ..Scene.ShownMap import DISAGREEMENT, OUTLIER_SCORE, Kind, ShownMap
from ..Scene.Sureness import Sureness, SureSource
from ..Translation import tr as _
from .Maps import MapsLogic, given


class UncertaintyLogic(MapsLogic):
    """Labels that say no more than is sure, and maps of what is doubtful or strange."""

    # -- as deep as sure ------------------------------------------------------------------------------------------

    def setConfidence(self, segmentationNode, confidence):
        """Show every voxel as the deepest node that is sure, no deeper than the cut; where nothing is sure, nothing.

        Parameters
        ----------
        segmentationNode: a segmentation with a soft parcellation.
        confidence: share, 0.5..1, that the node must have; None shows the largest node of the cut again.

        Returns
        -------
        as for :meth:`collapse`.

        Raises
        ------
        InputError: the confidence is not in 0.5..1, or there is no soft parcellation.
        """
        if confidence is not None:
            steps_of(confidence)
        return self._hold(segmentationNode, confidence=confidence)

    def confidenceOf(self, segmentationNode):
        """Return the confidence that the labels are held to, None where to none."""
        return Sureness.of(segmentationNode).confidence

    def answeredDepths(self, segmentationNode):
        """Return how deep a segmentation that is held to a confidence answers, shares of what is not background.

        Returns
        -------
        dict from the level of the tree (0 is the root) to its share; None stands for what is unknown. Empty where it is
        held to no confidence.
        """
        self.takeEdits(segmentationNode)
        source = self._shownSource(segmentationNode)
        return source.depths() if isinstance(source, SureSource) and source.sureness.confidence is not None else {}

    # -- outliers -------------------------------------------------------------------------------------------------

    def outliersOf(self, segmentationNode):
        """Return the outlier score of a result (``score_name``, ``threshold``, ``low``, ``high``), None without one."""
        if not self.isManaged(segmentationNode):
            return None
        stored = self._store.read(segmentationNode)
        return None if stored is None else stored.outliers

    def outlierThreshold(self, segmentationNode):
        """Return the score beyond which a voxel is an outlier: as it was set, else as it is stored."""
        threshold = Sureness.of(segmentationNode).threshold
        return self._requireOutliers(segmentationNode).threshold if threshold is None else threshold

    def setOutlierThreshold(self, segmentationNode, threshold):
        """Call other voxels outliers from now on; what is shown of them follows.

        Parameters
        ----------
        segmentationNode: a segmentation with an outlier score.
        threshold: in units of the score; None: the stored one.

        Raises
        ------
        InputError: there is no outlier score.
        """
        self._requireOutliers(segmentationNode)
        sureness = replace(Sureness.of(segmentationNode), threshold=threshold)
        if sureness.leaveOut:
            self._hold(segmentationNode, threshold=threshold)
        else:
            sureness.write(segmentationNode)
        if OutlierMask.isOn(segmentationNode):
            self.showOutliers(segmentationNode)
        if self.shownMap(segmentationNode) == OUTLIER_SCORE:
            self.styleHeatMap(segmentationNode, threshold=self.outlierThreshold(segmentationNode))

    def showOutliers(self, segmentationNode, opacity=None):
        """Mark the outliers with a coloured layer over the slices, and return its label map volume.

        Parameters
        ----------
        segmentationNode: a segmentation with an outlier score.
        opacity: 0..1; None: as it was.

        Raises
        ------
        InputError: there is no outlier score.
        """
        mask = self._requireOutliers(segmentationNode).mask(self.outlierThreshold(segmentationNode))
        geometry = LabelSource.sourceOf(segmentationNode, self._store).geometry
        return OutlierMask.show(segmentationNode, mask, geometry, opacity)

    def hideOutliers(self, segmentationNode):
        """Take the layer of outliers off the slices."""
        OutlierMask.hide(segmentationNode)

    def outliersShown(self, segmentationNode):
        """Return the opacity of the layer of outliers, None while it is off."""
        return OutlierMask.opacityOf(segmentationNode) if OutlierMask.isOn(segmentationNode) else None

    def leaveOutliersOut(self, segmentationNode, on):
        """Give outliers no label, or their labels again; returns as :meth:`collapse` does.

        Raises
        ------
        InputError: there is no outlier score.
        """
        self._requireOutliers(segmentationNode)
        return self._hold(segmentationNode, leaveOut=bool(on))

    def outliersLeftOut(self, segmentationNode):
        """Whether outliers get no label."""
        return Sureness.of(segmentationNode).leaveOut

    def outlierMl(self, segmentationNode):
        """Return the volume of the outliers in ml, as :meth:`nodeVolumes` does.

        Raises
        ------
        InputError: there is no outlier score.
        """
        mask = self._requireOutliers(segmentationNode).mask(self.outlierThreshold(segmentationNode))
        geometry = LabelSource.sourceOf(segmentationNode, self._store).geometry
        return float(mask.sum()) * geometry.voxel_volume_ml * (Placement.worldGrowth(segmentationNode) or 1.0)

    def outlierScoreAt(self, segmentationNode, ras):
        """Return the outlier score at a point (RAS, mm), None outside the grid or without a score."""
        return self._probe(segmentationNode).outlierScore(toLocal(segmentationNode, ras))

    def showOutlierScore(self, segmentationNode, *, opacity=None, colorMap=None, legend=None):
        """Show how strange every voxel is, as :meth:`showNode` shows a node; voxels below the threshold stay clear.

        The colours begin at the least and end at the largest score that is stored, in units of the score.

        Raises
        ------
        InputError: there is no outlier score.
        """
        stored = self._requireOutliers(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        threshold = self.outlierThreshold(segmentationNode)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        title, span = _("Outlier score: {name}").format(name=stored.score_name), (stored.low, stored.high)
        return HeatMap.show(segmentationNode, OUTLIER_SCORE, stored.degree(), source.geometry, title, style, span)

    # -- one decision ---------------------------------------------------------------------------------------------

    def decisionOf(self, segmentationNode, nodeId):
        """Return the id of the node in which a decision is made: the node, or where it has no parts, the one above.

        None where the tree holds no decision, or nothing is known about the node.
        """
        known = self._requireSoft(segmentationNode).remapping.known
        if nodeId not in known:
            return None
        return next((node.id for node in reversed(known.path(nodeId)) if len(known.children(node.id)) > 1), None)

    def showDecision(self, segmentationNode, nodeId, *, threshold=None, opacity=None, colorMap=None, legend=None):
        """Show how undecided every voxel is between the parts of a node, 0..1, as :meth:`showNode` shows a node.

        A voxel may be sure of the cortex and not know the gyrus. Of a node without parts it is the decision in the node
        above it. Where the node itself has next to no share, nothing is to be decided, and the map is 0.

        Raises
        ------
        InputError: there is no soft parcellation, or no decision.
        """
        deciding = self.decisionOf(segmentationNode, nodeId)
        if deciding is None:
            raise InputError("this node has no children to decide between", hint="choose a structure that has children")
        source = self._requireSoft(segmentationNode)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        title = _("Uncertainty within {name}").format(name=self.treeOf(segmentationNode).node(deciding).name)
        return HeatMap.show(
            segmentationNode,
            ShownMap.decision(deciding),
            source.parcellation.branch_entropy(deciding, normalize=True),
            source.geometry,
            title,
            style,
        )

    # -- repeated answers -----------------------------------------------------------------------------------------

    def hasDisagreement(self, segmentationNode):
        """Whether the model answered repeatedly and it is known how much the answers differ."""
        return References.referenced(segmentationNode, References.DISAGREEMENT) is not None

    def showDisagreement(self, segmentationNode, *, threshold=None, opacity=None, colorMap=None, legend=None):
        """Show how much repeated answers differ (mutual information, nats), as :meth:`showNode` shows a node.

        The last colour stands for ln 2: half of the answers say one thing for sure, the others another. 0 is where all
        agree, also where they agree on being unsure.

        Raises
        ------
        InputError: the model predicted only once.
        """
        volumeNode = References.referenced(segmentationNode, References.DISAGREEMENT)
        if volumeNode is None:
            raise InputError("the model predicted only once", hint="segment the scan with the option 'Uncertainty'")
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        return HeatMap.show(
            segmentationNode,
            DISAGREEMENT,
            Grids.arrayOf(volumeNode.GetImageData()),
            Grids.geometryOfVolume(volumeNode),
            _("Disagreement"),
            style,
            (0, math.log(2)),
        )

    # -- inside ---------------------------------------------------------------------------------------------------

    def _refreshMap(self, segmentationNode):
        shown = self.shownMap(segmentationNode)
        if shown is None or shown.kind is not Kind.DECISION:
            super()._refreshMap(segmentationNode)
        elif self.decisionOf(segmentationNode, shown.nodeId) is not None:
            self.showDecision(segmentationNode, shown.nodeId)
        else:
            self.hideHeatMap(segmentationNode)

    def _hold(self, segmentationNode, **changes):
        """Hold the labels to something else and show them."""
        edits = self.takeEdits(segmentationNode)
        self._requireSoft(segmentationNode)
        before, cut = Sureness.of(segmentationNode), self.cutOf(segmentationNode)
        wanted = replace(before, **changes)
        if wanted == before:
            return None
        wanted.write(segmentationNode)
        try:
            source = self._shownSource(segmentationNode)
            labels = source.labels(cut)
        except InputError:
            before.write(segmentationNode)
            raise
        self._write(segmentationNode, source, cut, labels)
        return None if edits is None else edits.kept

    def _requireOutliers(self, segmentationNode):
        found = self.outliersOf(segmentationNode)
        if found is None:
            raise InputError(
                "this segmentation has no outlier score",
                hint="segment the scan with the option 'Outliers' and a model that has a fitted score",
            )
        return found
