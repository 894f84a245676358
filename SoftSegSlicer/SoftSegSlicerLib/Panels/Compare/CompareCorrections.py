"""Corrections of the result that is compared: the model's own answer as reference, and what they changed."""

from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.soft.corrections import corrected_voxel_count

from ...Compare.ModelAnswer import MODEL
from .CompareColumns import change, number

__all__ = ["CompareCorrections"]


class CompareCorrections:
    """Offers the model's own answer in the chooser of references, and says what corrections changed.

    Parameters
    ----------
    context: PanelContext.
    ui: the panel's widgets by name.
    """

    def __init__(self, context, ui):
        self._context, self._ui = context, ui
        self._none = ui.referenceSelector.noneDisplay
        self._corrected, self._voxels, self._byModel = False, 0, False

    def refresh(self):
        """Catch up with the chosen result."""
        result = self._ui.resultSelector.currentNode()
        self._corrected = bool(self._correctionsOf(result))
        wanted = _("Uncorrected prediction") if self._corrected else self._none
        selector = self._ui.referenceSelector
        if selector.noneDisplay != wanted:
            node = selector.currentNode()
            selector.noneDisplay = wanted
            selector.setCurrentNode(node)  # Slicer makes the entry anew, and chooses the next one meanwhile

    @property
    def reference(self):
        """What is chosen as reference: a node, MODEL, or None."""
        node = self._ui.referenceSelector.currentNode()
        return MODEL if node is None and self._corrected else node

    def begin(self, result, reference):
        """Note what is about to be compared."""
        self._voxels = corrected_voxel_count(self._correctionsOf(result))
        self._byModel = reference == MODEL

    def show(self, tables, level, levelName):
        """Say in a line what corrections changed at a level of ComparisonTables; nothing where there are none."""
        row = next(row for row in tables.levels if row["level"] == level)
        text = ""
        if self._byModel:
            text = _("{count} voxels were corrected. Mean Dice with the uncorrected prediction at {level}: {dice}.")
        elif tables.judgesModel:
            text = _(
                "{count} voxels were corrected. Mean Dice at {level}: model {model} → corrected {dice} ({change})."
            )
        self._ui.correctionLabel.visible = bool(text)
        self._ui.correctionLabel.text = text.format(
            count=f"{self._voxels:,}",
            level=levelName,
            dice=number(row["dice"]),
            model=number(row.get("dice_model", float("nan"))),
            change=change(row.get("dice_change", float("nan"))),
        )

    def _correctionsOf(self, result):
        logic = self._context.logic
        try:
            return logic.corrections.of(result) if logic.results.isManaged(result) else []
        except SoftSegError:
            return []  # the scene's text is damaged: comparing says so
