"""The Tree panel: editing a label tree, on its own or together with the segmentation that is shown."""

import qt
import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError, SoftSegError
from softseg.tree import LabelTree
from SoftSegSlicerLib.Panels.Tree.NodeDefaults import emptyTree
from SoftSegSlicerLib.Panels.Tree.NodeForm import NodeForm, parseValue, parseWeight
from SoftSegSlicerLib.Panels.Tree.TreeButtons import TreeButtons
from SoftSegSlicerLib.Panels.Tree.TreeDiffView import TreeDiffView
from SoftSegSlicerLib.Panels.Tree.TreeEditor import TreeEditor
from SoftSegSlicerLib.Panels.Tree.TreeFileButtons import TreeFileButtons
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Panels.Widgets.LabelTreeWidget import LabelTreeWidget, TreeColumn
from SoftSegSlicerLib.Panels.Widgets.MessageLine import MessageLine
from SoftSegSlicerLib.Panels.Widgets.PanelKeys import PanelKeys
from SoftSegSlicerLib.Panels.Widgets.PanelWidgets import loadPanel
from SoftSegSlicerLib.Panels.Widgets.SearchLine import SearchLine
from SoftSegSlicerLib.Panels.Widgets.TreeWindow import TreeWindow

__all__ = ["TreePanel"]

NAME, VALUE, WEIGHT = range(3)


