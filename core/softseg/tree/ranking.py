"""Which label trees fit labels that came from elsewhere, the best one first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from softseg.tree.matching import match_items
from softseg.tree.names import is_background

if TYPE_CHECKING:
    from softseg.tree.labeltree import LabelTree
    from softseg.tree.matches import Item

__all__ = ["TreeFit", "rank_trees"]


@dataclass(frozen=True)
class TreeFit:
    """How well a tree fits labels.

    Attributes
    ----------
    tree: the tree.
    fitting: how many labels have a node in it.
    named: how many of these have it by name, id or code, not by their value alone.
    total: how many labels there are, without the background.
    """

    tree: LabelTree
    fitting: int
    named: int
    total: int

    @property
    def is_complete(self) -> bool:
        """Whether every label has a node."""
        return 0 < self.total == self.fitting

    @property
    def _rank(self) -> tuple[int, int, int]:
        """Most labels first; by name before by value alone; then the tree with the fewest other leaves."""
        return -self.fitting, -self.named, len(self.tree.leaves)


def rank_trees(items: Sequence[Item], trees: Iterable[LabelTree], *, numbered: bool = False) -> tuple[TreeFit, ...]:
    """Return how well each tree fits, the best first; trees that fit equally keep their order.

    Parameters
    ----------
    items: segments or labels, see :func:`softseg.tree.matching.match_items`.
    trees: those to choose from.
    numbered: whether a program numbered the values, as there.
    """
    wanted = [item for item in items if item.value != 0 and not is_background(item.name)]
    return tuple(sorted((_fit(wanted, tree, numbered) for tree in trees), key=lambda fit: fit._rank))


def _fit(items: Sequence[Item], tree: LabelTree, numbered: bool) -> TreeFit:
    matches = [match for match in match_items(items, tree, numbered=numbered).matches if match.node is not None]
    return TreeFit(tree, len(matches), sum(match.how != "value" for match in matches), len(items))
