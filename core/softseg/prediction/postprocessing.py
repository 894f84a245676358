"""Cleaning a predicted distribution, node by node, without thresholds; nothing of it happens unless asked for.

What a step removes from a node goes to the background, so the distribution stays one; everything else keeps its value.
The parts are found by :mod:`softseg.soft.postprocess`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from softseg.errors import InputError
from softseg.soft.postprocess import fill_holes, keep_largest, remove_small
from softseg.tree import LabelTree
from softseg.types import FloatArray

FORMS = "keep-largest:NODE, fill-holes:LEAF or remove-small:NODE:ML"


@dataclass(frozen=True)
class CleaningStep:
    """One step.

    Attributes
    ----------
    kind: ``"keep-largest"``: the connected part with the largest soft volume stays. ``"remove-small"``: parts below
        ``smallest_ml`` go. ``"fill-holes"``: holes in a leaf are raised to the lowest value around them, as far as the
        background there has something to give.
    node: id of the node; its leaves shrink alike.
    smallest_ml: for ``"remove-small"``.
    """

    kind: Literal["keep-largest", "fill-holes", "remove-small"]
    node: str
    smallest_ml: float = 0.0

    @staticmethod
    def parse(text: str, tree: LabelTree) -> CleaningStep:
        """Return the step that ``keep-largest:NODE``, ``fill-holes:LEAF`` or ``remove-small:NODE:ML`` means.

        Raises
        ------
        InputError: it is none of these, the node is not in the tree, holds the background, or has children where a leaf
            is needed, or the volume is not a positive number.
        """
        kind, _, name = text.partition(":")
        smallest = 0.0
        if kind == "remove-small":
            name, _, volume = name.rpartition(":")
            smallest = _positive(volume, text)
        node = tree.find(name) if name else None
        if node is None or kind not in ("keep-largest", "fill-holes", "remove-small"):
            raise InputError(f"expected {FORMS}, got {text!r}", field="postprocess")
        if tree.background is not None and tree.background in tree.leaves_under(node.id):
            raise InputError(f"{node.id} holds the background, which cannot be cleaned", field="postprocess")
        if kind == "fill-holes":
            if not tree.is_leaf(node.id) or tree.background is None:
                raise InputError(
                    f"fill-holes needs a leaf, and a tree with a background; {node.id} is not such a leaf",
                    field="postprocess",
                )
            return CleaningStep("fill-holes", node.id)
        return CleaningStep("keep-largest" if kind == "keep-largest" else "remove-small", node.id, smallest)

    def apply(self, dense: FloatArray, tree: LabelTree, voxel_volume_ml: float) -> None:
        """Change the distribution ``[C, k, j, i]`` in place.

        Parameters
        ----------
        dense: probabilities of the leaves, float32.
        tree: the label tree.
        voxel_volume_ml: of one voxel of ``dense``.
        """
        leaves = dense[tree.leaf_slice(self.node)]
        background = None if tree.background is None else dense[tree.leaf_index(tree.background.id)]
        before = leaves.sum(axis=0)
        if self.kind == "fill-holes" and background is not None:
            gain = np.minimum(np.maximum(fill_holes(before) - before, 0), background)
            leaves[0] += gain
            background -= gain
            return
        after = (
            keep_largest(before)
            if self.kind == "keep-largest"
            else remove_small(before, self.smallest_ml, voxel_volume_ml)
        )
        removed = (before > 0) & (after == 0)
        leaves[:, removed] = 0
        if background is not None:
            background[removed] += before[removed]


def clean(dense: FloatArray, steps: Sequence[CleaningStep], tree: LabelTree, voxel_volume_ml: float) -> None:
    """Apply the steps in their order, in place; see :meth:`CleaningStep.apply`."""
    for step in steps:
        step.apply(dense, tree, voxel_volume_ml)


def _positive(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise InputError(f"expected {FORMS} with ML above 0, got {text!r}", field="postprocess")
    return value
