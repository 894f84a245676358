"""Which leaf is the mirror image of which, by their names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree

_SWAP = {"left": "right", "lh": "rh", "l": "r", "right": "left", "rh": "lh", "r": "l"}
SIDE = re.compile(
    r"(?<![^\W\d_])(?i:left|right|lh|rh)(?![^\W\d_])"  # a word of its own, in any case: Left-Thalamus
    r"|(?<![^\W_])(?i:l|r)(?![^\W_])"  # a letter of its own: thalamus_L, but not vertebra L1
    r"|(?<=[a-z])(?:Left|Right)(?![a-z])"  # thalamusLeft
    r"|(?<![^\W\d_])(?:[Ll]eft|[Rr]ight)(?=[A-Z])"  # LeftThalamus
)
"""A word of a name for a side."""


def swapped(text: str) -> str:
    """Return ``text`` with the sides exchanged (Left and Right, lh and rh, L and R), upper and lower case kept."""

    def swap(match: re.Match[str]) -> str:
        side = match.group()
        other = _SWAP[side.lower()]
        return other.upper() if side.isupper() else other.capitalize() if side[0].isupper() else other

    return SIDE.sub(swap, text)


def mirror_permutation(tree: LabelTree) -> npt.NDArray[np.int64]:
    """Return ``[C]``: for each leaf its partner's class index, or its own.

    Ids are tried first, then the names along the path, then the names alone; a partner counts when it is the only one
    of its key and names the leaf in turn.
    """
    permutation = np.arange(len(tree.leaves), dtype=np.int64)
    keys: list[list[tuple[str, ...]]] = [
        [(leaf.id,) for leaf in tree.leaves],
        [tuple(node.name for node in tree.path(leaf.id)) for leaf in tree.leaves],
        [(leaf.name,) for leaf in tree.leaves],
    ]
    for names in keys:
        count = Counter(names)
        index = {name: leaf for leaf, name in enumerate(names) if count[name] == 1}
        mirrored = [tuple(swapped(part) for part in name) for name in names]
        for leaf, name in enumerate(names):
            other = index.get(mirrored[leaf], leaf)
            free = permutation[leaf] == leaf and permutation[other] == other
            if free and name in index and mirrored[other] == name:
                permutation[leaf], permutation[other] = other, leaf
    return permutation
