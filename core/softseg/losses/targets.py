"""What every loss does first: check the shapes, find the labelled voxels."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.types import IGNORE_INDEX


def is_soft(predicted: Tensor, target: Tensor) -> bool:
    """Check the target's shape and return whether it is a soft distribution (floating point, one channel a leaf).

    Parameters
    ----------
    predicted: ``[B, C, *spatial]``, 2D or 3D.
    target: integer ``[B, 1, *spatial]`` or floating point ``[B, C, *spatial]``.

    Raises
    ------
    InputError: any other shape or type.
    """
    batch, classes, *spatial = predicted.shape
    soft = target.is_floating_point()
    expected = (batch, classes if soft else 1, *spatial)
    if not spatial or tuple(target.shape) != expected or target.dtype == torch.bool:
        kind = "soft leaf shares" if soft else "integer labels"
        raise InputError(
            f"target of type {target.dtype} has shape {list(target.shape)}, expected {kind} of shape {list(expected)}",
            field="target",
            hint="give class indices as int64 [B, 1, *spatial] or shares as float32 [B, C, *spatial]",
        )
    return soft


def voxel_weights(predicted: Tensor, target: Tensor, mask: Tensor | None, *, labels: int, nothing: int = -1) -> Tensor:
    """Return the weight of every voxel, ``[B, 1, *spatial]`` in float32 (float64 for float64): 0 where unlabelled.

    Parameters
    ----------
    predicted: ``[B, C, *spatial]``.
    target: integer labels or soft shares, as :func:`is_soft` checks them.
    mask: bool or float ``[B, 1, *spatial]``, multiplied in; None: 1 everywhere.
    labels: number of class indices that are allowed in integer targets.
    nothing: one more class index that counts as unlabelled (the root).

    Raises
    ------
    InputError: a class index outside ``-1 .. labels - 1``, a mask of another shape.
    """
    weights = crisp_weights(predicted, target, mask, labels=labels, nothing=nothing)
    dtype = torch.float64 if predicted.dtype == torch.float64 else torch.float32
    if target.is_floating_point():
        labelled = (target.sum(1, keepdim=True, dtype=dtype) > 0).to(dtype)
        return labelled if weights is None else weights * labelled
    if weights is None:
        return torch.ones(target.shape, dtype=dtype, device=target.device)
    return weights


def crisp_weights(
    predicted: Tensor, target: Tensor, mask: Tensor | None, *, labels: int, nothing: int = -1
) -> Tensor | None:
    """Return :func:`voxel_weights` as labels and mask give them, None where that is 1 everywhere.

    Soft shares are not looked at: whether their sum is 0 is found where they are read anyway.
    """
    dtype = torch.float64 if predicted.dtype == torch.float64 else torch.float32
    labelled = None
    if not is_soft(predicted, target):
        lowest, highest = (int(value) for value in torch.aminmax(target)) if target.numel() else (0, 0)
        if lowest < IGNORE_INDEX or highest >= labels:
            wrong = lowest if lowest < IGNORE_INDEX else highest
            raise InputError(
                f"class index {wrong} is not in 0..{labels - 1} and not {IGNORE_INDEX} (unlabelled)",
                field="target",
                hint="map label values to class indices with tree.to_class_indices",
            )
        if lowest == IGNORE_INDEX or lowest <= nothing <= highest:
            labelled = ((target != IGNORE_INDEX) & (target != nothing)).to(dtype)
    if mask is None:
        return labelled
    expected = (predicted.shape[0], 1, *predicted.shape[2:])
    if tuple(mask.shape) != expected:
        raise InputError(f"mask has shape {list(mask.shape)}, expected {list(expected)}", field="mask")
    return mask.to(dtype) if labelled is None else labelled * mask


def leaf_weights(predicted: Tensor, target: Tensor, mask: Tensor | None) -> Tensor:
    """Return :func:`voxel_weights` with weight 0 also where the label is an inner node, which has no leaf shares."""
    weights = voxel_weights(predicted, target, mask, labels=torch.iinfo(torch.int16).max)
    return weights if target.is_floating_point() else weights * (target < predicted.shape[1])


def crisp_leaf_weights(predicted: Tensor, target: Tensor, mask: Tensor | None) -> Tensor | None:
    """Return :func:`leaf_weights` as labels and mask give them, None where that is 1 everywhere."""
    weights = crisp_weights(predicted, target, mask, labels=torch.iinfo(torch.int16).max)
    if target.is_floating_point() or not target.numel() or int(target.max()) < predicted.shape[1]:
        return weights
    leaves = target < predicted.shape[1]
    return leaves.to(predicted.dtype) if weights is None else weights * leaves


def leaf_shares(target: Tensor, classes: int) -> Tensor:
    """Return the target as leaf shares ``[B, C, *spatial]``: itself if soft, one-hot for leaf indices, else all 0."""
    if target.is_floating_point():
        return target
    leaves = torch.arange(classes, device=target.device).view(1, -1, *[1] * (target.ndim - 2))
    return target == leaves


def leaf_channels(classes: int, background: int | None) -> list[int]:
    """Return the channels without the background.

    Raises
    ------
    InputError: the background is not a channel, or the only one.
    """
    channels = [channel for channel in range(classes) if channel != background]
    if background is not None and len(channels) not in range(1, classes):
        raise InputError(f"background is channel {background} of {classes}, nothing else is left", field="background")
    return channels
