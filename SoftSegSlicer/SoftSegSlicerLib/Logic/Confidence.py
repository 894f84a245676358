"""Labels that say no more than is sure."""

from softseg.soft.confidence import steps_of

from ..Scene.Sureness import Sureness, SureSource


class Confidence:
    """Shows every voxel as the deepest node that is sure.

    Parameters
    ----------
    results: Results.
    folding: Folding.
    """

    def __init__(self, results, folding):
        self._results, self._folding = results, folding

    def set(self, segmentationNode, confidence):
        """Show every voxel as the deepest node that is sure, no deeper than the cut; where nothing is sure, nothing.

        Parameters
        ----------
        segmentationNode: a segmentation with a soft parcellation.
        confidence: share, 0.5..1, that the node must have; None shows the largest node of the cut again.

        Returns
        -------
        as for :meth:`.Folding.collapse`.

        Raises
        ------
        InputError: the confidence is not in 0.5..1, or there is no soft parcellation.
        """
        if confidence is not None:
            steps_of(confidence)
        return self._folding.hold(segmentationNode, confidence=confidence)

    def of(self, segmentationNode):
        """Return the confidence that the labels are held to, None where to none."""
        return Sureness.of(segmentationNode).confidence

    def depths(self, segmentationNode):
        """Return how deep a segmentation that is held to a confidence answers, fractions of what is not background.

        Returns
        -------
        dict from the level of the tree (0 is the root) to its fraction; None stands for what is unknown. Empty
        where it is held to no confidence.
        """
        self._results.source(segmentationNode)
        source = self._results.shown(segmentationNode)
        return source.depths() if isinstance(source, SureSource) and source.sureness.confidence is not None else {}
