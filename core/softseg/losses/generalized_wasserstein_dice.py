"""Generalised Wasserstein Dice loss: a Dice in which a wrong answer counts by its distance along the tree."""

from __future__ import annotations

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlock, VoxelBlocks
from softseg.losses.checked import Checked
from softseg.losses.convention import Classes
from softseg.losses.fused import Evaluated
from softseg.losses.loss import FusedLoss
from softseg.losses.softmax import Softmax
from softseg.tree import LabelTree


class GeneralizedWassersteinDiceLoss(FusedLoss):
    """Generalised Wasserstein Dice (Fidon et al., BrainLes 2017), with the tree's leaf distances as ground distance.

    With ``W_i = sum over k of p_k M[k, g_i]`` the cost of a voxel labelled ``g_i``, per image
    ``1 - (2 TP + s) / (2 TP + E + s)``, where ``TP`` is the sum of ``1 - W_i`` over the voxels that are not background
    and ``E`` the sum of ``W_i`` over all; mean over the images. Values and gradients are those of
    ``monai.losses.GeneralizedWassersteinDiceLoss`` (with its default weighting); it is evaluated in blocks of voxels,
    without a distance for every voxel and class beside the probabilities.

    Parameters
    ----------
    tree: the label tree; ``M`` is its matrix of leaf distances divided by the largest one, as in the authors' code.
    background: leaf index whose voxels add to ``E`` alone, as in the paper; None: there is none (ours, for
        positive-only labels).
    smooth: the ``s`` above.

    Notes
    -----
    ``loss(logits, target, mask=None)``, arguments as for all losses (:mod:`softseg.losses.convention`), but leaf labels
    only: soft targets and labels of inner nodes are an error, for the
    published cost of a voxel knows one leaf. What MONAI's form lacks is ours: unlabelled voxels (and those labelled
    with the root) add to no sum, and a mask of weights multiplies what a voxel adds to every sum. An image without a
    labelled voxel adds 0 to the mean over images; nothing labelled: a differentiable 0.
    """

    def __init__(self, tree: LabelTree, background: int | None = None, *, smooth: float = 1e-5) -> None:
        super().__init__(Classes.of(tree))
        if not smooth > 0:
            raise InputError(f"{smooth:g} is not above 0", field="smooth")
        leaves = len(tree.leaves)
        if leaves < 2:
            raise InputError(f"the tree has {leaves} leaf; a loss needs at least two classes")
        if background is not None and not 0 <= background < leaves:
            raise InputError(f"background is channel {background} of {leaves}", field="background")
        self.background = background
        self.smooth = smooth
        self._distances = torch.tensor(tree.distance_matrix(normalize=True))
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        return self.of(self.check(logits, target, mask))

    def own(self, given: Checked) -> Checked:
        """Return the arguments.

        Raises
        ------
        InputError: a soft target, or a label of an inner node.
        """
        if given.soft:
            raise InputError(
                "generalized-wasserstein-dice needs one label per voxel, got soft targets",
                field="target",
                hint="set targets: crisp, or use tree-wasserstein, which is exact for soft targets",
            )
        inner = given.inner_labels()
        if inner is not None and bool(inner.any()):
            raise InputError(
                "generalized-wasserstein-dice needs leaf labels, got a label of an inner node of the tree",
                field="target",
                hint="use tree-wasserstein, which takes labels of inner nodes",
            )
        return given

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient: one pass over the voxels for sums and slopes, then a factor for each voxel."""
        predicted = given.predicted
        batch, classes = predicted.shape[:2]
        blocks = VoxelBlocks(given, classes)
        dtype, device = blocks.dtype, predicted.device
        distances = self._table(device, dtype)
        gradient = blocks.empty_output() if with_gradient else None

        def work(block: VoxelBlock) -> tuple[int, Tensor]:
            cost = _cost(block, distances, gradient)
            foreground = block.weight if self.background is None else block.weight * (block.target != self.background)
            hit, error = ((1 - cost) * foreground).sum(), (cost * block.weight).sum()
            return block.item, torch.stack([hit, error]).double()

        sums = torch.zeros(batch, 2, dtype=torch.float64, device=device)
        for item, part in blocks.each(work, gradient):
            sums[item] += part
        above = 2 * sums[:, 0] + self.smooth
        below = above + sums[:, 1]
        value = (1 - above / below).mean().to(dtype)
        one = torch.ones((), dtype=dtype, device=device)
        if gradient is None:
            return Evaluated(value, None, one)
        # by the cost of a voxel, times the number of voxels where float16 cannot hold less
        late = predicted.dtype == torch.float16
        error = above / below**2 * ((blocks.voxels if late else 1) / batch)
        hit = 2 / below * ((blocks.voxels if late else 1) / batch) - 2 * error
        for item in range(batch):
            foreground = torch.ones_like(blocks.target[item, 0], dtype=torch.float64)
            if self.background is not None:
                foreground = (blocks.target[item, 0] != self.background).double()
            gradient[item].mul_((error[item] + hit[item] * foreground).to(dtype).to(gradient.dtype))
        return Evaluated(value, gradient, one / blocks.voxels if late else one)

    def _table(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (device, dtype)
        if key not in self._tables:
            self._tables[key] = self._distances.to(device, dtype)
        return self._tables[key]


def _cost(block: VoxelBlock, distances: Tensor, gradient: Tensor | None) -> Tensor:
    """Return ``W_i`` ``[n]``; write its derivative by the logits, times the voxel's weight, to ``gradient``."""
    probabilities = Softmax.of(block.predicted, block.scratch).probabilities
    slopes = block.scratch.array("slopes", *probabilities.shape)
    torch.index_select(distances, 1, block.target, out=slopes).mul_(probabilities)
    cost = slopes.sum(0)
    if gradient is not None:
        block.store(slopes.addcmul_(probabilities, cost, value=-1), block.weight, gradient)
    return cost
