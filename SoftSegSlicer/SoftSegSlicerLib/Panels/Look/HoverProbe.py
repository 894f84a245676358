"""Names what is under the mouse in the slice views, with its share of the voxel."""

from html import escape

import slicer
from slicer.i18n import tr as _

from softseg.tree import LabelTree

__all__ = ["HoverProbe", "describeHtml", "hoverHtml", "hoverText"]


def describeHtml(tree: LabelTree, path: list[tuple[str, float]], soft: bool) -> str:
    """Return the path to a node as two lines of HTML: the node, and what it is part of.

    Parameters
    ----------
    tree: the tree.
    path: ids from the root down to the node, each with its share of the voxel, 0..1.
    soft: whether shares are known; a crisp segmentation has none worth showing.
    """

    def named(id_: str, share: float) -> str:
        name = escape(tree.node(id_).name)
        return f"{name}&nbsp;{share:.0%}" if soft else name

    if not path:
        return ""
    # the root is everything, wherever the mouse is
    *above, (last, share) = path[1:] or path
    line = f"<b>{escape(tree.node(last).name)}</b>" + (f" {share:.0%}" if soft else "")
    if not above:
        return line
    return line + "<br/>" + " &rsaquo; ".join(named(id_, share) for id_, share in above)


def hoverHtml(logic, node, tree: LabelTree, ras, soft: bool) -> str:
    """Return what lies at a position (RAS, mm) of a segmentation: its path, and whether it is an outlier."""
    text = describeHtml(tree, logic.points.describe(node, ras), soft)
    stored = logic.outliers.of(node)
    score = None if stored is None else logic.points.outlierScoreAt(node, ras)
    if score is None or score <= logic.outliers.threshold(node):
        return text
    said = _("outlier ({name} {score})").format(name=escape(stored.score_name), score=f"{score:.3g}")
    return f"{text} &middot; <i>{said}</i>" if text else f"<i>{said}</i>"


def hoverText(logic, node, tree, ras, soft: bool) -> str:
    """Return what is at a position (RAS, mm; None: nowhere), or what can be done where nothing is.

    Parameters
    ----------
    logic, node, soft: as for :func:`hoverHtml`.
    tree: the tree of ``node``; None where there is none.
    ras: three numbers, or None.
    """
    if tree is None:
        return _("Create a segmentation under Segment, or load one.") if node is None else ""
    text = "" if ras is None else hoverHtml(logic, node, tree, ras, soft)
    return text or _("Move the mouse over a slice view to see the structure there.")


class HoverProbe:
    """Follows the mouse through the slice views (the scene's crosshair node).

    Parameters
    ----------
    moved: called with the position (RAS, mm), or ``None`` outside the views.
    wanted: returns whether it is to follow now; it is not while another module is looked at.
    """

    def __init__(self, moved, wanted=lambda: True):
        self._moved, self._wanted = moved, wanted
        self._crosshair = None
        self._tag = None

    def start(self) -> None:
        """Begin to follow, where that is wanted; does nothing where it follows already."""
        if not self._wanted():
            return
        crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        if crosshair is self._crosshair and self._tag is not None:
            return
        self.stop()
        if crosshair is not None:
            event = slicer.vtkMRMLCrosshairNode.CursorPositionModifiedEvent
            self._crosshair, self._tag = crosshair, crosshair.AddObserver(event, self._onMoved)

    def stop(self) -> None:
        """Follow no longer."""
        if self._crosshair is not None:
            self._crosshair.RemoveObserver(self._tag)
        self._crosshair = self._tag = None

    def _onMoved(self, *_args):
        ras = [0.0, 0.0, 0.0]
        self._moved(tuple(ras) if self._crosshair.GetCursorPositionRAS(ras) else None)
