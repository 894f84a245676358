"""What unpainted voxels mean: background, unknown, or unknown without there being any background (positive-only)."""

from slicer.i18n import tr as _

from .Selectors import chosen

BACKGROUND, UNKNOWN, STROKES = "background", "unknown", "strokes"
SPARSE = "sparse"
"""The recipe for painted strokes, and the setting that makes any other recipe one for them."""
NARROWEST = 330


class TrainStrokes:
    """Ties the selector of unpainted voxels, its explanation and the recipe together.

    Parameters
    ----------
    ui: the panel's widgets by name; the recipes are in their selector already.
    """

    def __init__(self, ui):
        self._ui, self._recipeBefore, self._following = ui, None, False
        selector = ui.unpaintedSelector
        selector.addItem(_("are background"), BACKGROUND)
        selector.addItem(_("are unknown, background is painted"), UNKNOWN)
        selector.addItem(_("Painted strokes only (positive-only)"), STROKES)
        selector.currentIndexChanged.connect(self._onUnpainted)
        ui.recipeSelector.currentIndexChanged.connect(self._onRecipe)
        self._explain()

    @property
    def unpainted(self):
        """What unpainted voxels mean: BACKGROUND, UNKNOWN or STROKES."""
        return chosen(self._ui.unpaintedSelector)

    def sets(self, given):
        """Return the settings that the choice adds to those that were given, ``["key=value", ...]``."""
        needed = self.unpainted == STROKES and self._ui.recipeSelector.currentText != SPARSE
        return ["sparse=true"] if needed and not any(part.startswith("sparse=") for part in given) else []

    def _onUnpainted(self, *_args):
        """Take the recipe for strokes with them, and the one from before without."""
        self._explain()
        recipes, strokes = self._ui.recipeSelector, self.unpainted == STROKES
        if strokes == (recipes.currentText == SPARSE) or recipes.findText(SPARSE) < 0:
            return
        wanted = SPARSE if strokes else self._recipeBefore
        self._recipeBefore = recipes.currentText
        self._following = True
        recipes.currentIndex = max(0, recipes.findText(wanted or ""))
        self._following = False

    def _onRecipe(self, *_args):
        """Read the scans as strokes when the recipe for strokes is chosen; any other recipe can do so too."""
        if not self._following and self._ui.recipeSelector.currentText == SPARSE and self.unpainted != STROKES:
            self._recipeBefore = None
            self._ui.unpaintedSelector.currentIndex = self._ui.unpaintedSelector.findData(STROKES)

    def _explain(self):
        label = self._ui.unpaintedLabel
        label.text = {
            BACKGROUND: "",
            UNKNOWN: _("A few strokes of every structure, and of a segment called 'Background' around them."),
            STROKES: _(
                "A few strokes of every structure, also coarse ones ('cortex'); nothing else counts, and there is no "
                "background. The model then names every voxel: fit an outlier score too, and it tells what it does "
                "not know."
            ),
        }[self.unpainted]
        label.visible = bool(label.text)
        label.minimumHeight = label.heightForWidth(NARROWEST) if label.text else 0
