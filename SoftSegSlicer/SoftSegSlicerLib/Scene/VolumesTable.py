"""Soft and hard volumes of the nodes of a segmentation, and the table node that shows them."""

from dataclasses import dataclass, replace

import numpy as np
import vtk

from softseg.lookup import value_counts

from ..Translation import tr as _
from . import Placement, References, SubjectHierarchy
from .LabelSource import SoftSource


@dataclass(frozen=True)
class WorldVolume:
    """How much of a node there is.

    Attributes
    ----------
    softMl: sum of its probability, ml; None without a soft parcellation.
    hardMl: volume of the voxels in which it wins among the nodes of its level, ml.
    certainty: its mean probability over these voxels, 0..1; None without a soft parcellation or such voxels.
    """

    softMl: float | None
    hardMl: float
    certainty: float | None

    def times(self, factor):
        """Return the same, so many times larger."""
        return replace(self, softMl=None if self.softMl is None else self.softMl * factor, hardMl=self.hardMl * factor)


def nodeVolumes(source, store, factor=1.0):
    """Return the NodeVolume of every node id of the tree.

    Parameters
    ----------
    source: SoftSource or CrispSource.
    store: ParcellationStore that keeps what was counted.
    factor: how many times larger everything is in the world than in the segmentation's own coordinates.
    """
    found = _softVolumes(source, store) if isinstance(source, SoftSource) else _crispVolumes(source)
    return {id_: volume.times(factor) for id_, volume in found.items()}


def _softVolumes(source, store):
    tree = source.remapping.tree
    rows = store.kept(_keyOf(source))
    if rows is None:
        for _done in counting(source, store):
            pass
        rows = store.kept(_keyOf(source))
    rows = rows[1]
    found = {}
    for row in rows:
        certainty = row.certainty if np.isfinite(row.certainty) else None
        found[row.id] = WorldVolume(row.soft_ml, row.hard_ml, certainty)
    nothing = WorldVolume(0.0, 0.0, None)
    return {node.id: found.get(node.id, nothing) for node in tree.nodes}


def counting(source, store):
    """Count the volumes of a source level by level, so that no step takes long: a generator of ``(done, total)``.

    Then :func:`nodeVolumes` has nothing left to count. Each node is counted in the cut at its own depth.
    """
    if not isinstance(source, SoftSource) or store.kept(_keyOf(source)) is not None:
        return
    known, parcellation = source.remapping.known, source.parcellation
    rows = {}
    for level in range(known.depth, -1, -1):
        cut = parcellation.tree.cut(node.id for node in known.cut_at(level).nodes)
        rows.update({row.id: row for row in parcellation.volumes(cut)})
        yield known.depth - level + 1, known.depth + 1
    # what is kept holds its source, so that no other one can get the same id
    store.derived(_keyOf(source), lambda: (source, list(rows.values())))


def _keyOf(source):
    return "volumes", id(source)


def _crispVolumes(source):
    tree = source.remapping.tree
    counts = value_counts(source.unfolded)
    table = source.remapping.table()[: counts.size]
    voxels = np.bincount(table, counts[: table.size], minlength=max(tree.value_of(node.id) for node in tree.nodes) + 1)
    voxelMl = source.geometry.voxel_volume_ml
    return {
        node.id: WorldVolume(
            None, float(sum(voxels[tree.value_of(below.id)] for below in tree.branch(node.id))) * voxelMl, None
        )
        for node in tree.nodes
    }


def writeVolumesTable(segmentationNode, tree, volumes, intervals=None):
    """Fill the table node that a segmentation refers to, made when missing, and return it.

    Columns: structure, level, soft volume (ml), its interval where there is one, hard volume (ml), certainty, path; a
    row per node in tree order. Under a transform that is not linear they say that the volumes are those before it.

    Parameters
    ----------
    intervals: ``{node id: (low, high)}`` of the soft volumes in ml; empty or None: no such columns.
    """
    table = References.referenced(segmentationNode, References.VOLUMES)
    if table is None:
        name = _("{name} volumes").format(name=segmentationNode.GetName())
        table = References.addNode(References.sceneOf(segmentationNode), "vtkMRMLTableNode", name)
        References.setReference(segmentationNode, References.VOLUMES, table)
        SubjectHierarchy.placeBeside(table, segmentationNode)
    modifying = table.StartModify()
    table.RemoveAllColumns()
    bent = Placement.worldGrowth(segmentationNode) is None
    soft, hard = _("Soft volume (ml)"), _("Hard volume (ml)")
    if bent:
        soft, hard = _("Soft volume before the transform (ml)"), _("Hard volume before the transform (ml)")
    columns = [
        (_("Structure"), [node.name for node in tree.nodes]),
        (_("Level"), [tree.depth_of(node.id) for node in tree.nodes]),
        (soft, [volumes[node.id].softMl for node in tree.nodes]),
        *_intervalColumns(tree, intervals or {}),
        (hard, [volumes[node.id].hardMl for node in tree.nodes]),
        (_("Certainty"), [volumes[node.id].certainty for node in tree.nodes]),
        (_("Path"), [" > ".join(above.name for above in tree.path(node.id)) for node in tree.nodes]),
    ]
    for title, values in columns:
        table.AddColumn(_column(title, values))
    table.SetUseColumnTitleAsColumnHeader(True)
    table.SetLocked(True)
    table.EndModify(modifying)
    return table


def _intervalColumns(tree, intervals):
    if not intervals:
        return []
    pairs = [intervals.get(node.id, (None, None)) for node in tree.nodes]
    return [(_("From (ml)"), [low for low, _high in pairs]), (_("To (ml)"), [high for _low, high in pairs])]


def _column(title, values):
    text = any(isinstance(value, str) for value in values)
    column = vtk.vtkStringArray() if text else vtk.vtkDoubleArray()
    if all(isinstance(value, int) for value in values):
        column = vtk.vtkIntArray()
    column.SetName(title)
    for value in values:
        column.InsertNextValue(float("nan") if value is None else value)
    return column
