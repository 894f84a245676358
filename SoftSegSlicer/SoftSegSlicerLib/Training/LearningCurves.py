"""The curves of a training in the scene: two tables and two charts that Slicer's plot view shows."""

import slicer
import vtk

ATTRIBUTE = "SoftSeg.Run"
"""On all nodes of a training's curves: its folder."""
LOSS, SCORES = "loss", "scores"
MOST_POINTS = 1000
"""Longer courses are drawn as means over several steps."""

_COLORS = ((0.0, 0.45, 0.70), (0.90, 0.62, 0.0), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.84, 0.37, 0.0))
_SOFT, _LABELLED = "soft_dice/leaves", "f1/leaves"


class LearningCurves:
    """Loss and scores of one training, as numbers and as nodes.

    Parameters
    ----------
    folder: of the run; nodes that a saved scene brought back for it are used again.
    name: how people call it.

    Attributes
    ----------
    losses: ``[(step, loss)]``, at most :data:`MOST_POINTS`, means over several steps where there were more.
    scores: ``{name: [(step, score)]}``, e.g. ``dice/level 1``.
    lastStep, lastLoss: the latest.
    """

    def __init__(self, folder, name):
        self._folder, self._name = str(folder), name
        self.clear()

    def clear(self):
        """Forget the course; the nodes are emptied with the next :meth:`update`."""
        self.losses, self.scores = [], {}
        self.lastStep, self.lastLoss = 0, None
        self._width, self._open = 1, []

    def add(self, steps, validations):
        """Take what :class:`SoftSegSlicerLib.Training.TrainingRun.TrainingRun` has read."""
        for step, loss, _rate in steps:
            self.lastStep, self.lastLoss = step, loss
            self._open.append((step, loss))
            if len(self._open) >= self._width:
                self.losses.append(_mean(self._open))
                self._open = []
            if len(self.losses) >= 2 * MOST_POINTS:
                self.losses = [_mean(self.losses[n : n + 2]) for n in range(0, len(self.losses), 2)]
                self._width *= 2
        for step, scores in validations:
            for name, score in scores.items():
                self.scores.setdefault(name, []).append((step, score))

    def shownScores(self):
        """Return the scores worth a line: Dice of each level and of the leaves, and the soft Dice of the leaves.

        Of scribbles it is F1 and, of the leaves, accuracy: over the painted voxels a Dice of each case says little.
        """
        kind, other = ("f1", "accuracy/leaves") if self.ofScribbles else ("dice", _SOFT)
        levels = sorted((name for name in self.scores if name.startswith(f"{kind}/level ")), key=_levelOf)
        ends = [name for name in (f"{kind}/leaves", other) if name in self.scores]
        return levels[:-1] + ends  # the deepest level is that of the leaves

    @property
    def ofScribbles(self):
        """Whether the training is judged by painted voxels alone."""
        return _LABELLED in self.scores

    def update(self, scene):
        """Write everything into the nodes, which are made when missing; return the two charts: loss and scores."""
        lossTable = self._node(scene, "vtkMRMLTableNode", LOSS)
        _fill(lossTable, {"step": [step for step, _ in self.losses], "loss": [loss for _, loss in self.losses]})
        names = self.shownScores()
        scoreTable = self._node(scene, "vtkMRMLTableNode", SCORES)
        _fill(scoreTable, self._scoreColumns(names))
        lossChart = self._node(scene, "vtkMRMLPlotChartNode", LOSS)
        scoreChart = self._node(scene, "vtkMRMLPlotChartNode", SCORES)
        series = self._series(scene, LOSS, lossTable, "loss", _COLORS[0])
        _dress(lossChart, [series], self._name, "loss")
        lines = [
            self._series(scene, name, scoreTable, name, _COLORS[n % len(_COLORS)], dashed=name == _SOFT)
            for n, name in enumerate(names)
        ]
        axis = "scores of the painted voxels" if self.ofScribbles else "Dice of the validation cases"
        _dress(scoreChart, lines, self._name, axis, (0.0, 1.0))
        return lossChart, scoreChart

    def show(self, scene):
        """Show the scores, or the loss as long as there are none, in the plot view."""
        lossChart, scoreChart = self.update(scene)
        chart = scoreChart if self.scores else lossChart
        slicer.modules.plots.logic().ShowChartInLayout(chart)
        return chart

    def _scoreColumns(self, names):
        steps = sorted({step for name in names for step, _ in self.scores[name]})
        columns = {"step": steps}
        for name in names:
            known = dict(self.scores[name])
            columns[name] = [known.get(step, float("nan")) for step in steps]
        return columns

    def _series(self, scene, role, table, column, color, dashed=False):
        series = self._node(scene, "vtkMRMLPlotSeriesNode", role)
        series.SetName(label(column))
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName("step")
        series.SetYColumnName(column)
        series.SetPlotType(slicer.vtkMRMLPlotSeriesNode.PlotTypeScatter)
        series.SetColor(*color)
        style = slicer.vtkMRMLPlotSeriesNode
        series.SetLineStyle(style.LineStyleDash if dashed else style.LineStyleSolid)
        series.SetMarkerStyle(style.MarkerStyleNone if role == LOSS else style.MarkerStyleCircle)
        return series

    def _node(self, scene, className, role):
        """Return the node of this run that has this part in the curves."""
        nodes = scene.GetNodesByClass(className)
        nodes.UnRegister(None)
        for n in range(nodes.GetNumberOfItems()):
            node = nodes.GetItemAsObject(n)
            if node.GetAttribute(ATTRIBUTE) == self._folder and node.GetAttribute("SoftSeg.Curve") == role:
                return node
        node = scene.AddNewNodeByClass(className, scene.GenerateUniqueName(f"{self._name} {role}"))
        node.SetAttribute(ATTRIBUTE, self._folder)
        node.SetAttribute("SoftSeg.Curve", role)
        return node


def label(name):
    """Return a score's name for people: ``soft_dice/leaves`` is "soft Dice, leaves"."""
    kind, _, place = name.partition("/")
    if not place:
        return name
    return f"{kind.replace('_', ' ').replace('dice', 'Dice').replace('f1', 'F1')}, {place}"


def _mean(points):
    """Return the last step of some points with the mean of their values."""
    return points[-1][0], sum(value for _, value in points) / len(points)


def _levelOf(name):
    return int(name.rpartition(" ")[2])


def _fill(tableNode, columns):
    table = vtk.vtkTable()
    for name, values in columns.items():
        array = vtk.vtkDoubleArray()
        array.SetName(name)
        array.SetNumberOfValues(len(values))
        for row, value in enumerate(values):
            array.SetValue(row, value)
        table.AddColumn(array)
    tableNode.SetAndObserveTable(table)


def _dress(chart, series, title, axis, limits=None):
    """Give a chart its lines and words; limits of the vertical axis are fixed where they are given."""
    chart.SetTitle(title)
    chart.SetXAxisTitle("step")
    chart.SetYAxisTitle(axis)
    known = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    if known != [one.GetID() for one in series]:
        chart.RemoveAllPlotSeriesNodeIDs()
        for one in series:
            chart.AddAndObservePlotSeriesNodeID(one.GetID())
    chart.SetYAxisRangeAuto(limits is None)
    if limits is not None:
        chart.SetYAxisRange(*limits)
