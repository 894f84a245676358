"""The one kernel of all tree losses: value and gradient of a block of voxels.

Everything is a function of the node probabilities ``P_v``. With ``a_v = dL/dP_v`` and ``A_k`` the sum of ``a_v`` over
the nodes on the path of leaf ``k``, the gradient with respect to the logits is ``p_k (A_k - sum_j p_j A_j)``: one pass
up the tree (sums of branches) and one down (sums along paths), never a leaf-by-leaf matrix.

``ln P_v`` is the logarithm of a sum of positive numbers, as exact as a logsumexp while ``P_v`` is a normal number; the
few voxels where a needed ``P_v`` is smaller are computed by logsumexp over the leaves' logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.losses.blocks import Scratch
from softseg.losses.tree_layout import TreeLayout
from softseg.losses.tree_terms import TreeTables


@dataclass
class Block:
    """The parts of the loss on ``n`` voxels that depend on the kind of target.

    Attributes
    ----------
    probabilities: ``[R, n]``, or ``[C, n]`` where no inner node is needed.
    slopes: like ``probabilities``, ``dL/dP_v`` of the transport term.
    offset: ``[n]`` or None; transport is ``sum_v slopes_v P_v + offset``.
    rows: ``[D, n]``, rows with a likelihood term; None: all rows of ``probabilities``.
    likely: weights of ``ln P_v``, like ``rows`` (or like ``probabilities``).
    unlikely: weights of ``ln(1 - P_v)``, ``[R, n]``; None: no such term.
    """

    probabilities: Tensor
    slopes: Tensor
    offset: Tensor | None
    rows: Tensor | None
    likely: Tensor
    unlikely: Tensor | None


def labelled_block(logits: Tensor, labels: Tensor, tables: TreeTables, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """Return loss ``[n]`` and gradient ``[C, n]`` for integer labels.

    Parameters
    ----------
    logits: ``[C, n]``, float32 or float64.
    labels: int64 ``[n]``, class indices of leaves or inner nodes, no root and nothing to ignore.
    tables: the loss.
    scratch: work arrays; the gradient lies in them.
    """
    layout = tables.layout
    rows = tables.likely_rows[:, labels]
    whole = tables.has_transport or tables.has_complement or bool((rows >= layout.classes).any())
    probabilities = _node_probabilities(logits, layout, whole, scratch)
    slopes = scratch.array("slopes", *probabilities.shape)
    offset = None
    if tables.has_transport:
        slopes.copy_(tables.transport[:, None].expand_as(slopes))
        path = tables.path_rows[:, labels]
        slopes.scatter_(0, path, tables.transport[path].neg_())
        coarse = (labels >= layout.classes).nonzero().flatten()
        if len(coarse):  # nodes below a labelled inner node take no part
            slopes[:, coarse] *= tables.not_below[:, labels[coarse]]
        offset = tables.path_transport[labels]
    else:
        slopes.zero_()
    unlikely = tables.beside[:, labels] if tables.has_complement else None
    block = Block(probabilities, slopes, offset, rows, tables.likely_weights[:, labels], unlikely)
    return _evaluate(logits, block, tables, scratch)


def soft_block(logits: Tensor, target: Tensor, tables: TreeTables, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """Return loss ``[n]`` and gradient ``[C, n]`` for soft targets.

    Parameters
    ----------
    logits, target: ``[C, n]``, both float32 or both float64.
    tables: the loss.
    scratch: work arrays; the gradient lies in them.
    """
    layout = tables.layout
    whole = tables.has_transport or tables.has_complement or bool(tables.likelihood[layout.classes :].any())
    probabilities = _node_probabilities(logits, layout, whole, scratch)
    slopes = scratch.array("slopes", *probabilities.shape)
    shares = scratch.array("shares", *probabilities.shape)
    shares[: layout.classes] = target
    if whole:
        layout.sum_up(shares)
    offset = None
    if tables.has_transport:
        torch.sub(probabilities, shares, out=slopes).sign_().mul_(tables.transport[:, None])
        product = scratch.array("logs", *shares.shape)
        offset = torch.mul(slopes, shares, out=product).sum(0).neg_()
    else:
        slopes.zero_()
    unlikely = None
    if tables.has_complement:
        unlikely = _outside(target, tables, scratch).mul_(tables.complement[:, None])
    likely = shares.mul_(tables.likelihood[: len(shares), None])
    return _evaluate(logits, Block(probabilities, slopes, offset, None, likely, unlikely), tables, scratch)


def _evaluate(logits: Tensor, block: Block, tables: TreeTables, scratch: Scratch) -> tuple[Tensor, Tensor]:
    """Return loss ``[n]`` and gradient ``[C, n]`` of a block; its tensors are used up."""
    layout, slopes, unlikely = tables.layout, block.slopes, block.unlikely
    leaves = block.probabilities[: layout.classes]
    needed = block.probabilities if block.rows is None else block.probabilities.gather(0, block.rows)
    outside = None if unlikely is None else _outside(leaves, tables, scratch)
    columns, needed = _normal(needed, block.likely)
    if outside is not None and unlikely is not None:
        more, outside = _normal(outside, unlikely)
        columns = torch.cat([columns, more[~torch.isin(more, columns)]])
    exact = _exact(logits, block, columns, layout) if len(columns) else None

    weight = block.likely.sum(0)
    logs = torch.log(needed, out=scratch.array("logs", *needed.shape))
    loss = logs.mul_(block.likely).sum(0).neg_()
    if block.rows is None:
        slopes.addcdiv_(block.likely, needed, value=-1)
    else:
        slopes.scatter_add_(0, block.rows, (block.likely / needed).neg_())
    if len(slopes) > layout.classes:
        layout.push_down(slopes)
    if outside is not None and unlikely is not None:
        weight += unlikely.sum(0)
        logs = torch.log(outside, out=scratch.array("logs", *outside.shape))
        loss -= logs.mul_(unlikely).sum(0)
        slopes[: layout.classes] -= _outside_adjoint(unlikely.div_(outside), tables, scratch)

    gradient = slopes[: layout.classes].mul_(leaves)
    mean = gradient.sum(0)
    if block.offset is not None:
        loss += mean + weight + block.offset
    gradient.addcmul_(leaves, mean, value=-1)
    if exact is not None:
        loss[columns] += exact[0]
        gradient[:, columns] += exact[1]
    return loss, gradient


def _normal(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the columns in which a value with a weight is no normal number, and the values lifted to normal numbers.

    Lifted values have weight 0 or lie in the returned columns.
    """
    smallest = torch.finfo(values.dtype).tiny * 1e8
    if not values.numel() or float(values.amin()) >= smallest:
        return torch.zeros(0, dtype=torch.int64, device=values.device), values
    columns = ((values < smallest) & (weights > 0)).any(0).nonzero().flatten()
    return columns, values.clamp(min=smallest)


