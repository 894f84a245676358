"""Offers a label tree for a segmentation that has none, and asks which structure each of its labels is."""

from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from SoftSegSlicerLib.Panels.Contradictions import withOverlaps
from SoftSegSlicerLib.Panels.MessageLine import MessageLine
from SoftSegSlicerLib.Panels.PanelWidgets import shippedTrees
from SoftSegSlicerLib.Panels.Selectors import chosen
from SoftSegSlicerLib.Panels.TreeFiles import askOpenTree

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
        for name in shippedTrees():
            ui.adoptTreeSelector.addItem(name, name)
        ui.adoptTreeSelector.addItem(_("From a file..."), "")
        ui.adoptButton.clicked.connect(self._onClicked)

    def show(self, visible: bool, node) -> None:
        """Be there or not; ``node`` is what would get the tree."""
        self._node = node
        self._ui.adoptFrame.visible = visible
        if visible:
            self._ui.adoptLabel.text = _(
                "'{name}' has no label tree yet. Choose the tree that has its structures; "
                "its voxels are kept as they are."
            ).format(name=node.GetName())

    def _onClicked(self, *_args):
        name = chosen(self._ui.adoptTreeSelector)
        try:
            tree = LabelTree.load(label_tree_path(name)) if name else askOpenTree(self._context.dialogs)
            adopted = None if tree is None else self._adopted(tree)
        except SoftSegError as error:
            self._message.error(error)
            return
        if adopted is not None:
            self._onAdopted(adopted)

    def _adopted(self, tree):
        """Return the segmentation with the tree; None where people cancelled."""
        logic, dialogs, node = self._context.logic, self._context.dialogs, self._node
        title = _("The labels of '{name}' and the structures of the label tree '{tree}'")
        choices = dialogs.askMatches(logic.matches(node, tree), title.format(name=node.GetName(), tree=tree.name))
        if choices is None:
            return None
        return withOverlaps(dialogs, lambda overlaps: logic.adopt(node, tree, mapping=choices, overlaps=overlaps))
