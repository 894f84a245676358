"""Offers a label tree for a segmentation that has none."""

from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from SoftSegSlicerLib.Panels.MessageLine import MessageLine
from SoftSegSlicerLib.Panels.PanelWidgets import shippedTrees
from SoftSegSlicerLib.Panels.TreeFiles import askOpenTree

__all__ = ["AdoptBar"]


class AdoptBar:
    """The frame with the choice of a tree.

    Parameters
    ----------
    ui: widgets of the Look panel.
    adopt: called with the chosen LabelTree and what to do with labels that it lacks; returns whether it worked.
    context: of the panels; its dialogs ask for files.
    """

    def __init__(self, ui, adopt, context):
        self._ui = ui
        self._adopt = adopt
        self._context = context
        self._message = MessageLine(ui.messageLabel)
        for name in shippedTrees():
            ui.adoptTreeSelector.addItem(name, name)
        ui.adoptTreeSelector.addItem(_("From a file..."), "")
        for text, missing in (
            (_("stop and say which"), "refuse"),
            (_("add them to the tree"), "add"),
            (_("leave them out"), "background"),
        ):
            ui.adoptMissingSelector.addItem(text, missing)
        ui.adoptButton.clicked.connect(self._onClicked)

    def show(self, visible: bool, node) -> None:
        """Be there or not; ``node`` is what would get the tree."""
        self._ui.adoptFrame.visible = visible
        # only a tree that does not fit raises the question
        self._showMissing(False)
        if visible:
            self._ui.adoptLabel.text = _(
                "'{name}' has no label tree yet. Choose the tree that knows its label values; "
                "its voxels are kept as they are."
            ).format(name=node.GetName())

    def _onClicked(self, *_args):
        name = _chosen(self._ui.adoptTreeSelector)
        try:
            tree = LabelTree.load(label_tree_path(name)) if name else askOpenTree(self._context.dialogs)
        except SoftSegError as error:
            self._message.error(error)
            return
        if tree is not None and not self._adopt(tree, _chosen(self._ui.adoptMissingSelector)):
            self._showMissing(True)

    def _showMissing(self, visible):
        self._ui.adoptMissingLabel.visible = visible
        self._ui.adoptMissingSelector.visible = visible
        if not visible:
            self._ui.adoptMissingSelector.currentIndex = 0


def _chosen(selector):
    """Return the data of the chosen entry (``currentData`` is an attribute or a method, depending on the binding)."""
    return selector.itemData(selector.currentIndex)
