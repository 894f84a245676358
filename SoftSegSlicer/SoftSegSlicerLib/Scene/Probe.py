"""What lies under the pointer: the path of the largest node, with probabilities."""

from typing import Any

import numpy as np
import vtk

from softseg.soft.confidence import steps_of
from softseg.soft.encoding import SCALE
from softseg.soft.points import PointReader

from .LabelSource import SoftSource


class Probe:
    """Reads single points of one label source.

    Parameters
    ----------
    source: SoftSource or CrispSource.
    """

    def __init__(self, source):
        self.source = source
        self._fromRas = np.linalg.inv(source.geometry.affine)
        self._reader = PointReader(source.parcellation) if isinstance(source, SoftSource) else None
        self._table: Any = source.remapping.table() if self._reader is None else None

    def path(self, point, cut, confidence=None):
        """Return the nodes from the root down to the largest one of a cut, with their probabilities.

        Parameters
        ----------
        point: three numbers: RAS mm in the segmentation's own coordinates.
        cut: Cut of the segmentation's tree.
        confidence: the path ends with the deepest node, down to the cut, that has this probability; None: any.

        Returns
        -------
        list of ``(node id, probability in 0..1)``; empty outside the grid and where nothing is known.
        """
        i, j, k = np.rint(self._fromRas @ [*point, 1.0])[:3].astype(int).tolist()
        if self._reader is None:
            return self._crisp((k, j, i), cut)
        return self._soft((k, j, i), cut) if confidence is None else self._sure((k, j, i), cut, confidence)

    def outlierScore(self, point):
        """Return the outlier score at a point, None outside the grid and where none is stored."""
        stored = self.source.parcellation.outliers if self._reader is not None else None
        voxel = np.rint(self._fromRas @ [*point, 1.0])[2::-1].astype(int).tolist()
        if stored is None or not all(0 <= at < size for at, size in zip(voxel, stored.shape, strict=True)):
            return None
        place = [at - first for at, first in zip(voxel, stored.start, strict=True)]
        inside = all(0 <= at < size for at, size in zip(place, stored.steps.shape, strict=True))
        step = int(stored.steps[tuple(place)]) if inside else 0
        return stored.low + (stored.high - stored.low) * step / SCALE

    def _sure(self, voxel, cut, confidence):
        probabilities = self._reader.probabilities(voxel)
        if not probabilities:
            return []
        known, inCut = self.source.remapping.known, {node.id for node in cut.nodes}
        path, nodes = [], [known.root]
        while nodes:
            pairs = [(node, self._reader.node_probability(probabilities, node.id)) for node in nodes]
            sure = next(
                (
                    (node, probability)
                    for node, probability in pairs
                    if round(probability * SCALE) >= steps_of(confidence)
                ),
                None,
            )
            if sure is None:
                break
            path.append((sure[0].id, sure[1]))
            nodes = [] if sure[0].id in inCut else known.children(sure[0].id)
        return path

    def _soft(self, voxel, cut):
        probabilities = self._reader.probabilities(voxel)
        if not probabilities:
            return []
        known = self.source.remapping.known
        nodes = dict.fromkeys(self.source.remapping.knownNode(node.id) for node in cut.nodes)
        largest = max(nodes, key=lambda id_: self._reader.node_probability(probabilities, id_))
        return [(node.id, self._reader.node_probability(probabilities, node.id)) for node in known.path(largest)]

    def _crisp(self, voxel, cut):
        unfolded = self.source.unfolded
        if not all(0 <= at < size for at, size in zip(voxel, unfolded.shape, strict=True)):
            return []
        value = int(self._table[unfolded[voxel]])
        if value == 0 and cut.tree.background is None:
            return []
        found = next(node for node in cut.tree.nodes if cut.tree.value_of(node.id) == value)
        path = [node.id for node in cut.tree.path(found.id)]
        owner = next((id_ for id_ in path if any(node.id == id_ for node in cut.nodes)), path[-1])
        return [(id_, 1.0) for id_ in path[: path.index(owner) + 1]]


def toLocal(node, ras):
    """Return a point of the world (RAS mm) in the coordinates of a node under parent transforms."""
    transform = node.GetParentTransformNode()
    if transform is None:
        return tuple(ras)
    toNode = vtk.vtkGeneralTransform()
    transform.GetTransformFromWorld(toNode)
    return toNode.TransformPoint(ras)
