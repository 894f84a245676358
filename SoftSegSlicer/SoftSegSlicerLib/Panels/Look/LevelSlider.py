"""The slider that folds a whole tree to one level."""

from collections.abc import Callable

from slicer.i18n import tr as _

from softseg.tree import Cut, LabelTree

__all__ = ["LevelSlider", "levelOf"]


def levelOf(tree: LabelTree, cut: Cut) -> int | None:
    """Return the level that a cut is, ``None`` where it is none; of equal levels the finest."""
    ids = [node.id for node in cut.nodes]
    for level in range(tree.depth, -1, -1):
        if [node.id for node in tree.cut_at(level).nodes] == ids:
            return level
    return None


class LevelSlider:
    """A QSlider over the levels of a tree, and the label that says where it stands.

    Parameters
    ----------
    slider, label: the widgets.
    onLevel: called with the level when the user moves the slider.
    """

    def __init__(self, slider, label, onLevel: Callable[[int], None]):
        self._slider = slider
        self._label = label
        self._onLevel = onLevel
        slider.valueChanged.connect(self._moved)

    def show(self, tree: LabelTree | None, cut: Cut | None) -> None:
        """Stand where the cut is; the label says so where that is between levels."""
        wasBlocked = self._slider.blockSignals(True)
        self._slider.enabled = tree is not None
        if tree is None or cut is None:
            self._label.text = ""
        else:
            self._slider.maximum = tree.depth
            level = levelOf(tree, cut)
            if level is not None:
                self._slider.value = level
            # the background is no label that anybody counts
            count = len(cut.nodes) - (tree.background is not None and tree.background in cut.nodes)
            where = _("{level} of {depth}").format(level=level, depth=tree.depth) if level is not None else _("mixed")
            self._label.text = _("{where}, {count} labels").format(where=where, count=count)
        self._slider.blockSignals(wasBlocked)

    def _moved(self, *_args):
        self._onLevel(self._slider.value)
