"""Uncorrected prediction beside a corrected result: what it was before anybody corrected it."""

from softseg.errors import InputError

from ..Scene import LabelSource, World
from ..Scene.ParcellationNode import ParcellationStore

MODEL = "model"
"""Stands for the model's own answer where a reference is asked for."""


def isKnown(logic, resultNode, tree):
    """Whether a result has corrections, and what it was before them can be told on a tree.

    Shares can be told on any tree; labels without shares on the result's own.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    resultNode: a result, any segmentation, or a label map volume.
    tree: LabelTree that is judged.
    """
    if not logic.results.isManaged(resultNode) or not logic.corrections.of(resultNode):
        return False
    return logic.results.parcellationOf(resultNode) is not None or tree == logic.results.treeOf(resultNode)


def require(logic, resultNode, known):
    """Raise InputError with the reason unless :func:`isKnown` said so."""
    if known:
        return
    name = f"'{resultNode.GetName()}'"
    if logic.results.isManaged(resultNode) and logic.corrections.of(resultNode):
        raise InputError(
            f"the uncorrected prediction of {name} exists only on its own label tree", hint="choose that tree"
        )
    raise InputError(f"{name} has no corrections, so there is nothing to compare", hint="choose a reference")


def labelsOf(resultNode, tree):
    """Return the labels, ``(k, j, i)`` in the world, of a result without shares before its corrections.

    Parameters
    ----------
    resultNode: a result of ours.
    tree: its tree.
    """
    source = LabelSource.modelSource(resultNode, ParcellationStore())
    return World.labelsOf(source.labels(tree.cut_at(tree.depth)), source.geometry, resultNode)[0]
