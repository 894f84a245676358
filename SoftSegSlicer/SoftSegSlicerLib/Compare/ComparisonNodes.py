"""A comparison in the scene: a table of all structures, a bar plot of the worst, and jumping to one."""

import slicer
import vtk

from ..Scene import References

MOST_BARS = 20
_COLUMNS = (
    ("name", "structure"),
    ("level", "level"),
    ("dice", "Dice"),
    ("soft_dice", "soft Dice"),
    ("surface_dice", "surface Dice"),
    ("hd95_mm", "HD95 (mm)"),
    ("volume_ml", "volume (ml)"),
    ("volume_reference_ml", "reference (ml)"),
    ("soft_volume_ml", "soft volume (ml)"),
    ("status", "status"),
)
_MODEL_COLUMNS = (
    ("dice_model", "Dice, model"),
    ("dice_change", "Dice, difference"),
    ("soft_dice_model", "soft Dice, model"),
    ("soft_dice_change", "soft Dice, difference"),
)
_SERIES = ("first series", "second series")
_COLORS = ((0.12, 0.37, 0.66), (0.90, 0.62, 0.0))
_BARS = (("dice", "Dice"), ("soft_dice", "soft Dice"))
_MODEL_BARS = (("dice", "Dice, corrected"), ("dice_model", "Dice, model"))


class ComparisonNodes:
    """Nodes of one comparison; used again by the next one.

    Parameters
    ----------
    scene: where they are.
    """

    def __init__(self, scene):
        self._scene, self._nodes, self._result = scene, {}, None

    def of(self, scene):
        """Whether these are nodes of this scene."""
        return self._scene is scene

    def belongTo(self, resultNode):
        """Let the nodes belong to the result that was judged: they go when it goes.

        Parameters
        ----------
        resultNode: the result, None where it is no longer in the scene.
        """
        before, self._result = self._result, resultNode
        if before is not None and before is not resultNode and self._scene.IsNodePresent(before):
            for role in References.COMPARISON:
                References.setReference(before, role, None)
        for role, name in zip(References.COMPARISON, ("comparison", "bars", "chart", *_SERIES), strict=True):
            node = self._nodes.get(name)
            if resultNode is not None and node is not None and self._scene.IsNodePresent(node):
                References.setReference(resultNode, role, node)

    def write(self, tables, title):
        """Write the table of all levels and return its node."""
        rows = [row for level in tables.levels for row in tables.nodes(level["level"])]
        node = self._node("vtkMRMLTableNode", "comparison", f"{title} comparison")
        columns = (*_COLUMNS, *_MODEL_COLUMNS) if tables.judgesModel else _COLUMNS
        node.SetAndObserveTable(_table({label: [row[key] for row in rows] for key, label in columns}))
        return node

    def bars(self, rows, title):
        """Write a bar plot of the first structures of ``rows`` (the worst) and return its chart node.

        It shows Dice and soft Dice; where the model is judged too, Dice corrected and Dice of the model.
        """
        shown = rows[:MOST_BARS]
        bars = _MODEL_BARS if shown and "dice_model" in shown[0] else _BARS
        values = {label: [row[key] for row in shown] for key, label in bars}
        table = self._node("vtkMRMLTableNode", "bars", f"{title} bars")
        table.SetAndObserveTable(_table({"structure": [row["name"] for row in shown], **values}))
        chart = self._node("vtkMRMLPlotChartNode", "chart", f"{title} chart")
        chart.RemoveAllPlotSeriesNodeIDs()
        for role, name, color in zip(_SERIES, values, _COLORS, strict=True):
            series = self._node("vtkMRMLPlotSeriesNode", role, name)
            series.SetName(name)
            series.SetAndObserveTableNodeID(table.GetID())
            series.SetLabelColumnName("structure")
            series.SetYColumnName(name)
            series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeBar)
            series.SetColor(*color)
            chart.AddAndObservePlotSeriesNodeID(series.GetID())
        chart.SetTitle(title)
        chart.SetYAxisTitle("Dice, lowest first")
        chart.SetYAxisRangeAuto(False)
        chart.SetYAxisRange(0.0, 1.0)
        return chart

    def _node(self, className, role, name):
        """Return the node with this part, made when it is not (or no longer) in the scene."""
        known = self._nodes.get(role)
        if known is None or not self._scene.IsNodePresent(known):
            known = self._scene.AddNewNodeByClass(className, self._scene.GenerateUniqueName(name))
            self._nodes[role] = known
        return known


def jump(resultNode, point):
    """Let all slice views show a point, ``(r, a, s)`` in the result's own coordinates, in their middle."""
    world = [0.0, 0.0, 0.0]
    resultNode.TransformPointToWorld(point, world)
    centered = slicer.vtkMRMLSliceNode.CenteredJumpSlice
    slicer.vtkMRMLSliceNode.JumpAllSlices(resultNode.GetScene(), *world, centered)


def _table(columns):
    table = vtk.vtkTable()
    for name, values in columns.items():
        texts = any(isinstance(value, str) for value in values)
        array = vtk.vtkStringArray() if texts else vtk.vtkDoubleArray()
        array.SetName(name)
        array.SetNumberOfValues(len(values))
        for row, value in enumerate(values):
            array.SetValue(row, value)
        table.AddColumn(array)
    return table
