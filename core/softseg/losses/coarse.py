"""Soft targets beside voxels of which only a group is known: one mean over both."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from softseg.losses.targets import voxel_weights
from softseg.losses.tree_loss import TreeLoss


def uses_coarse(part: nn.Module) -> bool:
    """Whether a loss can learn from a voxel that is labelled with an inner node: only those over the tree can."""
    return isinstance(part, TreeLoss)


def value_with_coarse(
    part: nn.Module, predicted: Tensor, target: Tensor, mask: Tensor | None, coarse: Tensor | None
) -> Tensor:
    """Return the mean of a loss over the voxels of a soft target and over those of which only a group is known.

    Each voxel counts the same. A loss that cannot use groups (:func:`uses_coarse`) is that of the soft target alone.

    Parameters
    ----------
    part: a loss.
    predicted: what it reads, ``[B, C, *spatial]``.
    target, mask: as for all losses; where ``coarse`` names a node they say nothing.
    coarse: int64 ``[B, 1, *spatial]``, class indices of inner nodes, ``IGNORE_INDEX`` elsewhere; None: none.
    """
    value: Tensor = part(predicted, target, mask)
    if coarse is None or not isinstance(part, TreeLoss):
        return value
    fine = tree_weight(part, predicted, target, mask)
    known = tree_weight(part, predicted, coarse, None)
    share = torch.where(fine + known > 0, known / (fine + known).clamp_min(torch.finfo(fine.dtype).tiny), 0.0)
    share = share.to(value.dtype)
    more: Tensor = part(predicted, coarse)
    return value * (1 - share) + more * share


def tree_weight(part: TreeLoss, predicted: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    """Return the summed weight of the labelled voxels, float64: what a loss over the tree is a mean over."""
    layout = part.terms.layout
    weights = voxel_weights(predicted, target, mask, labels=len(layout.targets), nothing=layout.root_class)
    return weights.sum(dtype=torch.float64)
