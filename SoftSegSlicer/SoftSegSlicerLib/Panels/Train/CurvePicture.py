"""A small picture of a training's curves: loss on a logarithmic scale, and the scores from 0 to 1."""

import itertools
import math

import qt
from slicer.i18n import tr as _

from ...Training.LearningCurves import label
from ..Widgets.MessageLine import isDark

HEIGHT = 120
_MARGIN, _LEGEND = 6, 16
_LOSS = {False: "#1f5fa8", True: "#7fb4ea"}
_SCORE = {False: ("#b35900", "#1b7f5c", "#8a3d77"), True: ("#f0a860", "#66cfa8", "#d99bc8")}


def drawCurves(labelWidget, curves):
    """Draw the course of a training into a QLabel, as wide as it is.

    Parameters
    ----------
    labelWidget: the QLabel.
    curves: LearningCurves.
    """
    width, ratio = max(labelWidget.width, 120), pixelRatio(labelWidget)
    pixmap = qt.QPixmap(round(width * ratio), round(HEIGHT * ratio))
    pixmap.setDevicePixelRatio(ratio)
    palette = labelWidget.palette
    pixmap.fill(palette.color(qt.QPalette.Base))
    painter = qt.QPainter(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    dark = isDark(labelWidget)
    frame = (_MARGIN, _LEGEND + 4, width - 2 * _MARGIN, HEIGHT - _LEGEND - 4 - _MARGIN)
    ink = palette.color(qt.QPalette.Text)
    _drawGrid(painter, frame, ink)
    last = max([step for step, _value in curves.losses] or [1])
    legend = []
    if curves.losses:
        legend.append((_("loss"), _LOSS[dark]))
        _drawLine(painter, frame, last, _logarithmic(curves.losses), _LOSS[dark])
    for name, color in zip(_leading(curves), _SCORE[dark], strict=False):
        legend.append((label(name), color))
        _drawLine(painter, frame, last, curves.scores[name], color, dots=True)
    _drawLegend(painter, legend or [(_("curves appear after the first step"), ink.name())], width)
    painter.end()
    labelWidget.pixmap = pixmap


def pixelRatio(widget):
    """Return how many pixels of the screen a pixel of Qt is; 1 where PythonQt does not tell."""
    return getattr(widget, "devicePixelRatioF", lambda: 1.0)()


def _leading(curves):
    """Return the scores that tell most: the coarsest level, the leaves hard and soft."""
    names = curves.shownScores()
    ends = [name for name in names if name.endswith("/leaves")]
    return [*names[: 3 - len(ends)], *ends] if len(names) > 3 else names


def _logarithmic(points):
    """Return the points with values 0..1 between the lowest and the highest, on a logarithmic scale where that fits."""
    values = [value for _step, value in points]
    scale = math.log if min(values) > 0 else float
    low, high = scale(min(values)), scale(max(values))
    span = (high - low) or 1.0
    return [(step, 0.05 + 0.9 * (scale(value) - low) / span) for step, value in points]


def _drawGrid(painter, frame, ink):
    left, top, width, height = frame
    faint = qt.QColor(ink)
    faint.setAlpha(40)
    painter.setPen(qt.QPen(faint))
    for part in (0.0, 0.5, 1.0):
        y = round(top + part * height)
        painter.drawLine(left, y, left + width, y)


def _drawLine(painter, frame, last, points, color, dots=False):
    left, top, width, height = frame
    places = [
        qt.QPointF(left + width * step / last, top + height * (1 - min(max(value, 0.0), 1.0))) for step, value in points
    ]
    pen = qt.QPen(qt.QColor(color))
    pen.setWidthF(1.6)
    painter.setPen(pen)
    for first, second in itertools.pairwise(places):
        painter.drawLine(first, second)
    if dots or len(places) == 1:
        painter.setBrush(qt.QBrush(qt.QColor(color)))
        for place in places if len(places) <= 40 else places[-1:]:
            painter.drawEllipse(place, 2.0, 2.0)


def _drawLegend(painter, entries, width):
    x = _MARGIN
    for text, color in entries:
        painter.setPen(qt.QPen(qt.QColor(color)))
        painter.drawText(x, _LEGEND - 3, text)
        x += painter.fontMetrics().boundingRect(text).width() + 12
        if x > width:
            return
