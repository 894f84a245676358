"""Generalised ODIN: a head that learns how much an image belongs to the training distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from softseg.network.heads import Head
from softseg.network.outlier_scores.base import Needs, OutlierScore, Voxels, number, only
from softseg.network.outlier_scores.odin import moved_towards


class Godin(OutlierScore):
    """Generalised ODIN (Hsu, Shen, Jin and Kira, CVPR 2020, arXiv 2002.11297), for models trained with ``head: godin``.

    Such a head divides each leaf's score h by one learnt number g per voxel before the softmax
    (:class:`softseg.network.Head`); what is not known gets small h. The score is ``-max h``, or ``-g``.

    Parameters
    ----------
    head: what the outputs mean.
    part: ``"h"`` (the paper's better one) or ``"g"``.
    epsilon: size of a step that moves the window towards a larger ``max h`` (or g), as in ODIN. The paper tunes it on
        in-distribution images; 0, no step, is our default, for it costs what ODIN costs.
    """

    name = "godin"
    title = "generalised ODIN"
    heads = ("godin",)

    def __init__(self, head: Head, part: str = "h", epsilon: float = 0.0) -> None:
        self.head, self.part, self.epsilon = head, part, epsilon

    @property
    def needs(self) -> Needs:  # type: ignore[override]
        """``"gradient"`` if windows are moved."""
        return "gradient" if self.epsilon > 0 else "logits"

    def of(self, voxels: Voxels) -> Tensor:
        """See :class:`OutlierScore`."""
        return -self._belonging(voxels.raw, -1)

    def perturbed(self, network: nn.Module, batch: Tensor) -> Tensor:
        """Return windows that belong a little more to what is known."""
        return moved_towards(network, batch, self.epsilon, lambda raw: self._belonging(raw.float(), 1).sum())

    def _belonging(self, raw: Tensor, dim: int) -> Tensor:
        scores, doubt = self.head.godin_parts(raw, dim)
        return scores.amax(dim) if self.part == "h" else doubt.squeeze(dim)

    def options(self) -> dict[str, Any]:
        """See :class:`OutlierScore`."""
        return {"part": self.part, "epsilon": self.epsilon}

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> Godin:
        """See :class:`OutlierScore`; options ``part`` and ``epsilon``."""
        del tensors
        only(options, "part", "epsilon")
        part = options.get("part", "h")
        if part not in ("h", "g"):
            raise ValueError(f"part: expected h or g, got {part!r}")
        return cls(head, part, number(options, "epsilon", 0.0, 0.0))
