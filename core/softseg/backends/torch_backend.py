"""PyTorch: networks as they were trained, on CPUs and GPUs, with outlier scores, dropout and gradients."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd

from softseg.backends.base import Kind, Region
from softseg.backends.memory import network_memory
from softseg.errors import InputError
from softseg.network.architectures import memory_format
from softseg.network.heads import Head
from softseg.system import autocast
from softseg.types import FloatArray


@dataclass(frozen=True, eq=False)
class TorchBackend:
    """A PyTorch network.

    Attributes
    ----------
    network: in evaluation mode, on ``device``.
    head: what its outputs mean.
    dimensions: 2 runs slices.
    device: where it runs.
    dtype: of the convolutions; everything else is float32.
    """

    network: nn.Module
    head: Head
    dimensions: int
    device: torch.device
    dtype: torch.dtype

    @property
    def name(self) -> str:
        """Name of the library."""
        return "torch"

    def run(self, windows: Sequence[FloatArray], kind: Kind) -> list[TorchOutputs]:
        """Run the network; see :class:`~softseg.backends.Backend`."""
        with torch.inference_mode():
            return self.outputs(self.logits(self.batch(windows)), kind)

    def memory(self, channels: int, window: Sequence[int], batch: int, gradient: bool = False) -> int:
        """Return the bytes of a pass; see :func:`softseg.backends.memory.network_memory`."""
        return network_memory(self.network, channels, window, self.dimensions, self.dtype, batch, gradient)

    def batch(self, windows: Sequence[FloatArray]) -> Tensor:
        """Return windows ``[channels, k, j, i]`` as the network takes them: ``[B, channels, *spatial]``."""
        batch = torch.stack([torch.from_numpy(window) for window in windows])
        if self.dimensions == 2:
            batch = batch.squeeze(2)
        return batch.to(self.device, memory_format=memory_format(self.dimensions))

    def logits(self, batch: Tensor) -> Tensor:
        """Return raw outputs ``[B, out_channels, *spatial]`` of a batch, in the number type of the convolutions."""
        with autocast(self.dtype, self.device):
            logits: Tensor = self.network(batch)
        if logits.shape[1] != self.head.out_channels:
            raise ValueError(f"expected {self.head.out_channels} channels, got {logits.shape[1]}")
        return logits

    def outputs(self, logits: Tensor, kind: Kind) -> list[TorchOutputs]:
        """Return the result of raw outputs for each window."""
        volumes = (logits.unsqueeze(2) if self.dimensions == 2 else logits).cpu().movedim(1, -1)
        return [TorchOutputs(window, self.head, kind) for window in volumes]


@dataclass(frozen=True, eq=False)
class TorchOutputs:
    """Raw outputs of one window.

    Attributes
    ----------
    values: ``(k, j, i, out_channels)``, of any floating type, on the CPU.
    head: what they mean.
    kind: what was asked for.
    """

    values: Tensor
    head: Head
    kind: Kind

    @torch.inference_mode()
    def part(self, part: Region) -> FloatArray:
        """Return a part; see :class:`~softseg.backends.Outputs`."""
        raw = self.values[part].to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        if self.kind != "raw":
            raw = self.head.logits(raw, -1)
        found: FloatArray = (torch.softmax(raw, -1) if self.kind == "shares" else raw).numpy()
        return found


@contextlib.contextmanager
def dropout_on(network: nn.Module) -> Iterator[None]:
    """Leave the network's dropout layers on (everything else as it is) while the block runs.

    Raises
    ------
    InputError: the network has none.
    """
    layers = [m for m in network.modules() if isinstance(m, _DropoutNd) and m.p > 0 and not m.training]
    if not layers:
        raise InputError(
            "the model's network has no dropout layers", field="uncertainty", hint="use tta:N, or train with dropout"
        )
    for layer in layers:
        layer.train()
    try:
        yield
    finally:
        for layer in layers:
            layer.eval()
