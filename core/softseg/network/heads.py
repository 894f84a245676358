"""From raw network outputs to a distribution over the leaves of the tree. PyTorch is loaded where tensors come in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from softseg.errors import InputError
from softseg.network.scope import Scope

if TYPE_CHECKING:
    from torch import Tensor

HeadName = Literal["softmax", "normrelu", "godin"]
"""Names of the heads."""


LEAST_DIVISOR = 1e-3  # of the godin head: keeps probabilities and gradients finite


@dataclass(frozen=True)
class Head:
    """How many channels the network puts out and how they become probabilities of the leaves.

    Attributes
    ----------
    name: ``"softmax"``, ``"normrelu"`` (the SoftSeg recipe), or ``"godin"``: generalised ODIN (Hsu et al., CVPR 2020),
        a softmax of h / g with C channels h and one more channel, whose sigmoid is g. The paper's variant I (h is
        linear in the features), without the batch normalisation that it puts before the sigmoid (ours).
    classes: leaves of the tree, ``C``.
    background: leaf index of the background, None where the tree has none (positive-only training). With ``normrelu``,
        two leaves and a background the network has one output channel, the foreground, and background is ``1 - p``.
    """

    name: HeadName
    classes: int
    background: int | None = 0

    def __post_init__(self) -> None:
        if self.name not in get_args(HeadName):
            raise InputError(f"expected softmax, normrelu or godin, got {self.name!r}", field="head")
        if self.classes < 2:
            raise InputError(f"a head needs at least 2 leaves, the tree has {self.classes}", field="head")

    @property
    def single(self) -> bool:
        """Whether the network puts out the foreground alone."""
        return self.name == "normrelu" and self.classes == 2 and self.background is not None

    @property
    def foreground(self) -> int:
        """Leaf index of the only foreground leaf; meaningful where :attr:`single` is true."""
        return 1 - (self.background or 0)

    @property
    def out_channels(self) -> int:
        """Channels the network must put out."""
        return 1 if self.single else self.classes + (self.name == "godin")

    def godin_parts(self, raw: Tensor, dim: int) -> tuple[Tensor, Tensor]:
        """Return h of the leaves and g (0..1, one channel) of raw outputs of a godin head, channels along ``dim``."""
        import torch

        return raw.narrow(dim, 0, self.classes), torch.sigmoid(raw.narrow(dim, self.classes, 1))

    def logits(self, raw: Tensor, dim: int = 1) -> Tensor:
        """Return the logits of the leaves, ``C`` channels along ``dim``, for raw outputs of a softmax head.

        Raises
        ------
        ValueError: another number of channels.
        """
        if raw.shape[dim] != self.out_channels:
            raise ValueError(f"expected {self.out_channels} channels, got {raw.shape[dim]}")
        if self.name != "godin":
            return raw
        scores, doubt = self.godin_parts(raw, dim)
        return scores / doubt.clamp_min(LEAST_DIVISOR)

    def raw_for(self, logits: Tensor) -> Tensor:
        """Return raw outputs ``[out_channels]`` of a softmax head with these logits ``[C]`` (godin: where g is 1/2)."""
        import torch

        return torch.cat([logits / 2, logits.new_zeros(1)]) if self.name == "godin" else logits

    def probabilities(
        self, logits: Tensor, scope: Scope = "sample", over_all: Callable[[Tensor], Tensor] | None = None
    ) -> Tensor:
        """Return leaf probabilities ``[B, C, *spatial]`` in 0..1 for raw outputs ``[B, out_channels, *spatial]``.

        Parameters
        ----------
        logits: raw outputs, or for ``normrelu`` their ReLU aggregated over windows (with ``scope="volume"``).
        scope, over_all: see :class:`~softseg.network.NormReLU`; softmax has neither.

        Softmax probabilities sum to 1; ``normrelu`` probabilities sum to 1 or, where no leaf is active, to 0.
        """
        import torch

        from softseg.network.norm_relu import NormReLU

        if logits.shape[1] != self.out_channels:
            raise ValueError(f"expected {self.out_channels} channels, got {logits.shape[1]}")
        if self.name != "normrelu":
            return torch.softmax(self.logits(logits if logits.dtype == torch.float64 else logits.float()), dim=1)
        probabilities: Tensor = NormReLU(scope, over_all)(logits)
        if not self.single:
            return probabilities
        return torch.cat(
            [1 - probabilities, probabilities] if self.background == 0 else [probabilities, 1 - probabilities], dim=1
        )
