"""Dice at every level of a label tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.losses.blocks import VoxelBlock, VoxelBlocks
from softseg.losses.checked import Checked
from softseg.losses.convention import Classes
from softseg.losses.fused import Evaluated
from softseg.losses.level_weights import level_weights as checked_level_weights
from softseg.losses.loss import FusedLoss
from softseg.losses.node_array import NodeArray
from softseg.losses.softmax import Softmax
from softseg.losses.tree_layout import TreeLayout
from softseg.tree import LabelTree


class TreeDiceLoss(FusedLoss):
    """Soft Dice at every level of a tree: mean over the nodes of a cut, weighted mean over the levels (ours).

    Of a node with the probabilities ``P`` and ``Q`` (sums over its leaves) it is
    ``1 - (2 TP + s) / (|P| + |Q| + s)`` with the semimetric ``TP = (|P| + |Q| - |P - Q|) / 2`` of Wang et al. 2023:
    the l1 distance over the sum of both, which is 0 only where both agree, for soft targets too. A leaf above the
    deepest level is a node of the cuts at all levels below it. With the deepest level alone this is
    :class:`~softseg.losses.dice.DiceLoss`.

    Parameters
    ----------
    tree: the label tree.
    level_weights: one per depth, depth 1 (below the root) first, each 0 or more; only their ratios count. Or a word
        (:func:`~softseg.losses.level_weights.weights_by_word`): ``"top"``, ``"even"`` or ``"bottom"``; None: all equal.
    background: class index of the background leaf, which is left out; None: all nodes take part.
    batch: sum over the whole batch before dividing, instead of per item.
    smooth: the ``s`` above.

    Notes
    -----
    ``loss(logits, target, mask=None)``, arguments as for all losses (:mod:`softseg.losses.convention`). A voxel that is
    labelled with an inner node adds nothing to the sums of the nodes below it. A mask of weights
    multiplies what a voxel adds to every sum. Nothing labelled: a differentiable 0. The work array of a block holds all
    nodes of the tree; there is no second copy of the probabilities.

    Raises
    ------
    InputError: level weights that do not fit the tree, a background that is no leaf or the only node of a level,
        ``smooth`` not above 0.
    """

    uses_inner_nodes = True

    def __init__(
        self,
        tree: LabelTree,
        level_weights: Sequence[float] | str | None = None,
        *,
        background: int | None = None,
        batch: bool = False,
        smooth: float = 1e-5,
    ) -> None:
        super().__init__(Classes.of(tree))
        if not smooth > 0:
            raise InputError(f"{smooth:g} is not above 0", field="smooth")
        self.layout = TreeLayout.from_tree(tree)
        self.batch = batch
        self.smooth = smooth
        weights = checked_level_weights(level_weights, tree)
        self.register_buffer("row_weights", _row_weights(self.layout, weights, background), persistent=False)
        self.row_weights: Tensor

    def forward(self, logits: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the loss, a scalar; see the class."""
        return self.of(self.check(logits, target, mask))

    def evaluate(self, given: Checked, *, with_gradient: bool) -> Evaluated:
        """Return value and gradient in two passes over the voxels: the sums of every node, then the gradient."""
        predicted, layout = given.predicted, self.layout
        blocks = VoxelBlocks(given, layout.rows)
        tables = _Tables.of(layout, blocks.dtype, predicted.device)
        overlap = torch.zeros(len(predicted), layout.rows, dtype=torch.float64, device=predicted.device)
        volume = torch.zeros_like(overlap)
        for item, block_overlap, block_volume in blocks.each(lambda block: _sums(block, tables)):
            overlap[item] += block_overlap
            volume[item] += block_volume
        if self.batch:
            overlap, volume = overlap.sum(0, keepdim=True), volume.sum(0, keepdim=True)
        part = self.row_weights.to(predicted.device) / len(overlap)
        ratio = (2 * overlap + self.smooth) / (volume + self.smooth)
        value = (part * (1 - ratio)).sum().to(blocks.dtype)
        one = value.new_ones(())
        if not with_gradient:
            return Evaluated(value, None, one)
        # per voxel times the number of voxels: float16 cannot hold less
        late = predicted.dtype == torch.float16
        gain = (-2 * part / (volume + self.smooth) * blocks.voxels).to(blocks.dtype).expand(len(predicted), -1)
        price = (part * ratio / (volume + self.smooth) * blocks.voxels).to(blocks.dtype).expand(len(predicted), -1)
        gradient = blocks.empty_output()

        def work(block: VoxelBlock) -> bool:
            slopes = _slopes(block, tables, gain[block.item], price[block.item])
            block.store(slopes, block.weight if late else block.weight / blocks.voxels, gradient)
            return True

        blocks.each(work, gradient)
        return Evaluated(value, gradient, one / blocks.voxels if late else one)


