"""Sums over the leaves that are not below a node, without subtracting from the whole."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.losses.blocks import Scratch
from softseg.losses.tree_terms import TreeTables


def outside(leaves: Tensor, tables: TreeTables, scratch: Scratch) -> Tensor:
    """Return for every node ``[R, n]`` the sum of ``leaves`` ``[C, n]`` not below it: ``1 - P_v`` without cancellation.

    The leaves below a node stand side by side: what is left are those before and those after them.
    """
    before, after = _running_sums(leaves, leaves, scratch)
    return before[tables.starts].add_(after[tables.stops])


def outside_adjoint(values: Tensor, tables: TreeTables, scratch: Scratch) -> Tensor:
    """Return for every leaf ``[C, n]`` the sum of ``values`` ``[R, n]`` over the nodes that it is not below."""
    size = (tables.layout.classes + 1, values.shape[1])
    starts = scratch.array("starts", *size).zero_().index_add_(0, tables.starts, values)
    stops = scratch.array("stops", *size).zero_().index_add_(0, tables.stops, values)
    before, after = _running_sums(stops[:-1], starts[1:], scratch)
    return before[1:].add_(after[:-1])


def _running_sums(down: Tensor, up: Tensor, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """Return the sums of the first 0..C rows of ``down`` and of the last C..0 rows of ``up``, ``[C + 1, n]`` each."""
    size = (len(down) + 1, down.shape[1])
    before, after = scratch.array("before", *size), scratch.array("after", *size)
    before[0] = 0
    after[-1] = 0
    for row in range(len(down)):
        torch.add(before[row], down[row], out=before[row + 1])
        torch.add(after[-1 - row], up[-1 - row], out=after[-2 - row])
    return before, after
