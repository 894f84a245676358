"""What lies under the pointer: the path of the largest node, with shares."""

import numpy as np
import vtk

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
        self._table = source.remapping.table() if self._reader is None else None

    def path(self, point, cut):
        """Return the nodes from the root down to the largest one of a cut, with their shares.

        Parameters
        ----------
        point: three numbers: RAS mm in the segmentation's own coordinates.
        cut: Cut of the segmentation's tree.

        Returns
        -------
        list of ``(node id, share in 0..1)``; empty outside the grid and where nothing is known.
        """
        i, j, k = np.rint(self._fromRas @ [*point, 1.0])[:3].astype(int).tolist()
        return self._crisp((k, j, i), cut) if self._reader is None else self._soft((k, j, i), cut)

    def _soft(self, voxel, cut):
        shares = self._reader.shares(voxel)
        if not shares:
            return []
        known = self.source.remapping.known
        nodes = dict.fromkeys(self.source.remapping.knownNode(node.id) for node in cut.nodes)
        largest = max(nodes, key=lambda id_: self._reader.node_share(shares, id_))
        return [(node.id, self._reader.node_share(shares, node.id)) for node in known.path(largest)]

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