class TreePanel:
    """Edits the tree of the current segmentation of a :class:`PanelContext`, or a tree of its own.

    Parameters
    ----------
    context: logic, current segmentation and events that the panels share.
    """

    def __init__(self, context):
        self.context = context
        self.widget, self.ui = loadPanel("TreePanel")
        self.message = MessageLine(self.ui.treeMessageLabel)
        self._attached = self._leftAlone = None
        self.editor = TreeEditor(emptyTree())
        self.tree = LabelTreeWidget(self.ui.editTreeFrame)
        self._setUpTree()
        self.ui.changesButton.collapsed = True
        self.search = SearchLine(self.ui.treeSearchEdit, self.tree)
        self.form = NodeForm(self.ui, self.edit, self.message.error, lambda: self.context.dialogs)
        self.diff = TreeDiffView(self.ui, lambda id_: self.tree.select([id_]))
        self.buttons = TreeButtons(self)
        self.files = TreeFileButtons(self)
        keys = self.buttons.keys()
        # the part with the tree can have a window of its own, which the panel's keys do not reach
        self._keys = [PanelKeys(self.widget, keys), PanelKeys(self.ui.treePart, keys)]
        self.ui.treeNameEdit.editingFinished.connect(self._onTreeName)
        self.ui.attachCheck.toggled.connect(self._onAttachToggled)
        context.addObserver("segmentationChanged", self.onSegmentationChanged)
        context.addObserver("treeChanged", self.onTreeChanged)
        self.refresh()

    def _setUpTree(self):
        self.tree.objectName = "editTree"
        self.ui.editTreeFrame.layout().addWidget(self.tree)
        self.window = TreeWindow(self.ui.treeSplitter, self.ui.popOutButton, _("Label tree"))
        self.tree.setEditable(True)
        self.tree.setColumns(
            _("Structure"),
            [
                TreeColumn(
                    _("Value"),
                    _("Label value: the number in label maps; a group may have none"),
                    lambda node: "" if node.value is None else str(node.value),
                    "65535",
                ),
                TreeColumn(
                    _("Weight"),
                    _("Length of the edge to the parent: in training, errors across a longer edge cost more"),
                    lambda node: "" if node.parent is None else f"{node.weight:g}",
                    "0.125",
                ),
            ],
        )
        self.tree.onMove = self._onMove
        self.tree.onEdited = self._onEdited
        self.tree.itemSelectionChanged.connect(self._onSelectionChanged)

    # -- life -----------------------------------------------------------------------------------------------------

    def cleanup(self):
        """Stop listening to the other panels."""
        self.window.putBack()
        self.context.removeObserver("segmentationChanged", self.onSegmentationChanged)
        self.context.removeObserver("treeChanged", self.onTreeChanged)

    def onSceneStartClose(self):
        """Keep the tree, let go of the segmentation; what was edited on it went with the scene."""
        if self._attached is not None:
            self.editor.markSaved()
        self._attached = self._leftAlone = None

    def onSceneEndClose(self):
        """Begin again with the empty or newly loaded scene."""
        self.refresh()

    def refresh(self):
        """Take the tree of the current segmentation, unless that would lose a tree that is edited on its own."""
        node = self.context.segmentation
        if node is None:
            self._attached = None
        elif node is not self._attached and self.context.logic.results.isManaged(node):
            busy = self._attached is None and (self.editor.isModified or node is self._leftAlone)
            if not busy:
                self._attach(node)
        self.show()

    def onSegmentationChanged(self, **_data):
        """Follow the segmentation that another panel chose or made; who is not looked at does so when it is."""
        if self.widget.visible or self.context.segmentation is None:
            self.refresh()

    def onTreeChanged(self, source=None, **_data):
        """Follow an edit that somebody else made."""
        if source is not self and self._attached is not None:
            self._attach(self._attached)
            self.show()

    # -- the segmentation -------------------------------------------------------------------------------------------

    @property
    def attached(self):
        """The segmentation that every change acts on; None where the tree is edited on its own."""
        return self._attached

    def _attach(self, node):
        logic = self.context.logic
        try:
            tree, original, merged = (
                logic.results.treeOf(node),
                logic.results.originalTree(node),
                logic.results.mergedOf(node),
            )
        except SoftSegError as error:
            self.message.error(error)
            return
        self._attached = node
        self.editor = TreeEditor(tree, original, merged, apply=self._applyToScene)
        self.message.clear()

    def _applyToScene(self, state):
        if self._attached is None:
            return
        # moved branches of a large result take a moment
        slicer.app.setOverrideCursor(qt.QCursor(qt.Qt.WaitCursor))
        try:
            self.context.logic.folding.setTree(self._attached, state.tree, merged=self.editor.merged(state))
        finally:
            slicer.app.restoreOverrideCursor()

    def takeTree(self, tree: LabelTree, description: str) -> None:
        """Go on with a tree that was made or loaded, on its own or, where it fits, with the shown segmentation."""
        refusal = None
        if self._attached is not None:
            try:
                self.editor.replaceTree(tree, description)
            except InputError as error:
                refusal = error
                self._leave()
        if self._attached is None:
            self.editor = TreeEditor(tree)
        else:
            self.context.notify("treeChanged", source=self)
        self.message.clear()
        self.show()
        if refusal is not None:
            self.message.error(
                _("The tree is edited without the segmentation: {reason}.").format(reason=refusal.message)
            )

    def _onAttachToggled(self, *_args):
        node = self.context.segmentation
        if self.ui.attachCheck.checked == (self._attached is not None) or node is None:
            return
        self.message.clear()
        if self._attached is not None:
            self._leave()
        else:
            self._attachWith(node, self.editor)
        self.show()

    def takeShownTree(self) -> None:
        """Edit the tree of the segmentation that is shown."""
        node = self.context.segmentation
        if node is not None and self.context.logic.results.isManaged(node):
            self._attach(node)
            self.show()

    def _leave(self):
        """Edit on, with all of the history, without the segmentation."""
        self._attached, self._leftAlone = None, self._attached

    def _attachWith(self, node, own):
        """Give the segmentation the tree of an editor; where that fails, go on with that editor."""
        self._attach(node)
        if self._attached is None:
            return
        try:
            self.editor.replaceTree(own.tree, _("Use this tree for the segmentation"), own.saved)
        except InputError as error:
            self._leave()
            self.editor = own
            self.message.error(error)
            return
        self.context.notify("treeChanged", source=self)

    # -- edits ----------------------------------------------------------------------------------------------------

    def edit(self, action):
        """Run an edit (a function of the TreeEditor) and show the tree, or why the edit was refused.

        Returns what the edit returned, ``None`` where it was refused.
        """
        before = self.editor.tree
        try:
            result = action(self.editor)
        except SoftSegError as error:
            self.message.error(error)
            self.show(selection=self.tree.selectedIds())
            return None
        self.message.clear()
        if self.editor.tree != before:
            self.show(selection=self.editor.state.selection)
            if self._attached is not None:
                self.context.notify("treeChanged", source=self)
        return result

    def _onMove(self, ids, parent, index):
        self.edit(lambda editor: editor.move(ids, parent, index))

    def _onEdited(self, id_, column, text):
        # the row's editor is still open here; rows may only go when it has closed
        qt.QTimer.singleShot(0, lambda: self._editCell(id_, column, text))

    def _editCell(self, id_, column, text):
        if id_ not in self.editor.tree:
            return
        edits = {
            NAME: lambda editor: editor.rename(id_, text),
            VALUE: lambda editor: editor.setValue(id_, parseValue(text)),
            WEIGHT: lambda editor: editor.reweight([id_], parseWeight(text)),
        }
        self.edit(edits[column])
        if id_ in self.editor.tree:
            self.tree.restoreCells(id_)

    def _onTreeName(self, *_args):
        self.edit(lambda editor: editor.renameTree(self.ui.treeNameEdit.text))

    # -- showing ----------------------------------------------------------------------------------------------------

    def show(self, selection=None):
        """Show the editor's tree; ``selection`` are the ids to select, those of before by default."""
        editor = self.editor
        self.tree.setTree(editor.tree)
        self.search.repeat()
        if selection is not None:
            wasBlocked = self.tree.blockSignals(True)
            self.tree.select(selection)
            self.tree.blockSignals(wasBlocked)
        self.ui.treeNameEdit.text = editor.tree.name
        self._showAttached()
        self._showRemarks()
        self.diff.show(editor)
        self._onSelectionChanged()

    def _showAttached(self):
        check, node = self.ui.attachCheck, self.context.segmentation
        wasBlocked = check.blockSignals(True)
        check.enabled = node is not None
        check.checked = self._attached is not None
        check.text = (
            _("Changes act on '{name}'").format(name=node.GetName())
            if node is not None
            else _("No segmentation is shown, so only the tree is edited")
        )
        check.blockSignals(wasBlocked)

    def _showRemarks(self):
        tree, remarks = self.editor.tree, self.editor.remarks()
        line = _("Valid: {leaves} leaves in {levels} levels.").format(leaves=len(tree.leaves), levels=tree.depth)
        self.ui.remarksLabel.text = " ".join([line, *(_headline(text) for text in remarks)])
        self.ui.remarksLabel.toolTip = asWritten("\n".join(remarks)) or _("No remarks")

    def _onSelectionChanged(self, *_args):
        ids = [id_ for id_ in self.tree.selectedIds() if id_ in self.editor.tree]
        self.form.show(self.editor.tree, ids)
        self.buttons.show(ids)


def _headline(remark: str) -> str:
    """Return what a remark says without the nodes it names; the tool tip has those."""
    text = remark.split(":")[0].strip()
    return f"{text[:1].upper()}{text[1:]}."
