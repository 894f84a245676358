"""ODIN: a temperature, and an image moved a little towards what the network believes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from softseg.network.heads import Head
from softseg.network.outlier_scores.base import OutlierScore, Voxels, number, only


class Odin(OutlierScore):
    """ODIN (Liang, Li and Srikant, ICLR 2018, arXiv 1706.02690).

    The window becomes ``x + epsilon * sign(d/dx ln max softmax(z / T))``, which raises the confidence of what is known
    more than of what is not; the score is ``-ln max softmax(z / T)`` of the outputs for that window. The paper
    classifies whole images; here the gradient is that of the sum over all voxels of the window (ours). The logarithm
    orders voxels as the paper's ``max softmax`` does and keeps the digits that a temperature of 1000 leaves.

    It costs a forward and a backward pass, and another forward pass, for each window: about three times the time of a
    prediction (measured with brain-134), and the memory of a training step for one window.

    Parameters
    ----------
    head: what the outputs mean.
    temperature: ``T``; 1000, the default of the authors' public code.
    epsilon: size of the step, in units of the normalised image; 0.0014, the default of the authors' public code. 0
        leaves the image as it is.
    """

    name = "odin"
    title = "ODIN"
    needs = "gradient"

    def __init__(self, head: Head, temperature: float = 1000.0, epsilon: float = 0.0014) -> None:
        self.head, self.temperature, self.epsilon = head, temperature, epsilon

    def of(self, voxels: Voxels) -> Tensor:
        """Return the score of voxels of the changed window."""
        scaled = voxels.logits / self.temperature
        return torch.logsumexp(scaled, -1) - scaled.amax(-1)

    def perturbed(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Return windows that the network is a little surer of."""
        return moved_towards(network, batch, self.epsilon, self._confidence)

    def _confidence(self, raw: Tensor) -> Tensor:
        scaled = self.head.logits(raw.float(), 1) / self.temperature
        return (scaled.amax(1) - torch.logsumexp(scaled, 1)).sum()

    def options(self) -> dict[str, Any]:
        """See :class:`OutlierScore`."""
        return {"temperature": self.temperature, "epsilon": self.epsilon}

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> Odin:
        """See :class:`OutlierScore`; options ``temperature`` and ``epsilon``."""
        del tensors
        only(options, "temperature", "epsilon")
        temperature = number(options, "temperature", 1000.0, 0.0, strictly=True)
        return cls(head, temperature, number(options, "epsilon", 0.0014, 0.0))


def moved_towards(network: nn.Module, batch: Tensor, epsilon: float, confidence: Any) -> Tensor:
    """Return ``batch + epsilon * sign(gradient)`` of the scalar ``confidence(network(batch))``."""
    if epsilon == 0:
        return batch
    frozen = [weight for weight in network.parameters() if weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        with torch.inference_mode(False), torch.enable_grad():
            image = batch.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(confidence(network(image)), image)
    finally:
        for weight in frozen:
            weight.requires_grad_(True)
    return batch + epsilon * gradient.sign()