def _row_weights(layout: TreeLayout, weights: Sequence[float], background: int | None) -> Tensor:
    """Return what the Dice of each row counts for, float64 ``[R]``; they sum to 1."""
    if background is not None and background not in range(layout.classes):
        raise InputError(f"background is channel {background} of {layout.classes}", field="background")
    depths = torch.tensor(layout.depths)
    leaves = torch.arange(layout.rows) < layout.classes
    rows = torch.zeros(layout.rows, dtype=torch.float64)
    for depth, weight in enumerate(weights, start=1):
        cut = (depths == depth) | (leaves & (depths < depth))
        if background is not None:
            cut[background] = False
        if weight and not cut.any():
            raise InputError(f"level {depth} has no node beside the background", field="background")
        rows += cut * (weight / max(int(cut.sum()), 1))
    return rows / sum(weights)


class _Tables(NamedTuple):
    """The tree's nodes above and below each class index of an inner node.

    Attributes
    ----------
    layout: the tree's tables.
    on_path: ``[R, T - C]``, 1 for the rows on its path, as its label has their probabilities.
    known: ``[R, T - C]``, 0 for the rows below it, which it leaves unknown.
    """

    layout: TreeLayout
    on_path: Tensor
    known: Tensor

    @classmethod
    def of(cls, layout: TreeLayout, dtype: torch.dtype, device: torch.device) -> _Tables:
        inner = slice(layout.classes, None)
        return cls(layout, layout.on_path[:, inner].to(device, dtype), (~layout.below[:, inner]).to(device, dtype))


class _Nodes(NamedTuple):
    """Probabilities of all nodes in a block: the prediction's, the target's, and where an inner node is the label.

    Attributes
    ----------
    predicted, wanted: of the prediction (its leaves are the softmax) and of the target; 0 where nothing is known.
    coarse: voxels that are labelled with an inner node, int64; None: none.
    known: ``[R, len(coarse)]``, 0 for the nodes below their labels.
    """

    predicted: NodeArray
    wanted: NodeArray
    coarse: Tensor | None
    known: Tensor | None

    @property
    def pairs(self) -> tuple[tuple[Tensor, Tensor, slice], ...]:
        """Return ``(predicted, wanted, rows)`` of the leaves and of the inner nodes."""
        leaves = len(self.predicted.leaves)
        return (
            (self.predicted.leaves, self.wanted.leaves, slice(0, leaves)),
            (self.predicted.inner, self.wanted.inner, slice(leaves, None)),
        )


def _nodes(block: VoxelBlock, tables: _Tables) -> _Nodes:
    """Return the probabilities of all nodes of the voxels of a block."""
    layout, scratch, target = tables.layout, block.scratch, block.target
    columns = block.predicted.shape[1]
    predicted = NodeArray.of("predicted nodes", layout, columns, scratch)
    wanted = NodeArray.of("wanted nodes", layout, columns, scratch)
    Softmax.of(block.predicted, scratch, predicted.leaves)
    predicted.sum_up()
    if target.is_floating_point():
        wanted.leaves.copy_(target)
        wanted.sum_up()
        return _Nodes(predicted, wanted, None, None)
    wanted.leaves.zero_().scatter_(0, target.clamp(max=layout.classes - 1)[None], 1)
    wanted.sum_up()
    coarse = (target >= layout.classes).nonzero().flatten()
    if not len(coarse):
        return _Nodes(predicted, wanted, None, None)
    inner = target[coarse] - layout.classes
    on_path, known = tables.on_path[:, inner], tables.known[:, inner]
    nodes = _Nodes(predicted, wanted, coarse, known)
    for _, values, rows in nodes.pairs:
        values[:, coarse] = on_path[rows]
    return nodes


def _sums(block: VoxelBlock, tables: _Tables) -> tuple[int, Tensor, Tensor]:
    """Return the batch item and, per node in float64, the overlap and the sum of the volumes of both sides."""
    nodes = _nodes(block, tables)
    overlap, volume = [], []
    for predicted, wanted, rows in nodes.pairs:
        if nodes.coarse is not None and nodes.known is not None:
            predicted[:, nodes.coarse] *= nodes.known[rows]
        volume.append((predicted @ block.weight).double() + wanted @ block.weight)
        overlap.append((torch.minimum(predicted, wanted, out=wanted) @ block.weight).double())
    return block.item, torch.cat(overlap), torch.cat(volume)


def _slopes(block: VoxelBlock, tables: _Tables, gain: Tensor, price: Tensor) -> Tensor:
    """Return the gradient ``[C, n]`` from the derivatives by overlap (``gain``) and volume (``price``), ``[R]``."""
    nodes = _nodes(block, tables)
    for predicted, wanted, rows in nodes.pairs:
        # the overlap is the smaller of both; where they are equal, half of its slope
        wanted.sub_(predicted).sign_().add_(1).mul_(gain[rows, None] / 2).add_(price[rows, None])
        if nodes.coarse is not None and nodes.known is not None:
            wanted[:, nodes.coarse] *= nodes.known[rows]
    nodes.wanted.push_down()
    probabilities = nodes.predicted.leaves
    slopes = nodes.wanted.leaves.mul_(probabilities)
    return slopes.addcmul_(probabilities, slopes.sum(0), value=-1)
