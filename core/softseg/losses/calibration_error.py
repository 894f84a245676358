"""Average calibration error as a loss, at any level of the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

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


class CalibrationErrorLoss(FusedLoss):
    """Marginal L1 average calibration error with hard bins, mL1-ACE (Barfoot et al., MICCAI 2024, arXiv 2403.06759).

    For each image and class, voxels are sorted by the predicted probability into bins of equal width; the loss is the
    mean over the occupied bins of ``|mean probability - mean of the target|``, then over classes and images. Which bin
    a voxel is in has no derivative; the mean probability in a bin has. As in the authors' code a class that is absent
    from an image adds 0 to the mean over classes. It is meant as an addition to another loss: alone it does not tell
    where anything is.

    Parameters
    ----------
    tree: the label tree.
    bins: number of bins; the paper's 20.
    levels: ``"leaves"``: the classes, as in the paper; ``"all"`` or a list of levels (1 below the root): the nodes of
        the cuts there, whose probabilities are sums, mean over the levels (ours).
    on: what the first argument is: ``"logits"`` (softmax is applied here) or ``"probabilities"``.

    Notes
    -----
    ``loss(logits, target, mask=None)``, arguments as for all losses
    (:mod:`softseg.losses.convention`); soft targets count with their probabilities. A voxel
    labelled with an inner node takes part at the levels where that node, or one above it, is a node of the cut. Images
    without a labelled voxel take no part; nothing labelled: a differentiable 0.

    Raises
    ------
    InputError: fewer than 2 bins, or no such level.
    """

    def __init__(
        self,
        tree: LabelTree,
        bins: int = 20,
        levels: Literal["leaves", "all"] | Sequence[int] = "leaves",
        *,
        on: Literal["logits", "probabilities"] = "logits",
    ) -> None:
        super().__init__(Classes.of(tree))
        if on not in ("logits", "probabilities"):
            raise InputError(f"{on!r} is not known, expected 'logits' or 'probabilities'", field="on")
        if isinstance(bins, bool) or not isinstance(bins, int) or bins < 2:
            raise InputError(f"{bins!r} is not a whole number of at least 2", field="bins")
        self.on: Literal["logits", "probabilities"] = on
        self.bins = bins
        self._cuts = [_LevelCut.of(tree, level) for level in _levels(tree, levels)]

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        return self.of(self.check(logits, target, mask))

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient in two passes over the voxels: the bins' sums, then the gradient."""
        predicted = given.predicted
        batch, classes = predicted.shape[:2]
        cuts = [cut.to(predicted) for cut in self._cuts]
        blocks = VoxelBlocks(given, max(classes, *(len(cut.member) for cut in cuts)))
        device, dtype = predicted.device, blocks.dtype
        sums = [_Sums.zeros(batch, len(cut.member), self.bins, device) for cut in cuts]
        for item, parts in blocks.each(lambda block: self._summed(block, cuts)):
            for total, part in zip(sums, parts, strict=True):
                total.add(item, part)
        judged = [total.judged() for total in sums]
        value = torch.stack([error for error, _ in judged]).mean().to(dtype)
        one = torch.ones((), dtype=dtype, device=device)
        if not with_gradient:
            return Evaluated(value, None, one)
        late = predicted.dtype == torch.float16  # which cannot hold what one voxel of many adds
        factor = blocks.voxels / len(judged)
        slopes = [(slope * factor).to(dtype) for _, slope in judged]
        gradient = blocks.empty_output()

        def work(block: VoxelBlock) -> bool:
            found = self._slopes(block, cuts, slopes)
            block.store(found, block.weight if late else block.weight / blocks.voxels, gradient)
            return True

        blocks.each(work, gradient)
        return Evaluated(value, gradient, one / blocks.voxels if late else one)

    def _probabilities(self, block: VoxelBlock) -> Tensor:
        """Return the leaves' probabilities ``[C, n]``."""
        return (
            block.predicted if self.on == "probabilities" else Softmax.of(block.predicted, block.scratch).probabilities
        )

    def _places(self, probabilities: Tensor) -> Tensor:
        """Return for probabilities ``[K, n]`` their bins, counted through all nodes: int64 in ``0 .. K * bins - 1``."""
        places = (probabilities * self.bins).long().clamp_(0, self.bins - 1)
        return places.add_(torch.arange(len(probabilities), device=probabilities.device)[:, None] * self.bins)

    def _summed(self, block: VoxelBlock, cuts: Sequence[_LevelCut]) -> tuple[int, list[tuple[Tensor, Tensor, Tensor]]]:
        """Return the batch item, and per cut weight, predicted and true probabilities in each bin ``[K * bins]``."""
        leaves = self._probabilities(block)
        found = []
        for cut in cuts:
            probabilities, weight = cut.sums(leaves), block.weight * cut.known(block.target)
            places = self._places(probabilities)
            size = len(probabilities) * self.bins
            sums = [torch.zeros(size, dtype=torch.float64, device=probabilities.device) for _ in range(3)]
            flat = places.view(-1)
            sums[0].index_add_(0, flat, weight.double().repeat(len(probabilities)))
            sums[1].index_add_(0, flat, (probabilities * weight).double().view(-1))
            if block.target.is_floating_point():
                sums[2].index_add_(0, flat, (cut.sums(block.target) * weight).double().view(-1))
            else:
                position = cut.position[block.target].clamp(min=0)
                sums[2].index_add_(0, places.gather(0, position[None])[0], weight.double())
            found.append((sums[0], sums[1], sums[2]))
        return block.item, found

    def _slopes(self, block: VoxelBlock, cuts: Sequence[_LevelCut], slopes: Sequence[Tensor]) -> Tensor:
        """Return the gradient ``[C, n]`` from the derivatives by the probabilities in each bin."""
        leaves = self._probabilities(block)
        total = block.scratch.array("slopes", *leaves.shape).zero_()
        for cut, slope in zip(cuts, slopes, strict=True):
            own = slope[block.item].reshape(-1)[self._places(cut.sums(leaves))] * cut.known(block.target)
            total += cut.spread(own)
        if self.on == "logits":
            total.mul_(leaves)
            total.addcmul_(leaves, total.sum(0), value=-1)
        return total


