"""A label tree as the index tables that the tree losses compute with.

Rows of a node array ``[R, n]`` (``n`` voxels) are the nodes of the tree without its root: first the ``C`` leaves in
tree order, then the inner nodes breadth first. In this order the leaves below any node, and the inner children of any
node, are contiguous rows, so that sums over branches are sums of slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.tree import LabelTree


@dataclass(frozen=True)
class BranchSum:
    """One step of summing up a tree: parents in consecutive rows, each with ``width`` consecutive children.

    Attributes
    ----------
    parents: rows of the parents.
    children: rows of their children, ``width`` for the first parent, ``width`` for the next, and so on.
    width: children per parent in this step.
    first: whether this is the first step of these parents (set the sum, do not add to it).
    """

    parents: slice
    children: slice
    width: int
    first: bool


@dataclass(frozen=True)
class TreeLayout:
    """Rows, branches and paths of one tree.

    Attributes
    ----------
    classes: number of leaves ``C``.
    ids: node id of each of the ``R`` rows.
    targets: row of each class index ``0 .. C + inner - 1``; -1 for the root.
    depths: depth of each row's node, 1 for children of the root.
    edges: weight of the edge above each row's node.
    leaf_slices: rows of the leaves at or below each row.
    sums: the steps, deepest first, that sum leaves up to all inner rows.
    paths: rows from depth 1 down to the target, for each class index (empty for the root).
    """

    classes: int
    ids: tuple[str, ...]
    targets: tuple[int, ...]
    depths: tuple[int, ...]
    edges: tuple[float, ...]
    leaf_slices: tuple[slice, ...]
    sums: tuple[BranchSum, ...]
    paths: tuple[tuple[int, ...], ...]

    @classmethod
    def from_tree(cls, tree: LabelTree) -> TreeLayout:
        """Make the tables of ``tree``.

        Raises
        ------
        InputError: the tree has fewer than two leaves.
        """
        if len(tree.leaves) < 2:
            raise InputError(
                f"the tree has {len(tree.leaves)} leaf; a loss needs at least two classes",
                hint="add a second leaf, for example the background with value 0",
            )
        leaves = [node.id for node in tree.leaves]
        inner = [node.id for node in tree.inner_nodes if node.parent is not None]
        inner.sort(key=tree.depth_of)  # stable: breadth first, because tree order is depth first
        ids = leaves + inner
        row = {node_id: position for position, node_id in enumerate(ids)}
        classes = leaves + [node.id for node in tree.inner_nodes]
        depths = tuple(tree.depth_of(node_id) for node_id in ids)
        return cls(
            classes=len(leaves),
            ids=tuple(ids),
            targets=tuple(row.get(node_id, -1) for node_id in classes),
            depths=depths,
            edges=tuple(float(tree.node(node_id).weight) for node_id in ids),
            leaf_slices=tuple(tree.leaf_slice(node_id) for node_id in ids),
            sums=_branch_sums(
                {row[id_]: sorted(row[child.id] for child in tree.children(id_)) for id_ in inner}, depths
            ),
            paths=tuple(tuple(row[node.id] for node in tree.path(node_id)[1:]) for node_id in classes),
        )

    @property
    def rows(self) -> int:
        """Number of nodes without the root."""
        return len(self.ids)

    @property
    def root_class(self) -> int:
        """Class index of the root, which counts as unlabelled."""
        return self.targets.index(-1)

    @cached_property
    def leaves_below_root(self) -> tuple[int, ...]:
        """Rows of the leaves that are children of the root."""
        return tuple(row for row in range(self.classes) if self.depths[row] == 1)

    @cached_property
    def on_path(self) -> Tensor:
        """Bool ``[R, T]``: whether the row is the target of the class index or an ancestor of it."""
        table = torch.zeros(self.rows, len(self.targets), dtype=torch.bool)
        for target, path in enumerate(self.paths):
            table[list(path), target] = True
        return table

    @cached_property
    def below(self) -> Tensor:
        """Bool ``[R, T]``: whether the row lies strictly below the target of the class index."""
        return torch.tensor([[self._is_below(row, target) for target in self.targets] for row in range(self.rows)])

    def _is_below(self, row: int, ancestor: int) -> bool:
        if ancestor < 0:
            return True
        inside, around = self.leaf_slices[row], self.leaf_slices[ancestor]
        deeper = self.depths[row] > self.depths[ancestor]
        return deeper and around.start <= inside.start and inside.stop <= around.stop


def _branch_sums(children: dict[int, list[int]], depths: tuple[int, ...]) -> tuple[BranchSum, ...]:
    """Return the steps for inner rows with these children's rows, neighbours of one shape joined to one step."""
    steps: list[BranchSum] = []
    for depth in sorted({depths[row] for row in children}, reverse=True):
        runs = {row: _runs(rows) for row, rows in sorted(children.items()) if depths[row] == depth}
        for turn in range(max(len(parts) for parts in runs.values())):
            joined: BranchSum | None = None
            for row, parts in runs.items():
                if turn >= len(parts):
                    continue
                step = BranchSum(slice(row, row + 1), parts[turn], parts[turn].stop - parts[turn].start, turn == 0)
                if joined and (joined.parents.stop, joined.children.stop, joined.width) == (
                    row,
                    step.children.start,
                    step.width,
                ):
                    steps.pop()
                    parents, below = (
                        slice(joined.parents.start, row + 1),
                        slice(joined.children.start, step.children.stop),
                    )
                    step = BranchSum(parents, below, step.width, step.first)
                steps.append(step)
                joined = step
    return tuple(steps)


def _runs(rows: list[int]) -> tuple[slice, ...]:
    """Join consecutive row numbers to slices."""
    runs: list[slice] = []
    for row in rows:
        if runs and runs[-1].stop == row:
            runs[-1] = slice(runs[-1].start, row + 1)
        else:
            runs.append(slice(row, row + 1))
    return tuple(runs)
