"""Label maps whose values are those of another tool's tree or colour table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.tree.labels import look_up, whole_numbers
from softseg.tree.matching import match_trees
from softseg.types import OUTLIER_VALUE

if TYPE_CHECKING:
    from softseg.tree import LabelTree


class OwnValues:
    """Brings label maps from the values of one tree to those of another, by names, codes, and values where they agree.

    Parameters
    ----------
    own: what the label maps' values mean: a tree, or the colour table of another tool, read as one.
    tree: the tree that is evaluated by.

    Attributes
    ----------
    tree: that tree, with a value for every node that a label map may now hold.
    """

    def __init__(self, own: LabelTree, tree: LabelTree) -> None:
        self._own, self._found = own, match_trees(own, tree)
        for node in self._found.nodes.values():
            if node.value is None:
                tree = tree.with_value(node.id, tree.value_of(node.id))
        self.tree = tree

    def note(self) -> str:
        """Return one line about labels matched by value alone; empty where there is none."""
        return self._found.note()

    def apply(self, labels: npt.NDArray[Any], file: Path) -> npt.NDArray[np.integer[Any]]:
        """Return a label map in the values of :attr:`tree`.

        Parameters
        ----------
        labels: whole numbers, any shape; 0 stays 0 where the own tree has none.
        file: what messages name.

        Raises
        ------
        InputError: a value that occurs is not in the own tree, or it is open which node it is.
        """
        table = {int(str(key)): self.tree.value_of(node.id) for key, node in self._found.nodes.items()}
        table |= {value: value for value in (0, OUTLIER_VALUE) if not self._own.has_value(value)}
        try:
            array = whole_numbers(labels)
            self._found.only(np.unique(array).tolist()).require(
                "name the labels like nodes of the tree in their table, or choose another tree"
            )
            return look_up(array, table, np.uint16, f"the label tree '{self._own.name}'")
        except InputError as error:
            raise InputError(error.message, file=file, hint=error.hint) from error
