"""The buttons, keys and context menu of the Tree panel that edit the tree."""

import qt
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

__all__ = ["TreeButtons"]


class TreeButtons:
    """Ties the buttons to the panel's editor.

    Parameters
    ----------
    panel: the TreePanel.
    """

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._acts = {
            ui.addButton: self.add,
            ui.groupButton: self.group,
            ui.ungroupButton: self.ungroup,
            ui.mergeButton: self.merge,
            ui.splitButton: self.split,
            ui.deleteButton: self.delete,
            ui.undoButton: self.undo,
            ui.redoButton: self.redo,
        }
        for button, act in self._acts.items():
            button.clicked.connect(act)
        self._addMenu()

    def keys(self):
        """Return the keys, see PanelKeys."""
        return {
            "Ctrl+Z": self.undo,
            "Ctrl+Shift+Z": self.redo,
            "Ctrl+Y": self.redo,
            "Insert": self.add,
            "Delete": self.delete,
            "Ctrl+G": self.group,
            "Ctrl+Shift+G": self.ungroup,
            "Ctrl+M": self.merge,
        }

    def _addMenu(self):
        tree = self._panel.tree
        tree.contextMenuPolicy = qt.Qt.ActionsContextMenu
        self._actions = []
        for text, act in (
            (_("Rename"), self.rename),
            (_("Add"), self.add),
            (_("Group"), self.group),
            (_("Ungroup"), self.ungroup),
            (_("Merge"), self.merge),
            (_("Split into two"), self.split),
            (_("Split into left and right"), self.splitSides),
            (_("Delete"), self.delete),
        ):
            action = qt.QAction(text, tree)
            action.triggered.connect(act)
            tree.addAction(action)
            self._actions.append(action)

    def show(self, ids) -> None:
        """Enable what can be done with the selected nodes; the tool tips say why the rest cannot."""
        ui, editor = self._ui, self._panel.editor
        tree = editor.tree
        some, groups = bool(ids), any(not tree.is_leaf(id_) for id_ in ids)
        ui.groupButton.enabled = some
        ui.ungroupButton.enabled = len(ids) == 1 and groups
        ui.mergeButton.enabled = len(ids) > 1 or groups
        ui.splitButton.enabled = len(ids) == 1 and not groups
        ui.deleteButton.enabled = some
        undo, redo = editor.undoText, editor.redoText
        ui.undoButton.enabled, ui.redoButton.enabled = bool(undo), bool(redo)
        undo = _("Undo: {what} (Ctrl+Z)").format(what=undo) if undo else _("Nothing to undo")
        redo = _("Redo: {what} (Ctrl+Shift+Z)").format(what=redo) if redo else _("Nothing to redo")
        ui.undoButton.toolTip, ui.redoButton.toolTip = asWritten(undo), asWritten(redo)

    # -- acts -----------------------------------------------------------------------------------------------------

    def add(self, *_args):
        """Add a structure and open its name for editing."""
        ids = self._panel.tree.selectedIds()
        self._name(self._panel.edit(lambda editor: editor.add(ids[0] if ids else None)))

    def group(self, *_args):
        """Group the selected structures and open the group's name for editing."""
        self._name(self._run(lambda editor, ids: editor.group(ids)))

    def ungroup(self, *_args):
        """Remove the selected group, keep its parts."""
        self._run(lambda editor, ids: editor.ungroup(ids[0]))

    def merge(self, *_args):
        """Merge the selected structures."""
        self._run(lambda editor, ids: editor.merge(ids))

    def split(self, *_args):
        """Divide the selected structure into two."""
        self._run(lambda editor, ids: editor.split(ids[0]))

    def splitSides(self, *_args):
        """Divide the selected structure into left and right."""
        self._run(lambda editor, ids: editor.split(ids[0], sides(editor.tree.node(ids[0]).name)))

    def delete(self, *_args):
        """Delete the selected structures."""
        self._run(lambda editor, ids: editor.delete(ids))

    def rename(self, *_args):
        """Open the name of the selected structure for editing."""
        self._name(next(iter(self._panel.tree.selectedIds()), None))

    def undo(self, *_args):
        """Take back the last edit."""
        self._panel.edit(lambda editor: editor.undo())

    def redo(self, *_args):
        """Do again what was taken back."""
        self._panel.edit(lambda editor: editor.redo())

    def _run(self, action):
        ids = self._panel.tree.selectedIds()
        if not ids:
            self._panel.message.info(_("Select a structure in the tree first."))
            return None
        return self._panel.edit(lambda editor: action(editor, ids))

    def _name(self, id_):
        if id_:
            self._panel.tree.setFocus()
            self._panel.tree.startEditing(id_)


def sides(name: str) -> tuple[str, str]:
    """Return the names of the left and the right half of a structure."""
    return _("left {name}").format(name=name), _("right {name}").format(name=name)
