"""Soft targets beside voxels of which only a group is known: one mean over both."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.losses.checked import Checked
from softseg.losses.loss import Loss


def uses_coarse(part: Loss) -> bool:
    """Whether a loss can learn from a voxel that is labelled with an inner node: only those over the tree can."""
    return part.uses_inner_nodes


def value_with_coarse(part: Loss, given: Checked, groups: Checked | None) -> Tensor:
    """Return the mean of a loss over the voxels of a soft target and over those of which only a group is known.

    Each voxel counts the same. A loss that cannot use groups (:func:`uses_coarse`) is that of the soft target alone.

    Parameters
    ----------
    part: a loss.
    given: its arguments, checked; ignored where ``groups`` names a node.
    groups: the same prediction with class indices of inner nodes as target, ``IGNORE_INDEX`` elsewhere; None: none.
    """
    value = part.of(given)
    if groups is None or not uses_coarse(part):
        return value
    fine, known = given.total_weight(), groups.total_weight()
    fraction = torch.where(fine + known > 0, known / (fine + known).clamp_min(torch.finfo(fine.dtype).tiny), 0.0)
    fraction = fraction.to(value.dtype)
    return value * (1 - fraction) + part.of(groups) * fraction
