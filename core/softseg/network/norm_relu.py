"""The last activation of SoftSeg."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import torch
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.network.scope import Scope


class NormReLU(nn.Module):
    """Normalised ReLU, the last activation of SoftSeg (Gros et al., Medical Image Analysis 71, 2021).

    ``relu(x) / max(relu(x))``; with several channels each voxel is then divided by its sum over the channels. What is
    zero everywhere stays zero. With several channels the division by the sum cancels the maximum, so the scope matters
    for one channel only.

    Parameters
    ----------
    scope: over what the maximum is taken. ``"sample"``: channels and space of one image. ``"batch"``: the whole batch,
        as in ivadomed; there the output of one image depends on the others. ``"volume"``: the tensor is the raw output
        for one whole volume, aggregated over all windows, and is divided once.
    over_all: applied to the maximum; makes it that of a batch of which this process has a part only.
    """

    def __init__(self, scope: Scope = "sample", over_all: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        if scope not in get_args(Scope):
            raise InputError(f"scope must be one of {', '.join(get_args(Scope))}; got {scope!r}", field="scope")
        self.scope: Scope = scope
        self._over_all = over_all

    def forward(self, logits: Tensor) -> Tensor:
        """Return values in 0..1, float32 (float64 for float64), of the shape ``[B, C, *spatial]`` of ``logits``."""
        positive = torch.relu(logits if logits.dtype == torch.float64 else logits.float())
        over = tuple(range(1 if self.scope == "sample" else 0, positive.ndim))
        peak = positive.amax(dim=over, keepdim=True)
        if self._over_all is not None and self.scope == "batch":
            peak = self._over_all(peak)
        normalised: Tensor = _divide(positive, peak)
        if normalised.shape[1] == 1:
            return normalised
        return _divide(normalised, normalised.sum(dim=1, keepdim=True))

    def extra_repr(self) -> str:
        """Return the scope, for ``print(network)``."""
        return f"scope={self.scope!r}"


def _divide(values: Tensor, by: Tensor) -> Tensor:
    return torch.div(values, torch.where(by > 0, by, torch.ones_like(by)))
