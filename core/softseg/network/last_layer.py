"""The last layer of a network, found by watching it work: what enters it are the features of each voxel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from softseg.errors import InputError

_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def last_layer(network: nn.Module, batch: Tensor, out_channels: int) -> str:
    """Return the name of the convolution that runs last of those that put out one map per channel.

    Networks from MONAI by whatever name end in one; only MONAI's UNet with residual units adds something to it.

    Parameters
    ----------
    network: on the batch's device, in evaluation mode.
    batch: windows ``[B, channels, *spatial]``.
    out_channels: of the network.

    Raises
    ------
    InputError: there is no such layer, or maps of another size enter it.
    """
    found: list[tuple[str, Tensor]] = []

    def watch(name: str, layer: nn.Module) -> torch.utils.hooks.RemovableHandle:
        def ran(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del module
            found.append((name, inputs[0]))

        return layer.register_forward_pre_hook(ran)

    handles = [
        watch(name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, _CONVOLUTIONS) and layer.out_channels == out_channels
    ]
    try:
        with torch.inference_mode():
            network(batch)
    finally:
        for handle in handles:
            handle.remove()
    if not found or found[-1][1].shape[2:] != batch.shape[2:]:
        raise InputError(
            f"{type(network).__name__} ends with no convolution whose input has a value for every voxel",
            field="score",
            hint="choose a score that needs no features",
        )
    return found[-1][0]
