"""What unpainted voxels mean: background, unknown, or unknown without there being any background (positive-only)."""

from slicer.i18n import tr as _

from ...Training.RecipeTexts import FIRST_CHOICE
from ...Training.Scribbles import BACKGROUND, SCRIBBLES, UNKNOWN, unpaintedOf
from ..Widgets.Selectors import chosen

SPARSE = "sparse"
"""The recipe for scribbles, and the setting that makes any other recipe one for them."""
NARROWEST = 330


class TrainScribbles:
    """Ties the selector of unpainted voxels, its explanation and the recipe together.

    What people chose themselves stays; everything else follows the labels of the cases.

    Parameters
    ----------
    ui: the panel's widgets by name; the recipes are in their selector already.
    """

    def __init__(self, ui):
        self._ui, self._following = ui, False
        self._unpaintedChosen = self._recipeChosen = False
        selector = ui.unpaintedSelector
        selector.addItem(_("are background"), BACKGROUND)
        selector.addItem(_("are unknown, background is painted"), UNKNOWN)
        selector.addItem(_("Scribbles only (positive-only)"), SCRIBBLES)
        selector.currentIndexChanged.connect(self._onUnpainted)
        ui.recipeSelector.currentIndexChanged.connect(self._onRecipe)
        self._explain()

    @property
    def unpainted(self):
        """What unpainted voxels mean: BACKGROUND, UNKNOWN or SCRIBBLES."""
        return chosen(self._ui.unpaintedSelector)

    def follow(self, labels):
        """Suggest what unpainted voxels of these labels mean, and the recipe for that.

        Parameters
        ----------
        labels: segmentation or label map node of a case that was added.
        """
        if not self._unpaintedChosen:
            self._set(self._ui.unpaintedSelector, self._ui.unpaintedSelector.findData(unpaintedOf(labels)))
            self._suggestRecipe()

    def sets(self, given):
        """Return the settings that the choice adds to those that were given, ``["key=value", ...]``."""
        isSparse = self._ui.recipeSelector.currentText == SPARSE
        if any(part.startswith("sparse=") for part in given):
            return []
        if self.unpainted == SCRIBBLES and not isSparse:
            return ["sparse=true"]
        # painted background is a class like any other; the recipe's losses fit scribbles all the same
        return ["sparse=false"] if self.unpainted == UNKNOWN and isSparse else []

    def _onUnpainted(self, *_args):
        if not self._following:
            self._unpaintedChosen = True
            self._suggestRecipe()

    def _onRecipe(self, *_args):
        """Read the scans as scribbles when the recipe for them is chosen; any other recipe can do so too."""
        if self._following:
            return
        self._recipeChosen = True
        if self._ui.recipeSelector.currentText == SPARSE and self.unpainted == BACKGROUND:
            self._set(self._ui.unpaintedSelector, self._ui.unpaintedSelector.findData(SCRIBBLES))
        self._explain()

    def _suggestRecipe(self):
        """Take the recipe for scribbles with them, unless people chose one; never without them."""
        recipes, scribbles = self._ui.recipeSelector, self.unpainted != BACKGROUND
        isSparse = recipes.currentText == SPARSE
        if scribbles and not isSparse and not self._recipeChosen:
            self._set(recipes, recipes.findText(SPARSE))
        elif not scribbles and isSparse:
            self._recipeChosen = False
            self._set(recipes, recipes.findText(FIRST_CHOICE))
        self._explain()

    def _set(self, selector, place):
        self._following = True
        selector.currentIndex = max(0, place)
        self._following = False

    def _explain(self):
        label = self._ui.unpaintedLabel
        text = {
            BACKGROUND: "",
            UNKNOWN: _("A few scribbles of every structure, plus a segment called 'Background' around them."),
            SCRIBBLES: _(
                "A few scribbles of every structure, also coarse ones ('cortex'). Everything else is ignored, and "
                "there is no background. The model then labels every voxel: fit an outlier score too, to find what it "
                "was not trained on."
            ),
        }[self.unpainted]
        if text and self._ui.recipeSelector.currentText != SPARSE:
            text += " " + _("Suggested recipe: sparse.")
        label.text = text
        label.visible = bool(text)
        label.minimumHeight = label.heightForWidth(NARROWEST) if text else 0
