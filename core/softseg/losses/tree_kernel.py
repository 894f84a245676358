"""The one kernel of all tree losses: value and gradient of a block of voxels.

Everything is a function of the node probabilities ``P_v``. With ``a_v = dL/dP_v`` and ``A_k`` the sum of ``a_v`` over
the nodes on the path of leaf ``k``, the gradient with respect to the logits is ``p_k (A_k - sum_j p_j A_j)``: one pass
up the tree (sums of branches) and one down (sums along paths), never a leaf-by-leaf matrix.

The likelihood of leaves needs neither: its value is linear in the logits and their logsumexp, its gradient is
``p_k sum_j q_j - q_k``. For inner nodes ``ln P_v`` is the logarithm of a sum of positive numbers, as exact as a
logsumexp while ``P_v`` is a normal number; the few voxels where a needed ``P_v`` is smaller are computed by logsumexp
over the leaves' logits (:mod:`softseg.losses.tiny_probabilities`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from softseg.losses.blocks import Scratch, VoxelBlock
from softseg.losses.node_array import NodeArray
from softseg.losses.outside import outside, outside_adjoint
from softseg.losses.softmax import Softmax
from softseg.losses.tiny_probabilities import NodeLikelihood, exact_likelihood
from softseg.losses.tree_terms import TreeTables


@dataclass
class Parts:
    """Terms of ``n`` voxels, as far as they depend on the kind of target.

    Attributes
    ----------
    loss: ``[n]``, the likelihood of leaves and what else is known without the slopes.
    leaf_weight: ``[n]`` or a number, the sum of the likelihood weights of the voxel's leaves.
    slopes: of the transport term; without one those of inner nodes are 0 and those of leaves undefined; None where
        nothing but the likelihood of leaves is there.
    predicted: probabilities of the nodes; their leaves are the softmax.
    transport_is_mean: whether the transport is still to be added, as ``sum_v a_v P_v``.
    nodes: likelihood of inner nodes and of what lies outside nodes; None: no such terms.
    """

    loss: Tensor
    leaf_weight: Tensor
    slopes: NodeArray | None
    predicted: NodeArray
    transport_is_mean: bool
    nodes: NodeLikelihood | None


def labelled_block(block: VoxelBlock, tables: TreeTables) -> tuple[Tensor, Tensor]:
    """Return loss ``[n]`` and gradient ``[C, n]`` for class indices of leaves or inner nodes.

    Parameters
    ----------
    block: labelled voxels; the gradient lies in its work arrays.
    tables: the loss.
    """
    logits, labels, scratch = block.predicted, block.target, block.scratch
    predicted = NodeArray.of("predicted", tables.layout, len(labels), scratch)
    softmax = Softmax.of(logits, scratch, predicted.leaves)
    classes = tables.layout.classes
    coarse = int(labels.max()) >= classes
    leaves = (labels.clamp(max=classes - 1) if coarse else labels)[None]
    leaf_weight = tables.labelled_leaf[labels]
    loss = leaf_weight * (softmax.log_sum - softmax.scores.gather(0, leaves)[0])

    nodes = None
    if coarse or tables.labelled_inner_of_leaves or tables.has_complement:
        unlikely = tables.beside[:, labels] if tables.has_complement else None
        nodes = _node_likelihood(predicted, tables, scratch, unlikely)
        nodes.rows, nodes.likely = tables.labelled_rows[:, labels], tables.labelled_inner[:, labels]
    slopes = None
    if tables.has_transport:
        slopes = _labelled_transport(labels, leaves, tables, scratch)
        if coarse:
            _silence_below(slopes, labels, tables)
        loss += tables.path_transport[labels]
    elif nodes is not None:
        slopes = NodeArray.of("slopes", tables.layout, len(labels), scratch)
        slopes.inner.zero_()
    parts = Parts(loss, leaf_weight, slopes, predicted, tables.has_transport, nodes)
    gradient = _gradient(logits, softmax, parts, tables, scratch)
    return parts.loss, gradient.scatter_add_(0, leaves, -leaf_weight[None])


def soft_block(block: VoxelBlock, tables: TreeTables) -> tuple[Tensor, Tensor]:
    """Return loss ``[n]`` and gradient ``[C, n]`` for soft targets.

    Parameters
    ----------
    block: labelled voxels; the gradient lies in its work arrays.
    tables: the loss.
    """
    logits, target, scratch = block.predicted, block.target, block.scratch
    size = target.shape
    predicted = NodeArray.of("predicted", tables.layout, size[1], scratch)
    softmax = Softmax.of(logits, scratch, predicted.leaves)
    likely, total, factor = target, block.total, tables.same_likelihood
    if factor is None:
        likely, factor = torch.mul(target, tables.leaf_likelihood[:, None], out=scratch.array("likely", *size)), 1.0
        total = likely.sum(0)
    assert total is not None  # noqa: S101 - soft targets have sums
    leaf_weight = total * factor
    loss = leaf_weight * softmax.log_sum
    if factor:
        loss.sub_(softmax.scores.mul_(likely).sum(0), alpha=factor)

    nodes = None
    if tables.soft_inner or tables.has_complement:
        unlikely = None
        if tables.has_complement:
            unlikely = outside(target, tables, scratch).mul_(tables.complement[:, None])
        nodes = _node_likelihood(predicted, tables, scratch, unlikely)
        wanted = NodeArray.of("wanted", tables.layout, size[1], scratch)
        wanted.leaves.copy_(target)
        wanted.sum_up()
        nodes.likely = wanted.inner.mul_(tables.inner_likelihood[:, None])
    slopes = None
    if tables.has_transport:
        slopes = _soft_transport(softmax.probabilities, target, loss, tables, scratch)
    elif nodes is not None:
        slopes = NodeArray.of("slopes", tables.layout, size[1], scratch)
        slopes.inner.zero_()
    parts = Parts(loss, leaf_weight, slopes, predicted, False, nodes)
    gradient = _gradient(logits, softmax, parts, tables, scratch)
    return parts.loss, gradient.sub_(likely, alpha=factor) if factor else gradient


def _gradient(logits: Tensor, softmax: Softmax, parts: Parts, tables: TreeTables, scratch: Scratch) -> Tensor:
    """Return the gradient ``[C, n]`` without the targets' part of the leaves' likelihood; complete the loss."""
    slopes, nodes, probabilities = parts.slopes, parts.nodes, softmax.probabilities
    if slopes is None:
        return torch.mul(probabilities, parts.leaf_weight, out=scratch.array("gradient", *probabilities.shape))
    exact = None if nodes is None else exact_likelihood(logits, nodes, tables.layout)
    if nodes is not None:
        parts.loss -= _add_likelihood(nodes, slopes, scratch)
    gradient = _products(slopes, parts, tables)
    if nodes is not None and nodes.outside is not None and nodes.unlikely is not None:
        logs = torch.log(nodes.outside, out=scratch.array("logs", *nodes.outside.shape))
        parts.loss -= logs.mul_(nodes.unlikely).sum(0)
        if parts.transport_is_mean:
            parts.loss += nodes.unlikely.sum(0)
        gradient -= outside_adjoint(nodes.unlikely.div_(nodes.outside), tables, scratch).mul_(probabilities)

    mean = gradient.sum(0)
    if parts.transport_is_mean:
        parts.loss += mean
        if nodes is not None:
            parts.loss += nodes.likely.sum(0)
    gradient.addcmul_(probabilities, mean - parts.leaf_weight, value=-1)
    if exact is not None:
        columns, loss, slope = exact
        parts.loss[columns] += loss
        gradient[:, columns] += slope
    return gradient


def _products(slopes: NodeArray, parts: Parts, tables: TreeTables) -> Tensor:
    """Return the leaves' probabilities times the sums of the slopes on their paths, in the slopes' own memory."""
    if tables.has_transport:
        slopes.push_down()
        return slopes.leaves.mul_(parts.predicted.leaves)
    slopes.push_products_down(parts.predicted)
    return slopes.leaves


def _add_likelihood(nodes: NodeLikelihood, slopes: NodeArray, scratch: Scratch) -> Tensor:
    """Add the inner nodes' likelihood to the slopes and return ``sum_v l_v ln P_v``, ``[n]``."""
    needed = nodes.needed
    if nodes.rows is None:
        slopes.inner.addcdiv_(nodes.likely, needed, value=-1)
    else:
        slopes.inner.scatter_add_(0, nodes.rows, (nodes.likely / needed).neg_())
    return torch.log(needed, out=scratch.array("inner logs", *needed.shape)).mul_(nodes.likely).sum(0)


