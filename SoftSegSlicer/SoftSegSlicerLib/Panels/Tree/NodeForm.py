"""The form with all that a tree says of the selected structures."""

import qt
from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.tree import node_colors
from SoftSegSlicerLib.Integration import TerminologySelector
from SoftSegSlicerLib.Panels.Tree.TerminologyTable import TerminologyTable
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

__all__ = ["NodeForm", "parseValue", "parseWeight"]


def parseValue(text: str) -> int | None:
    """Return a label value from what was typed; nothing typed means none (InputError: no whole number)."""
    text = text.strip()
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise InputError(_("a label value is a whole number from 0 to 65535, not '{text}'").format(text=text))
    return int(text)


def parseWeight(text: str) -> float:
    """Return a weight from what was typed; decimal comma or point (InputError: no number)."""
    try:
        return float(text.strip().replace(",", "."))
    except ValueError:
        raise InputError(_("a weight is a number above 0, not '{text}'").format(text=text)) from None


class NodeForm:
    """Ties the form to a tree editor.

    Parameters
    ----------
    ui: widgets of the Tree panel.
    edit: runs an edit (a function of the TreeEditor) and shows why it was refused.
    incomplete: shows what is missing in a terminology (an InputError).
    dialogs: returns what asks people (``dialogs().askTerminology``).
    """

    def __init__(self, ui, edit, incomplete, dialogs):
        self._ui = ui
        self._edit, self._dialogs, self._common = edit, dialogs, None
        self._ids = []
        self._filling = False
        self._terminology = TerminologyTable(ui.terminologyTable, self._onTerminology, incomplete)
        ui.nodeNameEdit.editingFinished.connect(lambda *_args: self._one("rename", ui.nodeNameEdit.text))
        ui.nodeIdEdit.editingFinished.connect(lambda *_args: self._one("changeId", ui.nodeIdEdit.text))
        ui.nodeValueEdit.editingFinished.connect(self._onValue)
        ui.nodeWeightSpin.valueChanged.connect(lambda *_args: self._all("reweight", ui.nodeWeightSpin.value))
        ui.nodeColorButton.colorChanged.connect(self._onColor)
        ui.nodeColorClearButton.clicked.connect(lambda *_args: self._all("recolor", None))
        ui.terminologyButton.toggled.connect(self._onTerminologyToggled)
        ui.terminologySelectButton.clicked.connect(self._onTerminologySelect)
        ui.terminologySelectButton.visible = TerminologySelector.isThere()

    def show(self, tree, ids) -> None:
        """Show nodes of a tree: all fields for one, what can be set together for several, nothing for none."""
        self._filling = True
        self._ids = list(ids)
        nodes = [tree.node(id_) for id_ in self._ids]
        one = nodes[0] if len(nodes) == 1 else None
        ui = self._ui
        for edit, text in (
            (ui.nodeNameEdit, one and one.name),
            (ui.nodeIdEdit, one and one.id),
            (ui.nodeValueEdit, one and ("" if one.value is None else str(one.value))),
        ):
            edit.enabled = one is not None
            edit.text = text or ""
        ui.nodeNameEdit.placeholderText = "" if len(nodes) < 2 else _("{count} structures").format(count=len(nodes))
        ui.nodeValueEdit.placeholderText = _("none") if one is not None else ""
        ui.nodeWeightSpin.enabled = bool(nodes) and tree.root not in nodes
        if nodes:
            ui.nodeWeightSpin.value = nodes[0].weight
            ui.nodeColorButton.color = qt.QColor(*node_colors(tree)[nodes[0].id])
        ui.nodeColorButton.enabled = bool(nodes)
        ui.nodeColorClearButton.enabled = any(node.color is not None for node in nodes)
        ui.terminologyButton.enabled = ui.terminologySelectButton.enabled = bool(nodes)
        terms = {node.terminology for node in nodes}
        common = terms.pop() if len(terms) == 1 else None
        ui.terminologyLabel.text = _describe(common, bool(nodes))
        ui.terminologyLabel.toolTip = asWritten(ui.terminologyLabel.text)
        self._common = common
        self._terminology.show(common)
        ui.terminologyTable.enabled = bool(nodes)
        self._filling = False

    def _one(self, edit: str, *args) -> None:
        if not self._filling and len(self._ids) == 1:
            id_ = self._ids[0]
            self._edit(lambda editor: getattr(editor, edit)(id_, *args))

    def _all(self, edit: str, *args) -> None:
        if not self._filling and self._ids:
            ids = list(self._ids)
            self._edit(lambda editor: getattr(editor, edit)(ids, *args))

    def _onValue(self, *_args):
        if not self._filling and len(self._ids) == 1:
            id_, text = self._ids[0], self._ui.nodeValueEdit.text
            self._edit(lambda editor: editor.setValue(id_, parseValue(text)))

    def _onColor(self, *_args):
        color = self._ui.nodeColorButton.color
        self._all("recolor", (color.red(), color.green(), color.blue()))

    def _onTerminology(self, terminology):
        self._all("setTerminology", terminology)

    def _onTerminologySelect(self, *_args):
        title = _("Terminology of {name}").format(name=self._ui.nodeNameEdit.text or _("several structures"))
        chosen = self._dialogs().askTerminology(self._common, title)
        if chosen is not None and chosen != self._common:
            self._onTerminology(chosen)

    def _onTerminologyToggled(self, *_args):
        self._ui.terminologyTable.visible = self._ui.terminologyButton.checked


def _describe(terminology, any_: bool) -> str:
    if terminology is None:
        return _("none") if any_ else ""
    codes = (terminology.type_modifier, terminology.type, terminology.region_modifier, terminology.region)
    return " ".join(code.meaning for code in codes if code is not None)
