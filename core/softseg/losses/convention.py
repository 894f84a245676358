"""The convention of all losses, checked here and nowhere else: ``loss(predicted, target, mask=None)``.

``predicted`` is ``[B, C, *spatial]`` with one to three spatial axes; ``target`` and ``mask`` lie on the same device.

- Integer target ``[B, 1, *spatial]``: class indices (:meth:`softseg.tree.LabelTree.to_class_indices`); -1 and the root
  are unlabelled. Floating point in this shape, as MONAI hands labels out, must be whole within ``WHOLE``.
- Soft target ``[B, C, *spatial]``, floating point or bool: probabilities of the leaves, each at least 0, with a sum of
  at most 1, both within ``TOLERANCE``; used as they are. A voxel whose channels sum to 0 is unlabelled.
- One channel (C is 1): the probability of the foreground against a background without a channel. 0 means background,
  every voxel is labelled. Class indices are 0 (background), 1 (foreground) and -1.
- ``mask`` ``[B, 1, *spatial]``: a finite weight of at least 0 per voxel. Where it is 0 the target may hold anything.

Numbers of the prediction are not checked: what is not finite in a labelled voxel makes the loss not finite, as in
PyTorch, so that a diverged training is seen. Without any voxel, or any labelled one, a loss is a differentiable 0.

A check reads a soft target once and waits once for the device; the sums that it needs are those that the losses need.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.checked import Checked, compute_type
from softseg.losses.extent import extent
from softseg.tree import LabelTree
from softseg.types import IGNORE_INDEX

TOLERANCE = 0.01
"""How far a probability, or the sum of a voxel's, may leave 0..1: rounding to 8 bits or bfloat16 does (our choice)."""

WHOLE = 1e-3
"""How far a class index in floating point may be from a whole number (our choice); it is rounded."""

LABELS_HINT = "map label values to class indices with tree.to_class_indices"


@dataclass(frozen=True)
class Classes:
    """What a loss knows about classes.

    Attributes
    ----------
    leaves: the number of channels; None: any.
    labels: the number of class indices; None: as many as channels, two for one channel.
    root: the class index of the root, which counts as unlabelled; None: there is none.
    """

    leaves: int | None = None
    labels: int | None = None
    root: int | None = None

    @classmethod
    def of(cls, tree: LabelTree | None) -> Classes:
        """Return them for ``tree``; without a tree there are only leaves, one per channel."""
        if tree is None:
            return cls()
        return cls(len(tree.leaves), len(tree.class_nodes), tree.class_index(tree.root.id))


def check(predicted: Tensor, target: Tensor, mask: Tensor | None, classes: Classes, name: str = "logits") -> Checked:
    """Check the arguments of a loss and return what it computes with.

    Parameters
    ----------
    predicted, target, mask: see the module's description; subclasses of tensors, such as MONAI's, are taken as tensors.
    classes: what the loss knows about classes.
    name: what the loss calls its first argument, for messages.

    Raises
    ------
    InputError: an argument does not keep the convention; the message names it, what was expected and what to do.
    """
    predicted = _plain(predicted, name)
    target = _plain(target, "target").detach()
    mask = None if mask is None else _plain(mask, "mask").detach()
    _check_predicted(predicted, classes, name)
    for other, field in ((target, "target"), (mask, "mask")):
        if other is not None and other.device != predicted.device:
            raise InputError(
                f"{field} is on {other.device}, {name} on {predicted.device}",
                field=field,
                hint=f"move it with {field}.to({name}.device)",
            )
    soft = _is_soft(predicted, target)
    with torch.autocast(predicted.device.type, enabled=False):
        weights = _mask_weights(predicted, mask)
        if not predicted.numel():
            return Checked(predicted, target, weights)
        if soft:
            return _soft(predicted, target, weights)
        return _labelled(predicted, target, weights, classes)


def _plain(value: Tensor, field: str) -> Tensor:
    if type(value) is Tensor:
        return value
    if not isinstance(value, Tensor):
        raise InputError(f"expected a tensor, got {type(value).__name__}", field=field, hint="use torch.as_tensor")
    return value.as_subclass(Tensor)


def _check_predicted(predicted: Tensor, classes: Classes, name: str) -> None:
    if not predicted.is_floating_point():
        raise InputError(
            f"expected floating point, got {predicted.dtype}", field=name, hint="give the output of the network"
        )
    if predicted.ndim not in (3, 4, 5) or not predicted.shape[1]:
        raise InputError(
            f"shape is {list(predicted.shape)}, expected [B, C, *spatial] with one to three spatial axes",
            field=name,
            hint="add the missing axis, for example with unsqueeze(0) for a batch of one",
        )
    if classes.leaves is not None and predicted.shape[1] != classes.leaves:
        channels = predicted.shape[1]
        raise InputError(
            f"{name} have {channels} channel{'s' * (channels != 1)}, the tree has {classes.leaves} leaves",
            field=name,
            hint="the network must put out one channel per leaf, in the order of tree.leaves",
        )


def _is_soft(predicted: Tensor, target: Tensor) -> bool:
    """Return whether the target holds probabilities, after a look at its type and shape."""
    batch, channels, *spatial = predicted.shape
    shape, one, all_ = tuple(target.shape), (batch, 1, *spatial), (batch, channels, *spatial)
    if (target.is_floating_point() or target.dtype == torch.bool) and shape == all_:
        return True
    if shape == one and not target.is_complex() and target.dtype != torch.bool:
        return False
    hint = "give class indices as int64 [B, 1, *spatial] or probabilities as float32 [B, C, *spatial]"
    if shape == all_ and not target.is_complex():
        hint = "one-hot labels are probabilities: give target.float()"
    elif shape == (batch, *spatial):
        hint = "add the axis of channels: target.unsqueeze(1)"
    raise InputError(
        f"target of type {target.dtype} has shape {list(shape)}, expected class indices of shape {list(one)} or"
        f" probabilities of shape {list(all_)}",
        field="target",
        hint=hint,
    )