def _node_likelihood(
    predicted: NodeArray, tables: TreeTables, scratch: Scratch, unlikely: Tensor | None
) -> NodeLikelihood:
    """Return the probabilities of the inner nodes and of what lies outside every node; weights are still missing."""
    predicted.sum_up()
    around = None if unlikely is None else outside(predicted.leaves, tables, scratch)
    return NodeLikelihood(predicted.inner, None, predicted.inner, around, unlikely)


def _labelled_transport(labels: Tensor, leaves: Tensor, tables: TreeTables, scratch: Scratch) -> NodeArray:
    """Return the slopes of the transport: the weight of a node, negative on the path of the label."""
    slopes = NodeArray.of("slopes", tables.layout, len(labels), scratch)
    slopes.leaves.copy_(tables.leaf_transport[:, None].expand_as(slopes.leaves))
    slopes.inner.copy_(tables.inner_transport[:, None].expand_as(slopes.inner))
    own = torch.where(labels < tables.layout.classes, tables.leaf_transport[leaves[0]], 0.0)
    slopes.leaves.scatter_add_(0, leaves, own[None].mul(-2))
    slopes.inner.scatter_add_(0, tables.path_rows[:, labels], tables.path_weights[:, labels].mul_(-2))
    return slopes


def _silence_below(slopes: NodeArray, labels: Tensor, tables: TreeTables) -> None:
    """Take the nodes below labelled inner nodes out of the slopes, by what their leaves would get from them."""
    classes = tables.layout.classes
    coarse = (labels >= classes).nonzero().flatten()
    moved = tables.transport_below.index_select(1, labels[coarse] - classes)
    slopes.leaves.scatter_add_(1, coarse.expand_as(moved), moved.neg_())


def _soft_transport(
    probabilities: Tensor, target: Tensor, loss: Tensor, tables: TreeTables, scratch: Scratch
) -> NodeArray:
    """Return the slopes of the transport and add it to the loss; sums over a tree are linear, so one sum up is enough.

    Where ``P_v`` equals ``Q_v`` the slope is 0.
    """
    slopes = NodeArray.of("slopes", tables.layout, probabilities.shape[1], scratch)
    torch.sub(probabilities, target, out=slopes.leaves)
    slopes.sum_up()
    for part, weights in ((slopes.leaves, tables.leaf_transport), (slopes.inner, tables.inner_transport)):
        loss += weights @ torch.abs(part, out=scratch.array("distances", *part.shape))
        part.sign_().mul_(weights[:, None])
    return slopes
