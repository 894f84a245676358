"""Dice loss for crisp and soft targets."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlock, VoxelBlocks
from softseg.losses.checked import Checked, leaf_channels
from softseg.losses.convention import Classes
from softseg.losses.fused import Evaluated
from softseg.losses.loss import FusedLoss
from softseg.losses.softmax import Softmax
from softseg.tree import LabelTree


class DiceLoss(FusedLoss):
    """MONAI's Dice loss; for soft targets its semimetric form, whose minimum is at the target (Wang et al. 2023).

    ``1 - (2 TP + s) / (|p| + |g| + s)`` per class, mean over classes, with ``TP = sum of p g`` for integer targets and
    ``TP = (|p| + |g| - |p - g|) / 2`` for soft ones. The values are those of ``monai.losses.DiceLoss`` (with
    ``soft_label=True`` for soft targets); it is evaluated in blocks of voxels, so that a hundred classes fit.

    Parameters
    ----------
    on: what the first argument is: ``"logits"`` (softmax is applied here, to one channel the sigmoid) or
        ``"probabilities"``.
    background: channel that is left out (the background leaf); None: all channels take part.
    batch: sum over the whole batch before dividing, instead of per item.
    smooth: the ``s`` above.
    tree: the label tree, where labels may name inner nodes; None: they name leaves alone.

    Notes
    -----
    ``loss(logits, target, mask=None)``, arguments as for all losses
    (:mod:`softseg.losses.convention`). Dice compares leaves: voxels labelled with an inner
    node are left out like unlabelled ones. A mask of weights multiplies what a voxel adds to every sum. Nothing
    labelled: a differentiable 0.

    Examples
    --------
    >>> import torch
    >>> from softseg.losses import DiceLoss
    >>> soft_label = torch.tensor([[[0.0, 0.3, 1.0]]])
    >>> DiceLoss(on="probabilities")(soft_label, soft_label).item()
    0.0
    """

    def __init__(
        self,
        *,
        on: Literal["logits", "probabilities"] = "logits",
        background: int | None = None,
        batch: bool = False,
        smooth: float = 1e-5,
        tree: LabelTree | None = None,
    ) -> None:
        super().__init__(Classes.of(tree))
        if on not in ("logits", "probabilities"):
            raise InputError(f"{on!r} is not known, expected 'logits' or 'probabilities'", field="on")
        if not smooth > 0:
            raise InputError(f"{smooth:g} is not above 0", field="smooth")
        self.on: Literal["logits", "probabilities"] = on
        self.background = background
        self.batch = batch
        self.smooth = smooth

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        return self.of(self.check(logits, target, mask))

    def own(self, given: Checked) -> Checked:
        """Return the arguments without voxels that are labelled with an inner node."""
        return given.leaves_only()

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient in two passes over the voxels: the sums of every class, then the gradient."""
        predicted = given.predicted
        batch, classes = predicted.shape[:2]
        blocks = VoxelBlocks(given, classes)
        dtype, device = blocks.dtype, predicted.device
        overlap = torch.zeros(batch, classes, dtype=torch.float64, device=device)
        volume = torch.zeros_like(overlap)
        for item, block_overlap, block_volume in blocks.each(lambda block: _sums(block, self._probabilities(block))):
            overlap[item] += block_overlap
            volume[item] += block_volume
        if self.batch:
            overlap, volume = overlap.sum(0, keepdim=True), volume.sum(0, keepdim=True)
        part = torch.zeros(classes, dtype=torch.float64, device=device)
        part[leaf_channels(classes, self.background)] = 1
        part /= part.sum() * len(overlap)
        ratio = (2 * overlap + self.smooth) / (volume + self.smooth)
        value = (part * (1 - ratio)).sum().to(dtype)
        one = torch.ones((), dtype=dtype, device=device)
        if not with_gradient:
            return Evaluated(value, None, one)
        # per voxel times the number of voxels: float16 cannot hold less
        late = predicted.dtype == torch.float16
        gain = (-2 * part / (volume + self.smooth) * blocks.voxels).to(dtype).expand(batch, -1)
        price = (part * ratio / (volume + self.smooth) * blocks.voxels).to(dtype).expand(batch, -1)
        gradient = blocks.empty_output()

        def work(block: VoxelBlock) -> bool:
            slopes = self._slopes(block, gain[block.item], price[block.item])
            block.store(slopes, block.weight if late else block.weight / blocks.voxels, gradient)
            return True

        blocks.each(work, gradient)
        return Evaluated(value, gradient, one / blocks.voxels if late else one)

    def _probabilities(self, block: VoxelBlock) -> Tensor:
        """Return the leaves' probabilities ``[C, n]``."""
        if self.on == "probabilities":
            return block.predicted
        if len(block.predicted) == 1:
            return torch.sigmoid(block.predicted)
        return Softmax.of(block.predicted, block.scratch).probabilities

    def _slopes(self, block: VoxelBlock, gain: Tensor, price: Tensor) -> Tensor:
        """Return the gradient ``[C, n]`` from the derivatives by overlap (``gain``) and volume (``price``), ``[C]``."""
        probabilities = self._probabilities(block)
        slopes = block.scratch.array("slopes", *probabilities.shape)
        if block.target.is_floating_point():
            # overlap is the minimum of both; where they are equal, half of its slope
            torch.sub(block.target, probabilities, out=slopes).sign_().add_(1).mul_(gain[:, None] / 2).add_(
                price[:, None]
            )
        else:
            slopes.copy_(price[:, None].expand_as(slopes))
            slopes.scatter_add_(0, block.target[None], gain[block.target][None])
        if self.on == "logits":
            slopes.mul_(probabilities)
            slopes.addcmul_(probabilities, slopes if len(probabilities) == 1 else slopes.sum(0), value=-1)
        return slopes


def _sums(block: VoxelBlock, probabilities: Tensor) -> tuple[int, Tensor, Tensor]:
    """Return the batch item and, per class in float64, the overlap and the sum of the volumes of both sides."""
    volume = (probabilities @ block.weight).double()
    if block.target.is_floating_point():
        volume += block.target @ block.weight
        overlap = torch.minimum(probabilities, block.target, out=block.scratch.array("slopes", *probabilities.shape))
        return block.item, (overlap @ block.weight).double(), volume
    hit = probabilities.gather(0, block.target[None])[0] * block.weight
    overlap = torch.zeros_like(volume).index_add_(0, block.target, hit.double())
    return block.item, overlap, volume.index_add_(0, block.target, block.weight.double())