def _mask_weights(predicted: Tensor, mask: Tensor | None) -> Tensor | None:
    if mask is None:
        return None
    expected = (predicted.shape[0], 1, *predicted.shape[2:])
    if tuple(mask.shape) != expected or mask.is_complex():
        raise InputError(
            f"mask has shape {list(mask.shape)}, expected {list(expected)}"
            if tuple(mask.shape) != expected
            else f"mask has type {mask.dtype}, expected bool or real numbers",
            field="mask",
            hint="give one weight per voxel, 0 where it takes no part",
        )
    weights = mask.to(compute_type(predicted))
    if mask.dtype != torch.bool and mask.numel():
        low, high = torch.stack(torch.aminmax(weights)).tolist()
        if not (low >= 0 and high < torch.inf):
            wrong = low if high == high and not low >= 0 else high
            raise InputError(
                f"mask has the value {wrong:g}, expected finite weights of at least 0",
                field="mask",
                hint="give 0 where a voxel takes no part",
            )
    return weights


def _soft(predicted: Tensor, target: Tensor, weights: Tensor | None) -> Checked:
    dtype = compute_type(predicted)
    if target.dtype == torch.bool:
        target = target.to(dtype)
    found = extent(target, dtype)
    if not found.within(TOLERANCE) and weights is not None:
        target = torch.where(weights != 0, target, 0.0)
        found = extent(target, dtype)
    if not found.within(TOLERANCE):
        raise _not_probabilities(target, found.low, found.high)
    if target.shape[1] > 1 and found.least <= 0:
        labelled = (found.sums > 0).to(dtype)
        weights = labelled if weights is None else weights * labelled
    return Checked(predicted, target, weights, found.sums)


def _not_probabilities(target: Tensor, low: float, high: float) -> InputError:
    one = target.shape[1] == 1
    if low != low or high != high:
        return InputError(
            "target has values that are not numbers (NaN)",
            field="target",
            hint="give a mask that is 0 where the target is not known",
        )
    if low < -TOLERANCE:
        text = f"target has the value {low:g}, expected probabilities in 0..1"
    elif one:
        text = f"target has the value {high:g}, expected the probability of the foreground in 0..1"
    else:
        text = f"the channels of a voxel of the target sum to {high:g}, expected probabilities with a sum of at most 1"
    hint = "clamp what interpolation overshoots; divide counts or grey values by their maximum"
    if one and low == IGNORE_INDEX:
        hint = "unlabelled voxels beside one channel are those where a mask is 0, or -1 in integer labels"
    elif one and high > 1:
        hint += "; for class indices the network must put out one channel per leaf"
    return InputError(text, field="target", hint=hint)


def _labelled(predicted: Tensor, target: Tensor, weights: Tensor | None, classes: Classes) -> Checked:
    channels, dtype = predicted.shape[1], compute_type(predicted)
    labels = classes.labels or max(channels, 2)
    if target.is_floating_point():
        target = _whole(target, weights)
    elif target.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        target = target.long()
    lowest, highest = torch.stack(torch.aminmax(target)).tolist()
    if (lowest < IGNORE_INDEX or highest >= labels) and weights is not None:
        target = torch.where(weights != 0, target.long(), IGNORE_INDEX)
        lowest, highest = torch.stack(torch.aminmax(target)).tolist()
    if lowest < IGNORE_INDEX or highest >= labels:
        wrong = lowest if lowest < IGNORE_INDEX else highest
        raise InputError(
            f"class index {wrong} is not in 0..{labels - 1} and not {IGNORE_INDEX} (unlabelled)",
            field="target",
            hint=LABELS_HINT,
        )
    root = IGNORE_INDEX if classes.root is None else classes.root
    if lowest == IGNORE_INDEX or lowest <= root <= highest:
        labelled = ((target != IGNORE_INDEX) & (target != root)).to(dtype)
        weights = labelled if weights is None else weights * labelled
    if channels == 1:
        foreground = (target == 1).to(dtype)
        return Checked(predicted, foreground, weights, foreground)
    return Checked(predicted, target, weights, highest=highest)


def _whole(target: Tensor, weights: Tensor | None) -> Tensor:
    """Return class indices in floating point as int64; what a mask hides becomes ``IGNORE_INDEX``."""
    if weights is not None:
        target = torch.where(weights != 0, target, float(IGNORE_INDEX))
    rounded = target.round()
    off, highest = torch.stack([(target - rounded).abs().amax(), target.amax()]).tolist()
    if not off <= WHOLE:
        wrong = float(target[~((target - rounded).abs() <= WHOLE)][0])
        raise InputError(
            f"target has the value {wrong:g}, expected whole class indices",
            field="target",
            hint="give class indices [B, 1, *spatial], or probabilities with one channel per leaf [B, C, *spatial]",
        )
    if highest >= 2 / torch.finfo(target.dtype).eps:
        raise InputError(
            f"class index {highest:g} in {target.dtype}, which rounds whole numbers of that size",
            field="target",
            hint="give class indices as int64",
        )
    return rounded.long()
