"""Weights of the levels of a label tree, as numbers or by a word."""

from __future__ import annotations

import math
from collections.abc import Sequence

from softseg.errors import InputError
from softseg.tree import LabelTree

WORDS = ("top", "even", "bottom")
"""Level weights that a recipe can name without knowing the depth of the tree."""


def weights_by_word(word: str, depth: int) -> list[float]:
    """Return lambda for depths ``1..depth`` of a tree; they sum to ``depth``, as 1 everywhere does (ours).

    ``"even"``: 1 everywhere. ``"top"``: each level counts twice as much as the one below it, so that the upper levels
    together outweigh the leaves. ``"bottom"``: the reverse. Wang et al. report that top-level weighting "substantially
    influences performance" with sparse labels; their numbers could not be read, the factor 2 is ours.

    Raises
    ------
    InputError: another word.
    """
    if word not in WORDS:
        raise InputError(
            f"{word!r} is not known, expected {', '.join(map(repr, WORDS))} or {depth} numbers", field="level_weights"
        )
    factor = {"top": 0.5, "even": 1.0, "bottom": 2.0}[word]
    raw = [factor**level for level in range(depth)]
    return [weight * depth / sum(raw) for weight in raw]


def level_weights(given: Sequence[float] | str | None, tree: LabelTree) -> list[float]:
    """Return one weight per depth of ``tree``, depth 1 (below the root) first.

    Parameters
    ----------
    given: the weights; a word for :func:`weights_by_word`; None: 1 everywhere.
    tree: the label tree.

    Raises
    ------
    InputError: another number of weights than the tree is deep, a negative weight, all zero, an unknown word.
    """
    if given is None or isinstance(given, str):
        return weights_by_word("even" if given is None else given, tree.depth)
    weights = [float(weight) for weight in given]
    if len(weights) != tree.depth:
        raise InputError(
            f"{len(weights)} weights for a tree of depth {tree.depth}",
            field="level_weights",
            hint=f"give {tree.depth} numbers, the level below the root first",
        )
    if not all(weight >= 0 and math.isfinite(weight) for weight in weights) or not any(weights):
        raise InputError(f"{weights} are not all finite and at least 0 with one above 0", field="level_weights")
    return weights
