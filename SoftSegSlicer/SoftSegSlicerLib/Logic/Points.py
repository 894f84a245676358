"""What lies at a point: the voxels around it, what they are shown as, and what else they may be."""

from dataclasses import dataclass

import numpy as np

from softseg.soft.correcting.choosing import ball, region, suggestions
from softseg.soft.points import PointReader

from ..Scene import Folding
from ..Scene.LabelSource import SoftSource
from ..Scene.ParcellationNode import ParcellationStore
from ..Scene.Probe import Probe, toLocal
from ..Scene.Sureness import Sureness

MOST = 8
"""Nodes that a click suggests, besides what is shown there and its opposite."""


@dataclass(frozen=True)
class NodeChoice:
    """Something that clicked voxels may be.

    Attributes
    ----------
    node_id: the node.
    is_node: False: anything but it.
    share: what the model gives it in the clicked voxel, 0..1; None where no model has said.
    """

    node_id: str
    is_node: bool
    share: float | None


class Points:
    """Voxels of a result, and structures, at points of the world.

    Parameters
    ----------
    results: Results.
    """

    def __init__(self, results):
        self._results = results
        self._probes = ParcellationStore(most=2)

    def describe(self, segmentationNode, ras):
        """Return what lies at a point: ``[(node id, share), ...]`` from the root to the largest node of the cut.

        Where labels are held to a confidence, the path ends with the deepest node that is sure.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        ras: three numbers, mm in the world.

        Returns
        -------
        empty outside the grid, and where nothing is labelled.
        """
        probe, confidence = self._probe(segmentationNode), Sureness.of(segmentationNode).confidence
        return probe.path(toLocal(segmentationNode, ras), self._results.cutOf(segmentationNode), confidence)

    def outlierScoreAt(self, segmentationNode, ras):
        """Return the outlier score at a point (RAS, mm), None outside the grid or without a score."""
        return self._probe(segmentationNode).outlierScore(toLocal(segmentationNode, ras))

    def voxelAt(self, segmentationNode, ras):
        """Return the voxel ``(k, j, i)`` of a result's grid at a point (RAS mm in the world), None outside."""
        geometry = self._results.shown(segmentationNode).geometry
        place = np.linalg.inv(geometry.affine) @ [*toLocal(segmentationNode, ras), 1.0]
        voxel = tuple(np.rint(place[2::-1]).astype(int).tolist())
        inside = all(0 <= at < size for at, size in zip(voxel, geometry.shape, strict=True))
        return voxel if inside else None

    def shownAt(self, segmentationNode, voxel):
        """Return the id of the node that a voxel ``(k, j, i)`` is shown as, None where it is shown as nothing."""
        tree = self._results.treeOf(segmentationNode)
        value = int(self._labels(segmentationNode)[voxel])
        if value == 0:
            return None if tree.background is None else tree.background.id
        return next(node.id for node in tree.nodes if tree.value_of(node.id) == value)

    def regionAt(self, segmentationNode, voxel):
        """Return flat indices of the voxels that are connected with one and shown as the same node."""
        self._results.source(segmentationNode)  # what was painted becomes a correction first
        shown = _Shown(self._results.shown(segmentationNode).geometry, self._labels(segmentationNode))
        return np.flatnonzero(region(shown, None, voxel))

    def ballsAt(self, segmentationNode, points, radius):
        """Return flat indices of the voxels within ``radius`` mm of any of some points (RAS mm in the world)."""
        geometry = self._results.shown(segmentationNode).geometry
        toGrid = np.linalg.inv(geometry.affine)
        found = np.zeros(geometry.shape, bool)
        for point in points:
            centre = (toGrid @ [*toLocal(segmentationNode, point), 1.0])[2::-1]
            found |= ball(geometry, tuple(centre.tolist()), radius)
        return np.flatnonzero(found)

    def choicesAt(self, segmentationNode, voxel):
        """Return what a voxel may be: what it is shown as, other nodes of the cut by probability, its opposite.

        Siblings of what is shown are always among them, and the background comes last.
        """
        source, cut = self._results.shown(segmentationNode), self._results.cutOf(segmentationNode)
        shown, tree = self.shownAt(segmentationNode, voxel), cut.tree
        background = None if tree.background is None else tree.background.id
        if isinstance(source, SoftSource):
            found = _softChoices(source, cut, voxel)
        else:
            parent = None if shown is None else tree.node(shown).parent
            found = [NodeChoice(node.id, True, None) for node in cut.nodes if node.parent == parent]
        others = [each for each in found if each.node_id not in (shown, background)][:MOST]
        own = next((each for each in found if each.node_id == shown), None)
        first = [] if shown in (None, background) else [own or NodeChoice(shown, True, None)]
        last = [] if shown in (None, background) else [NodeChoice(shown, False, None)]
        return [*first, *others, *last, *([] if background is None else [NodeChoice(background, True, None)])]

    def forget(self):
        """Let go of everything that was looked up, as when the scene is closed."""
        self._probes.clear()

    def _labels(self, segmentationNode):
        source, cut = self._results.shown(segmentationNode), self._results.cutOf(segmentationNode)
        out = np.zeros(source.geometry.shape, np.uint16)
        out[source.box] = source.labels(cut)
        return out

    def _probe(self, segmentationNode):
        source = self._results.source(segmentationNode)
        return self._probes.derived(id(source), lambda: Probe(source))


@dataclass(frozen=True)
class _Shown:
    """Labels as they are shown, for :func:`softseg.soft.correcting.choosing.region`."""

    geometry: object
    array: object

    def labels(self, _cut):
        return self.array


def _softChoices(source, cut, voxel):
    """Return the nodes of a cut with the model's probabilities in a voxel, the most probable first."""
    tree, model = source.parcellation.tree, source.parcellation.predicted
    shown, _owner = Folding.shownCut(cut)
    known = tree.cut(dict.fromkeys(source.remapping.knownNode(node.id) for node in shown.nodes))
    found = {each.node_id: each.probability for each in suggestions(source.parcellation, model, known, voxel)}
    reader = PointReader(model)
    probabilities = reader.probabilities(voxel) or {}
    own = (node.id for node in known.nodes if node.id not in found)
    found.update(
        {
            id_: reader.node_probability(probabilities, id_)
            for id_ in own
            if reader.node_probability(probabilities, id_) > 0
        }
    )
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    return [NodeChoice(id_, True, share) for id_, share in ordered if id_ in cut.tree]
