"""What belongs to what in a comparison: asked before it begins, where it is not sure."""

from slicer.i18n import tr as _

from ...Compare.ModelAnswer import MODEL
from ...Exchange.LabelItems import isSure

__all__ = ["chosenMappings"]


def chosenMappings(context, result, reference, tree):
    """Return what people choose for the labels of both sides, as Comparison takes it; None where they cancel.

    Parameters
    ----------
    context: PanelContext.
    result, reference: nodes that are compared; MODEL has labels of the result's tree, nothing is asked of it.
    tree: LabelTree to judge by; None for that of the result.

    Raises
    ------
    InputError: a node holds no labels.
    """
    managed = result is not None and context.logic.results.isManaged(result)
    judged = context.logic.results.treeOf(result) if tree is None and managed else tree
    if judged is None or result is None or reference in (None, MODEL) or result is reference:
        return {}  # the comparison says what is missing
    mappings = {}
    for name, node in (("mapping", reference),) if managed else (("mapping", reference), ("resultMapping", result)):
        chosen = _chosenFor(context, node, judged)
        if chosen is None:
            return None
        mappings[name] = chosen
    return mappings


def _chosenFor(context, node, tree):
    """Return what people choose for the labels of a node; nothing where all is sure, None if they cancel."""
    matching = context.logic.results.matches(node, tree)
    if isSure(node, matching):
        return {}
    title = _("The labels of '{name}' and the structures to evaluate").format(name=node.GetName())
    return context.dialogs.askMatches(matching, title, False)
