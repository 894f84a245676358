"""The names of the scores that choose the best network: which there are, and whether a text is one of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from softseg.errors import InputError

if TYPE_CHECKING:
    from softseg.tree import LabelTree

OVERLAPS = ("dice", "soft_dice")
"""Of every training (:func:`softseg.evaluation.quick_scores`)."""

OF_LABELLED_VOXELS = ("accuracy", "f1")
"""Of sparse trainings beside these (:class:`softseg.evaluation.labelled.LabelledScores`)."""

FIELD = "validation.metric"

_NAME = re.compile(r"([a-z0-9_]+)/(leaves|level [1-9]\d*)")


def problem_of_score(name: str, sparse: bool) -> str | None:
    """Return why ``name`` is no score of any training, None if it is one of some label tree."""
    found = _NAME.fullmatch(name)
    known = (*OVERLAPS, *(OF_LABELLED_VOXELS if sparse else ()))
    if found is not None and found[1] in known:
        return None
    allowed = " or ".join(filter(None, [", ".join(known[:-1]), known[-1]]))
    text = f"expected {allowed}, then /leaves or /level N, as in {known[0]}/leaves or {known[0]}/level 2"
    if found is not None and found[1] in OF_LABELLED_VOXELS:
        text += f" ({found[1]} is for recipes with sparse: true)"
    return text


def require_score(name: str, tree: LabelTree, sparse: bool) -> None:
    """Raise :class:`InputError` unless a training with this tree has the score ``name``; it names all there are."""
    levels = ["leaves", *(f"level {number}" for number in range(1, tree.depth + 1))]
    known = [f"{score}/{at}" for score in (*OVERLAPS, *(OF_LABELLED_VOXELS if sparse else ())) for at in levels]
    if name not in known:
        raise InputError(
            f"{name!r} is no score of a tree of {tree.depth} levels",
            field=FIELD,
            hint=f"choose from {', '.join(known)}",
        )
