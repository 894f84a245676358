"""The menu of a click: what the marked voxels may be, the most probable first; one more click corrects."""

import qt
from slicer.i18n import tr as _

from softseg.tree import node_colors

from ..Widgets.Swatch import swatchIcon

__all__ = ["CorrectionMenu"]


class CorrectionMenu:
    """Shows what was marked can be, and tells what was answered.

    Parameters
    ----------
    parent: the widget it belongs to.
    answered: called with the id of a node and whether the voxels are it, or are not.
    another: called when none of the structures in the menu is meant.
    dropped: called when the menu is closed without an answer.
    """

    def __init__(self, parent, answered, another, dropped):
        self._answered, self._another, self._dropped = answered, another, dropped
        self.menu = qt.QMenu(parent)
        self._acted = False
        self.menu.aboutToHide.connect(self._onHide)

    def fill(self, tree, title, suggestions):
        """Show suggestions.

        Parameters
        ----------
        tree: LabelTree.
        title: what is marked.
        suggestions: each with ``node_id``, ``is_node`` and ``share`` (0..1, None where none is known).
        """
        self.menu.clear()
        self._acted = False
        heading = self.menu.addAction(title)
        heading.enabled = False
        self.menu.addSeparator()
        colors = node_colors(tree)
        for each in suggestions:
            name = tree.node(each.node_id).name
            text = name if each.is_node else _("not {name}").format(name=name)
            if each.share is not None:
                text = f"{text}\t{each.share:.0%}"
            action = self.menu.addAction(swatchIcon(colors[each.node_id]), text.replace("&", "&&"))
            action.triggered.connect(self._teller(each.node_id, each.is_node))
        self.menu.addSeparator()
        self.menu.addAction(_("Another structure…")).triggered.connect(self._onAnother)

    def popUp(self, *_args):
        """Show the menu under the mouse."""
        self.menu.popup(qt.QCursor.pos())

    def texts(self):
        """Return the texts of the menu, heading and separators left out."""
        return [action.text for action in self.menu.actions() if action.text and action.enabled]

    def _teller(self, nodeId, isNode):
        def tell(*_args):
            self._acted = True
            self._answered(nodeId, isNode)

        return tell

    def _onAnother(self, *_args):
        self._acted = True
        self._another()

    def _onHide(self, *_args):
        # Qt hides a menu before it triggers what was chosen
        qt.QTimer.singleShot(0, self._settle)

    def _settle(self):
        if not self._acted and not self.menu.visible:
            self._dropped()
