"""How much memory a PyTorch network takes."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_SCRATCH = 1.3  # measured memory of a pass over the size of the tensors that are alive at its peak


def network_memory(
    network: nn.Module,
    channels: int,
    window: Sequence[int],
    dimensions: int,
    dtype: torch.dtype,
    batch: int = 1,
    backward: bool = False,
) -> int:
    """Return the bytes that one pass of the network takes at most, its input and output included.

    The network runs on tensors without content, which takes neither memory nor much time. What the libraries take
    beside (copies of weights and maps in other layouts) is added as measured.

    Parameters
    ----------
    network: on any device.
    channels: of its input.
    window: ``(k, j, i)``.
    dimensions: 2 leaves ``k`` out.
    dtype: of its arithmetic.
    batch: windows in a pass.
    backward: whether the gradient by the input is computed too.
    """
    shape = (batch, channels, *(window if dimensions == 3 else window[1:]))
    held = [*network.parameters(), *network.buffers()]
    empty = copy.deepcopy(network, {id(value): _emptied(value, dtype) for value in held})
    weights = sum(value.nbytes for value in held)
    live = _Live()
    try:
        with torch.enable_grad() if backward else torch.inference_mode(), live:
            image = torch.empty(shape, dtype=dtype, device="meta", requires_grad=backward)
            outputs = empty(image)
            if backward:
                torch.autograd.grad(outputs.float().logsumexp(1).sum(), image)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):  # a layer that cannot run without content
        return weights + 4 * math.prod(shape) * 64
    return weights + int(_SCRATCH * live.most)


def learning_memory(
    network: nn.Module, channels: int, window: Sequence[int], dimensions: int, dtype: torch.dtype, batch: int
) -> int:
    """Return the bytes of the tensors that are alive at the peak of a forward and backward pass while learning.

    Weights and their gradients are counted, in float32. What the libraries take beside is not.

    Parameters
    ----------
    network: on any device.
    channels, window, dimensions, dtype, batch: see :func:`network_memory`.
    """
    shape = (batch, channels, *(window if dimensions == 3 else window[1:]))
    held = [*network.parameters(), *network.buffers()]
    learnt = sum(2 * 4 * value.numel() for value in network.parameters())
    empty = copy.deepcopy(network, {id(value): _emptied(value, dtype, learnt=True) for value in held}).train()
    live = _Live()
    try:
        with torch.enable_grad(), live:
            outputs = empty(torch.empty(shape, dtype=dtype, device="meta"))
            logits = outputs[0] if isinstance(outputs, (list, tuple)) else outputs
            torch.autograd.grad(logits.float().logsumexp(1).sum(), list(empty.parameters()), allow_unused=True)
    except (RuntimeError, NotImplementedError, TypeError, ValueError):  # a layer that cannot run without content
        return learnt
    return live.most if dtype == torch.float32 else live.most + learnt // 2


def _emptied(value: torch.Tensor, dtype: torch.dtype, learnt: bool = False) -> torch.Tensor:
    empty = torch.empty_like(value, device="meta", dtype=dtype if value.is_floating_point() else value.dtype)
    return nn.Parameter(empty, requires_grad=learnt) if isinstance(value, nn.Parameter) else empty


class _Live(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of tensors that are alive after every operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._sizes: dict[int, tuple[StorageWeakRef, int]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Leave PyTorch's compiler unloaded: half a second, and a folder, to switch off what is not on."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self._sizes = {key: known for key, known in self._sizes.items() if not known[0].expired()}  # type: ignore[no-untyped-call]
        for tensor in tree_leaves((args, out)):
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                storage = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
                self._sizes[storage.cdata] = storage, tensor.untyped_storage().nbytes()
        self.most = max(self.most, sum(size for _, size in self._sizes.values()))
        return out