def _node_probabilities(logits: Tensor, layout: TreeLayout, whole: bool, scratch: Scratch) -> Tensor:
    """Return softmax probabilities of the leaves ``[C, n]``, or, if ``whole``, of all nodes ``[R, n]``."""
    values = scratch.array("probabilities", layout.rows if whole else layout.classes, logits.shape[1])
    torch.softmax(logits, 0, out=values[: layout.classes])
    if whole:
        layout.sum_up(values)
    return values


def _outside(leaves: Tensor, tables: TreeTables, scratch: Scratch) -> Tensor:
    """Return for every node ``[R, n]`` the sum of the leaves not below it: ``1 - P_v`` without cancellation."""
    before, after = _running_sums(leaves, leaves, scratch)
    return before[tables.starts].add_(after[tables.stops])


def _outside_adjoint(values: Tensor, tables: TreeTables, scratch: Scratch) -> Tensor:
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


def _exact(logits: Tensor, block: Block, columns: Tensor, layout: TreeLayout) -> tuple[Tensor, Tensor]:
    """Return loss and gradient of the likelihood of some voxels by logsumexp; their weights leave the block."""
    likely = block.likely[:, columns]
    block.likely[:, columns] = 0
    if block.rows is not None:
        dense = logits.new_zeros(layout.rows, len(columns))
        likely = dense.scatter_add_(0, block.rows[:, columns], likely)
    unlikely = None
    if block.unlikely is not None:
        unlikely = block.unlikely[:, columns]
        block.unlikely[:, columns] = 0

    scores = logits[:, columns]
    scores = scores - scores.amax(0)
    loss, gradient = logits.new_zeros(len(columns)), torch.zeros_like(scores)
    for row in likely.any(1).nonzero().flatten().tolist():
        _add_log(loss, gradient, scores, likely[row], [layout.leaf_slices[row]])
    weight = likely.sum(0)
    if unlikely is not None:
        for row in unlikely.any(1).nonzero().flatten().tolist():
            inside = layout.leaf_slices[row]
            around = [slice(0, inside.start), slice(inside.stop, layout.classes)]
            _add_log(loss, gradient, scores, unlikely[row], around)
        weight += unlikely.sum(0)
    _add_log(loss, gradient, scores, -weight, [slice(0, layout.classes)])
    return loss, gradient


def _add_log(loss: Tensor, gradient: Tensor, scores: Tensor, weights: Tensor, parts: list[slice]) -> None:
    """Subtract ``weights`` times the logsumexp of some rows of ``scores`` from the loss, and its gradient likewise."""
    rows = torch.cat([scores[part] for part in parts])
    loss -= weights * rows.logsumexp(0)
    slopes = weights * rows.softmax(0)
    start = 0
    for part in parts:
        gradient[part] -= slopes[start : start + part.stop - part.start]
        start += part.stop - part.start
