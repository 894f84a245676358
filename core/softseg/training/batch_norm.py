"""Batch normalisation over the patches of several processes.

PyTorch's ``SyncBatchNorm`` refuses tensors on the CPU, since the sums it is made of exist as CUDA kernels alone
(PyTorch 2.13), and MONAI's SYNCBATCH is that same layer. Statistics of each process's own patches would not do:
trainings on CPUs have one or two patches a process, and the result would depend on the number of processes. So the
layer stays; two sums in each pass are all it exchanges. On GPUs PyTorch's layer is taken.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from softseg.training.ranks import Ranks


def share_batch_norm(network: nn.Module, ranks: Ranks, device: torch.device) -> None:
    """Let the batch normalisation inside ``network`` take mean and variance over the patches of all processes.

    Weights, statistics and their names stay as they are. PyTorch's own layer for this knows GPUs only.
    """
    if not ranks.several:
        return
    if device.type == "cuda":
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm):
                setattr(module, name, SharedBatchNorm(child))


class SharedBatchNorm(_BatchNorm):
    """A batch normalisation that took over weights and statistics of ``layer``; any number of dimensions, on CPUs.

    Under autocast its input is bfloat16 and its weights are float32. Then it computes in float32, as PyTorch's own
    layer does, and returns bfloat16.
    """

    def __init__(self, layer: _BatchNorm) -> None:
        super().__init__(layer.num_features, layer.eps, layer.momentum, layer.affine, layer.track_running_stats)
        self._parameters = layer._parameters
        self._buffers = layer._buffers
        self.training = layer.training

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - the name in torch
        if input.ndim < 3:
            raise ValueError(f"expected [B, C, *spatial], got {input.ndim} dimensions")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in torch
        """Return ``[B, C, *spatial]`` normalised; in evaluation mode as the layer it replaces."""
        if not self.training:
            return super().forward(input)
        self._check_input_dim(input)
        output, mean, variance, count = _Normalize.apply(input, self.weight, self.bias, self.eps)  # type: ignore[no-untyped-call]
        self._remember(mean, variance, float(count))
        return output  # type: ignore[no-any-return]

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        fraction = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, fraction)
        self.running_var.lerp_(variance * (count / max(1.0, count - 1)), fraction)


class _Normalize(torch.autograd.Function):
    """The mean is exchanged before the variance, so that large means cost no precision."""

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, weight: Tensor | None, bias: Tensor | None, epsilon: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        over = [axis for axis in range(values.ndim) if axis != 1]
        exact = _exact(values.dtype)
        own = torch.empty(values.shape[1] + 1, dtype=torch.float64)
        own[:-1] = values.sum(over, dtype=torch.float64)
        own[-1] = values.numel() / values.shape[1]
        dist.all_reduce(own)
        count = own[-1].clone()
        mean = own[:-1] / count
        squares = (values - _along(mean, values, exact)).square_().sum(over, dtype=torch.float64)
        dist.all_reduce(squares)
        variance = squares / count
        inverse = (variance + epsilon).rsqrt()
        ctx.save_for_backward(values, weight, mean, inverse, count)
        ctx.has_bias = bias is not None
        mean, variance = mean.to(exact), variance.to(exact)  # next to bfloat16 values, batch_norm takes float32 alone
        output = F.batch_norm(values, mean, variance, weight, bias, training=False, eps=epsilon)
        ctx.mark_non_differentiable(mean, variance, count)
        return output, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, inverse, count = ctx.saved_tensors
        over = [axis for axis in range(values.ndim) if axis != 1]
        exact = _exact(values.dtype)
        normal = (values - _along(mean, values, exact)).mul_(_along(inverse, values, exact))
        own = torch.stack([gradient.sum(over, dtype=torch.float64), (gradient * normal).sum(over, dtype=torch.float64)])
        for_bias, for_weight = own.to(exact, copy=True)  # the sum over all comes with the gradients
        dist.all_reduce(own)
        slope = inverse if weight is None else inverse * weight
        constant, along = own / count
        normal.mul_(_along(-along, values, exact)).add_(gradient).sub_(_along(constant, values, exact))
        normal.mul_(_along(slope, values, exact))
        own_weight = None if weight is None else for_weight
        return normal.to(values.dtype), own_weight, for_bias if ctx.has_bias else None, None


def _exact(dtype: torch.dtype) -> torch.dtype:
    """Return the type of statistics of values of ``dtype``: float32 for bfloat16 and float16, else the same."""
    return torch.float32 if dtype in (torch.bfloat16, torch.float16) else dtype


def _along(channels: Tensor, values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return one number per channel, of type ``dtype``, ready to be combined with ``values``."""
    return channels.to(dtype).view(1, -1, *[1] * (values.ndim - 2))
