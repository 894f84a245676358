"""The context menu of the Look tree: whole branches at once."""

import qt
from slicer.i18n import tr as _

__all__ = ["BranchMenu"]


class BranchMenu:
    """Opens or folds everything below a node with one act.

    Parameters
    ----------
    tree: the LabelTreeWidget.
    changed: called once after branches were opened or folded.
    """

    def __init__(self, tree, changed):
        self._tree = tree
        self._changed = changed
        tree.contextMenuPolicy = qt.Qt.ActionsContextMenu
        self._actions = []
        for text, act in (
            (_("Unfold everything below"), self.openBelow),
            (_("Fold everything below"), self.foldBelow),
            (_("Fold all others"), self.foldOthers),
        ):
            action = qt.QAction(text, tree)
            action.triggered.connect(act)
            tree.addAction(action)
            self._actions.append(action)

    def openBelow(self, *_args):
        """Open the branch of the current node completely."""
        self._set(lambda tree, current: {node.id: True for node in tree.branch(current)})

    def foldBelow(self, *_args):
        """Fold the branch of the current node and every branch inside it."""
        self._set(lambda tree, current: {node.id: False for node in tree.branch(current)})

    def foldOthers(self, *_args):
        """Fold every branch that does not lead to the current node or lie below it."""
        self._set(_others)

    def _set(self, wanted):
        tree, current = self._tree.labelTree, self._tree.currentId()
        if tree is None or current is None or self._tree.isFiltered:
            return
        wasBlocked = self._tree.blockSignals(True)
        for id_, opened in wanted(tree, current).items():
            if tree.children(id_):
                self._tree.itemOf(id_).setExpanded(opened)
        self._tree.blockSignals(wasBlocked)
        self._changed()


def _others(tree, current):
    kept = {node.id for node in (*tree.path(current), *tree.branch(current))}
    return {node.id: False for node in tree.nodes if node.id not in kept}
