"""Numbers for all nodes of a tree and a block of voxels, summed up the tree or pushed down along its paths."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.losses.blocks import Scratch
from softseg.losses.tree_layout import TreeLayout


class NodeArray:
    """Rows for leaves and inner nodes, with the views that every step up or down the tree works on made once.

    Parameters
    ----------
    layout: the tree's tables.
    leaves: ``[C, n]``.
    inner: ``[I, n]``, inner nodes without the root.

    Notes
    -----
    The children of a step are all leaves or all inner nodes: the first inner row, which follows the last leaf, lies
    below the root.
    """

    def __init__(self, layout: TreeLayout, leaves: Tensor, inner: Tensor) -> None:
        self.leaves = leaves
        self.inner = inner
        self._steps: list[tuple[Tensor, Tensor, bool]] = []
        classes, columns = layout.classes, leaves.shape[1]
        for step in layout.sums:
            parents = inner[step.parents.start - classes : step.parents.stop - classes]
            if step.children.start < classes:
                children = leaves[step.children]
            else:
                children = inner[step.children.start - classes : step.children.stop - classes]
            self._steps.append((parents, children.view(-1, step.width, columns), step.first))
        self._pairs = [
            (children[:, 0], children[:, 1]) if children.shape[1] == 2 else None for _, children, _ in self._steps
        ]
        self._above = [parents[:, None] for parents, _, _ in self._steps]
        self._leaf_steps = [step.children.start < classes for step in layout.sums]
        self._orphans = [leaves[row] for row in layout.leaves_below_root]

    @classmethod
    def of(cls, name: str, layout: TreeLayout, columns: int, scratch: Scratch) -> NodeArray:
        """Return the array of this name for ``columns`` voxels, with undefined values."""

        def make() -> NodeArray:
            leaves = scratch.array(f"{name}, leaves", layout.classes, columns)
            return cls(layout, leaves, scratch.array(f"{name}, inner", layout.rows - layout.classes, columns))

        return scratch.keep(name, columns, make)

    def sum_up(self) -> None:
        """Set the inner rows to the sums of the leaves' rows below them."""
        for (parents, children, first), pair in zip(self._steps, self._pairs, strict=True):
            if not first:
                parents += children.sum(1)
            elif pair is not None:  # several times as fast as a sum over an axis of two
                torch.add(*pair, out=parents)
            else:
                torch.sum(children, 1, out=parents)

    def push_down(self) -> None:
        """Add to every row the rows of all its ancestors."""
        for (_, children, _), above in zip(reversed(self._steps), reversed(self._above), strict=True):
            children.add_(above)

    def push_products_down(self, factors: NodeArray) -> None:
        """Set every leaf's row to the sum of its ancestors' rows times the leaf's row of ``factors``.

        The leaves' own rows count as 0 and are not read, which saves two passes over them.
        """
        for position in reversed(range(len(self._steps))):
            children, above = self._steps[position][1], self._above[position]
            if self._leaf_steps[position]:
                torch.mul(factors._steps[position][1], above, out=children)
            else:
                children.add_(above)
        for row in self._orphans:
            row.zero_()
