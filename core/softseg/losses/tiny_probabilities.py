"""Likelihood of nodes where a probability is too small for a floating-point number."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.losses.tree_layout import TreeLayout


@dataclass
class NodeLikelihood:
    """The terms ``- likely_v ln P_v`` of inner nodes and ``- unlikely_v ln(1 - P_v)`` of all nodes, for ``n`` voxels.

    Attributes
    ----------
    probabilities: ``[I, n]``, the inner nodes' probabilities.
    rows: ``[D, n]``, inner nodes with a term; None: all.
    likely: weights, like ``rows`` or like ``probabilities``.
    outside: ``[R, n]``, ``1 - P_v``; None: no such term.
    unlikely: ``[R, n]``, their weights.
    needed: the probabilities of ``rows``, lifted to normal numbers (:func:`exact_likelihood`).
    """

    probabilities: Tensor
    rows: Tensor | None
    likely: Tensor
    outside: Tensor | None
    unlikely: Tensor | None

    def __post_init__(self) -> None:
        self.needed = self.probabilities


def exact_likelihood(logits: Tensor, nodes: NodeLikelihood, layout: TreeLayout) -> tuple[Tensor, Tensor, Tensor] | None:
    """Compute the voxels with a term of a probability that is no normal number by logsumexp over logits.

    Their weights in ``nodes`` become 0, and ``nodes.needed`` and ``nodes.outside`` have only normal numbers.

    Returns
    -------
    The voxels ``[m]``, their loss ``[m]`` and gradient ``[C, m]``; None where there are none.
    """
    needed = nodes.probabilities if nodes.rows is None else nodes.probabilities.gather(0, nodes.rows)
    columns, nodes.needed = _normal(needed, nodes.likely)
    if nodes.outside is not None and nodes.unlikely is not None:
        more, nodes.outside = _normal(nodes.outside, nodes.unlikely)
        columns = torch.cat([columns, more[~torch.isin(more, columns)]])
    if not len(columns):
        return None
    likely = nodes.likely[:, columns]
    nodes.likely[:, columns] = 0
    if nodes.rows is not None:
        dense = logits.new_zeros(len(nodes.probabilities), len(columns))
        likely = dense.scatter_add_(0, nodes.rows[:, columns], likely)
    unlikely = None
    if nodes.unlikely is not None:
        unlikely = nodes.unlikely[:, columns]
        nodes.unlikely[:, columns] = 0
    return columns, *_by_logsumexp(logits[:, columns], likely, unlikely, layout)


def _by_logsumexp(logits: Tensor, likely: Tensor, unlikely: Tensor | None, layout: TreeLayout) -> tuple[Tensor, Tensor]:
    """Return loss ``[m]`` and gradient ``[C, m]`` for weights ``[I, m]`` and ``[R, m]``."""
    scores = logits - logits.amax(0)
    loss, gradient = logits.new_zeros(scores.shape[1]), torch.zeros_like(scores)
    for row in likely.any(1).nonzero().flatten().tolist():
        _add_log(loss, gradient, scores, likely[row], [layout.leaf_slices[layout.classes + row]])
    weight = likely.sum(0)
    if unlikely is not None:
        for row in unlikely.any(1).nonzero().flatten().tolist():
            inside = layout.leaf_slices[row]
            around = [slice(0, inside.start), slice(inside.stop, layout.classes)]
            _add_log(loss, gradient, scores, unlikely[row], around)
        weight += unlikely.sum(0)
    _add_log(loss, gradient, scores, -weight, [slice(0, layout.classes)])
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


def _add_log(loss: Tensor, gradient: Tensor, scores: Tensor, weights: Tensor, parts: list[slice]) -> None:
    """Subtract ``weights`` times the logsumexp of some rows of ``scores`` from the loss, and its gradient likewise."""
    rows = torch.cat([scores[part] for part in parts])
    loss -= weights * rows.logsumexp(0)
    slopes = weights * rows.softmax(0)
    start = 0
    for part in parts:
        gradient[part] -= slopes[start : start + part.stop - part.start]
        start += part.stop - part.start
