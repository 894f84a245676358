"""Labels that say no more than is sure: the deepest node that passes a confidence, and nothing for outliers."""

import json
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softseg.lookup import value_counts
from softseg.types import OUTLIER_VALUE

from . import Folding, References, Stored
from .LabelSource import SoftSource


@dataclass(frozen=True)
class Sureness:
    """What the labels of a segmentation are held to.

    Attributes
    ----------
    confidence: share, 0.5..1, that the node of a voxel must have; None: the largest node of the cut wins anyhow.
    leaveOut: whether outliers get no label.
    threshold: outlier score beyond which a voxel is an outlier; None: the stored one.
    """

    confidence: float | None = None
    leaveOut: bool = False
    threshold: float | None = None

    @staticmethod
    def of(segmentationNode):
        """Return what the attributes of a segmentation say."""
        return Sureness(**Stored.optional(segmentationNode, References.SURENESS, _canBe, {}))

    def write(self, segmentationNode):
        """Keep it with the segmentation."""
        text = None if self == Sureness() else json.dumps(vars(self), sort_keys=True)
        segmentationNode.SetAttribute(References.SURENESS, text)

    @property
    def plain(self):
        """Whether labels are what they always are."""
        return self.confidence is None and not self.leaveOut


def _canBe(value):
    """Whether a value of a scene can be a :class:`Sureness`."""
    if not isinstance(value, dict) or not set(value) <= {"confidence", "leaveOut", "threshold"}:
        return False
    confidence, threshold = value.get("confidence"), value.get("threshold")
    return (
        (confidence is None or (Stored.isShare(confidence) and confidence >= 0.5))
        and isinstance(value.get("leaveOut", False), bool)
        and (threshold is None or Stored.isNumber(threshold))
    )


@dataclass(frozen=True)
class SureSource(SoftSource):
    """A soft source whose labels are held to a :class:`Sureness`.

    Attributes
    ----------
    sureness: as its segmentation says.
    """

    sureness: Sureness = Sureness()
    _kept: dict = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def shown(source, segmentationNode, last=None):
        """Return the source that a segmentation shows: the same one, or one that is held to its sureness.

        Parameters
        ----------
        source: its source as it is.
        segmentationNode: the segmentation.
        last: what was returned before, also for another segmentation; what it computed is used again where it fits.
        """
        sureness = Sureness.of(segmentationNode)
        if not isinstance(source, SoftSource) or sureness.plain:
            return source
        if last is None or last.parcellation is not source.parcellation or last.remapping != source.remapping:
            return SureSource(source.parcellation, source.remapping, source.parts, sureness)
        if last.sureness == sureness:
            return last
        same = last.sureness.confidence == sureness.confidence and "answers" in last._kept
        kept = {"answers": last._kept["answers"]} if same else {}
        return SureSource(source.parcellation, source.remapping, source.parts, sureness, kept)

    def labels(self, cut):
        """Return label values at a cut or above it: ``(k, j, i)`` of :attr:`box`; 0 where nothing is sure."""
        key = tuple(node.id for node in cut.nodes)
        if self._kept.get("cut") != key:
            self._kept.update(cut=key, labels=self._labels(cut))
        return self._kept["labels"]

    def coarser(self, cut):
        """Return the ids of nodes above a cut that have voxels."""
        present = np.flatnonzero(value_counts(self.labels(cut)))
        return Folding.coarserNodes(cut, set(present.tolist()))

    def depths(self):
        """Return how much is answered at each level, shares of what is not background.

        Returns
        -------
        dict from the level (0 is the root) to its share; None stands for what is unknown.
        """
        tree, counts = self.parcellation.tree, np.bincount(self._answers().reshape(-1), minlength=OUTLIER_VALUE + 1)
        found: dict[int | None, int] = {None: int(counts[0 if tree.background is None else OUTLIER_VALUE])}
        for id_, value in tree.node_values().items():
            if tree.background is None or id_ != tree.background.id:
                level = tree.depth_of(id_)
                found[level] = found.get(level, 0) + int(counts[value])
        total = sum(found.values()) or 1
        return {level: count / total for level, count in found.items()}

    def _labels(self, cut):
        if self.sureness.confidence is None:
            labels = super().labels(cut).copy()
        else:
            labels = Folding.answerTable(self.parcellation.tree, cut)[self._answers()]
            labels = Folding.withParts(labels, self, cut) if self.parts else labels
        if self.sureness.leaveOut and self.parcellation.outliers is not None:
            labels[self.parcellation.outliers.mask(self.sureness.threshold)[self.box]] = 0
        return labels

    def _answers(self) -> Any:
        if "answers" not in self._kept:
            answers = self.parcellation.confident_labels(self.sureness.confidence, outliers=False)
            self._kept["answers"] = answers[self.box]
        return self._kept["answers"]
