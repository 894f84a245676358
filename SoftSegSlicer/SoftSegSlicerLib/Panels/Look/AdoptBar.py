"""Offers a label tree for a segmentation that has none: the one that fits best first, with counts."""

import qt
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.tree import LabelTree
from SoftSegSlicerLib.Exchange.LabelItems import isSure
from SoftSegSlicerLib.Exchange.TreeSuggestions import rememberTree, suggestions, titleOf
from SoftSegSlicerLib.Panels.Widgets.Contradictions import withOverlaps
from SoftSegSlicerLib.Panels.Widgets.MessageLine import MessageLine
from SoftSegSlicerLib.Panels.Widgets.Selectors import chosen
from SoftSegSlicerLib.Panels.Widgets.TreeFiles import askTreeFile

__all__ = ["AdoptBar"]


class AdoptBar:
    """The frame with the choice of a tree.

    Parameters
    ----------
    ui: widgets of the Look panel.
    onAdopted: called with the new segmentation that has the tree.
    context: of the panels; its dialogs ask for files and for what belongs to what.
    """

    def __init__(self, ui, onAdopted, context):
        self._ui = ui
        self._onAdopted = onAdopted
        self._context = context
        self._node = None
        self._message = MessageLine(ui.messageLabel)
        ui.adoptButton.clicked.connect(self._onClicked)
        self._fill([])

    def show(self, visible: bool, node) -> None:
        """Be there or not; ``node`` is what would get the tree."""
        self._node = node if visible else None
        self._ui.adoptFrame.visible = visible
        if visible:
            self._ui.adoptLabel.text = _("'{name}' has no label tree yet.").format(name=node.GetName())
            # after the panel is drawn: looking at all labels and trees takes a moment
            qt.QTimer.singleShot(0, lambda: self._suggest(node))

    def _suggest(self, node):
        """Rank the trees for a node, unless another one is shown by now."""
        if node is not self._node or node.GetScene() is None:
            return
        try:
            ranked = suggestions(node)
        except SoftSegError as error:
            self._fill(suggestions())
            self._ui.adoptLabel.text = _("{what}.").format(what=error.message[:1].upper() + error.message[1:])
            return
        self._fill(ranked)
        best = ranked[0][2] if ranked else None
        if best is None or best.fitting == 0:
            text = _("'{name}' has no label tree yet, and no known tree fits its labels.")
            self._ui.adoptLabel.text = text.format(name=node.GetName())
            return
        text = _("'{name}' has no label tree yet. The tree '{tree}' fits {fitting} of {total} labels{how}.")
        self._ui.adoptLabel.text = text.format(
            name=node.GetName(),
            tree=ranked[0][1],
            fitting=best.fitting,
            total=best.total,
            how="" if best.named else _(", matched by value"),
        )

    def _fill(self, entries):
        """List trees, the best first and chosen, and the choice of a file."""
        selector = self._ui.adoptTreeSelector
        selector.clear()
        for path, title, fit in entries:
            selector.addItem(titleOf(title, fit), path)
        selector.addItem(_("From a file..."), "")
        selector.currentIndex = 0

    def _onClicked(self, *_args):
        path = chosen(self._ui.adoptTreeSelector) or askTreeFile(self._context.dialogs)
        if not path:
            return
        try:
            adopted = self._adopted(LabelTree.load(path))
        except SoftSegError as error:
            self._message.error(error)
            return
        if adopted is not None:
            rememberTree(path)
            self._onAdopted(adopted)

    def _adopted(self, tree):
        """Return the segmentation with the tree; None where people cancelled. Nothing is asked where all is sure."""
        logic, dialogs, node = self._context.logic, self._context.dialogs, self._node
        matching, choices = logic.results.matches(node, tree), {}
        if not isSure(node, matching):
            title = _("The labels of '{name}' and the structures of the label tree '{tree}'")
            choices = dialogs.askMatches(matching, title.format(name=node.GetName(), tree=tree.name))
            if choices is None:
                return None
        return withOverlaps(
            dialogs, lambda overlaps: logic.results.adopt(node, tree, mapping=choices, overlaps=overlaps)
        )
