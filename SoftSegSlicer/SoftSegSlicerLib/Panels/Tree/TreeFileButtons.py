"""New, open and save of the Tree panel."""

import qt
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree
from SoftSegSlicerLib.Exchange.TreeSuggestions import shippedTrees
from SoftSegSlicerLib.Panels.Tree.NodeDefaults import emptyTree
from SoftSegSlicerLib.Panels.Widgets.TreeFiles import askOpenTree, askSaveTree

__all__ = ["TreeFileButtons"]


class TreeFileButtons:
    """Ties the file buttons to the panel.

    Parameters
    ----------
    panel: the TreePanel.
    """

    def __init__(self, panel):
        self._panel = panel
        ui = panel.ui
        self._menu = qt.QMenu(ui.newButton)
        self._actions = []
        self._addNew(_("Empty tree"), None)
        self._menu.addSeparator()
        self._shown = qt.QAction(_("Tree of the shown segmentation"), self._menu)
        self._shown.triggered.connect(self.takeShown)
        self._menu.addAction(self._shown)
        self._menu.aboutToShow.connect(self._onMenu)
        self._menu.addSeparator()
        for name in shippedTrees():
            self._addNew(name, name)
        ui.newButton.setMenu(self._menu)
        ui.openButton.clicked.connect(self.open)
        ui.saveButton.clicked.connect(self.save)

    def _addNew(self, text, name):
        action = qt.QAction(text, self._menu)
        action.triggered.connect(lambda *_args: self.new(name))
        self._menu.addAction(action)
        self._actions.append(action)

    def _onMenu(self, *_args):
        context = self._panel.context
        self._shown.enabled = context.segmentation is not None and context.logic.results.isManaged(context.segmentation)

    def takeShown(self, *_args) -> None:
        """Go back to the tree of the segmentation that is shown."""
        if self._mayLeave():
            self._panel.takeShownTree()

    def new(self, name: str | None) -> None:
        """Begin with a shipped tree, or (``None``) with an empty one."""
        if self._mayLeave():
            self._load(lambda: emptyTree() if name is None else LabelTree.load(label_tree_path(name)), name)

    def open(self, *_args) -> None:
        """Load a tree from a file."""
        if self._mayLeave():
            self._load(lambda: askOpenTree(self._panel.context.dialogs), None)

    def _load(self, load, name):
        try:
            tree = load()
        except SoftSegError as error:
            self._panel.message.error(error)
            return
        if tree is not None:
            self._panel.takeTree(tree, _("Load the tree '{name}'").format(name=tree.name or name or ""))

    def save(self, *_args) -> None:
        """Write the tree to a file."""
        panel = self._panel
        path = askSaveTree(panel.context.dialogs, panel.editor.tree)
        if not path:
            return
        try:
            lost = panel.editor.save(path)
        except SoftSegError as error:
            panel.message.error(error)
            return
        panel.show()
        if lost:
            panel.message.info(
                _(
                    "Saved to {path}. This format does not store everything; also save as .json to keep all of it."
                ).format(path=path)
            )
        else:
            panel.message.info(_("Saved to {path}.").format(path=path))

    def _mayLeave(self):
        editor = self._panel.editor
        if self._panel.attached is not None or not editor.isModified:
            return True
        return self._panel.context.dialogs.confirm(
            _("The tree '{name}' has unsaved changes. Discard them?").format(name=editor.tree.name)
        )
