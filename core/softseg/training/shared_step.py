"""What makes a step of several processes the same as one process's step with the whole batch.

Each process sees some patches. A mean over the voxels or patches of all is not the mean of the processes' means, a
maximum over the batch not the maximum over a part, so what is taken over the batch is exchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from softseg.errors import InputError
from softseg.losses import AdaptiveWingLoss
from softseg.losses.checked import Checked
from softseg.losses.coarse import value_with_coarse
from softseg.losses.compound import CompoundLoss
from softseg.losses.dice import DiceLoss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.losses.tree_loss import TreeLoss
from softseg.training.batch_norm import share_batch_norm
from softseg.training.ranks import Ranks

if TYPE_CHECKING:
    from softseg.network import Head, Scope


def shared_network(network: nn.Module, ranks: Ranks, device: torch.device) -> nn.Module:
    """Return what learns: ``network``, or with several processes the module that adds up their gradients.

    Batch normalisation inside ``network`` is then taken over the batch of all; weights become those of process 0.
    """
    if not ranks.several:
        return network
    share_batch_norm(network, ranks, device)
    devices = [device.index] if device.type == "cuda" else None
    return DistributedDataParallel(network, device_ids=devices, broadcast_buffers=False, gradient_as_bucket_view=True)


def require_shareable(loss: CompoundLoss, ranks: Ranks) -> None:
    """Raise :class:`InputError` if several processes cannot compute the loss exactly."""
    for part in loss.parts if ranks.several else ():
        if isinstance(part, DiceLoss) and part.batch:
            raise InputError(
                "dice with batch: true sums over the patches of all processes, which none of them has",
                field="losses",
                hint="use batch: false, or one process",
            )
        if not isinstance(part, (TreeLoss, DiceLoss, AdaptiveWingLoss, GeneralizedWassersteinDiceLoss)):
            raise InputError(f"{type(part).__name__} does not define how the parts of a batch add up", field="losses")


def shared_loss(
    ranks: Ranks,
    loss: CompoundLoss,
    head: Head,
    scope: Scope,
    logits: Tensor,
    target: Tensor,
    mask: Tensor | None,
    coarse: Tensor | None = None,
) -> Tensor:
    """Return this process's part of the loss of the whole batch; the parts add up to it.

    Parameters
    ----------
    logits, target, mask, coarse: of this process's patches, as :func:`softseg.training.objective.loss_of` takes them.
    """
    predicted = (
        head.logits(logits.float()) if loss.on == "logits" else head.probabilities(logits, scope, largest_of_all)
    )
    given = loss.check(predicted, target, mask)
    groups = None if coarse is None else loss.check(predicted, coarse, None)
    values = [value_with_coarse(part, given, groups) for part in loss.parts]
    own = torch.stack([_base(part, given, groups) for part in loss.parts])
    total = ranks.sum(own)
    fractions = torch.where(total > 0, own / total.clamp_min(torch.finfo(total.dtype).tiny), 0.0)
    parts = zip(values, loss.weights, loss.parts, fractions.to(predicted.dtype), strict=True)
    return torch.stack(
        [value * weight * (1.0 if _is_sum(part) else fraction) for value, weight, part, fraction in parts]
    ).sum()


def _is_sum(part: nn.Module) -> bool:
    return isinstance(part, AdaptiveWingLoss) and part.reduction == "sum"


def _base(part: nn.Module, given: Checked, groups: Checked | None) -> Tensor:
    """Return what the loss is a mean over, in float64: the weight of the labelled voxels, or the number of patches."""
    if isinstance(part, TreeLoss):
        fine = given.total_weight()
        return fine if groups is None else fine + groups.total_weight()
    if isinstance(part, AdaptiveWingLoss):
        return part.own(given).total_weight()
    return torch.tensor(len(given.predicted), dtype=torch.float64, device=given.predicted.device)


def largest_of_all(peak: Tensor) -> Tensor:
    """Return the largest of a number over the processes; its gradient goes to the process that holds it."""
    largest: Tensor = _LargestOfAll.apply(peak)  # type: ignore[no-untyped-call]
    return largest


class _LargestOfAll(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, peak: Tensor) -> Tensor:
        largest = peak.clone()
        dist.all_reduce(largest, dist.ReduceOp.MAX)
        holds = (peak == largest).to(peak.dtype)
        holders = holds.clone()
        dist.all_reduce(holders)
        ctx.save_for_backward(holds / holders)
        return largest

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (fraction,) = ctx.saved_tensors
        total = gradient.clone()
        dist.all_reduce(total)
        spread: Tensor = total * fraction
        return spread