@dataclass(frozen=True)
class _LevelCut:
    """A cut as tensors.

    Attributes
    ----------
    member: ``[K, C]``, 1 where a leaf lies under a node.
    position: ``[T]``, the node at or above each class index; -1 for what lies above the cut.
    leaves: whether the nodes are the leaves.
    """

    member: Tensor
    position: Tensor
    leaves: bool

    @staticmethod
    def of(tree: LabelTree, level: int) -> _LevelCut:
        cut = tree.cut_at(level)
        position = torch.full((len(tree.class_nodes),), -1)
        for number, node in enumerate(cut.nodes):
            for below in tree.branch(node.id):
                position[tree.class_index(below.id)] = number
        return _LevelCut(torch.from_numpy(cut.membership()).float(), position, len(cut.nodes) == len(tree.leaves))

    def to(self, like: Tensor) -> _LevelCut:
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        return _LevelCut(self.member.to(like.device, dtype), self.position.to(like.device), self.leaves)

    def sums(self, probabilities: Tensor) -> Tensor:
        return probabilities if self.leaves else self.member @ probabilities

    def spread(self, slopes: Tensor) -> Tensor:
        return slopes if self.leaves else self.member.t() @ slopes

    def known(self, target: Tensor) -> Tensor:
        """Return ``[n]``: 1 where the target is labelled at this cut."""
        if target.is_floating_point():
            return self.member.new_ones(target.shape[1])
        return (self.position[target] >= 0).to(self.member.dtype)


class _Sums(NamedTuple):
    """Weight, predicted probabilities and true probabilities in every bin, ``[B, K, bins]`` in float64."""

    weight: Tensor
    predicted: Tensor
    truth: Tensor

    @staticmethod
    def zeros(batch: int, nodes: int, bins: int, device: torch.device) -> _Sums:
        return _Sums(*(torch.zeros(batch, nodes, bins, dtype=torch.float64, device=device) for _ in range(3)))

    def add(self, item: int, part: tuple[Tensor, Tensor, Tensor]) -> None:
        for total, values in zip(self, part, strict=True):
            total[item] += values.view(total.shape[1:])

    def judged(self) -> tuple[Tensor, Tensor]:
        """Return the error, a scalar, and its derivative by the predicted probability of a voxel in each bin."""
        occupied = self.weight > 0
        safe = torch.where(occupied, self.weight, torch.ones_like(self.weight))
        gap = (self.predicted - self.truth) / safe
        probability = 1 / occupied.sum(-1, keepdim=True).clamp(min=1).double()
        probability = probability * (self.truth.sum(-1, keepdim=True) > 0) / gap.shape[1]
        probability = probability / occupied.flatten(1).any(1).sum().clamp(min=1).double()
        return (gap.abs() * probability).sum(), gap.sign() / safe * probability


def _levels(tree: LabelTree, levels: Literal["leaves", "all"] | Sequence[int]) -> list[int]:
    if levels == "leaves":
        return [tree.depth]
    if levels == "all":
        return list(range(1, tree.depth + 1))
    if isinstance(levels, str) or not levels or not all(type(n) is int and 1 <= n <= tree.depth for n in levels):
        raise InputError(f"expected 'leaves', 'all' or levels from 1 to {tree.depth}, got {levels!r}", field="levels")
    return sorted({int(level) for level in levels})
