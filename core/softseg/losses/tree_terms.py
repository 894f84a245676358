"""What a tree loss adds up: weights of its terms per node, which add and scale.

With ``P_v`` the predicted and ``Q_v`` the target's probability of node ``v`` (the sum over the leaves below it), every
tree loss of this package is, per voxel,

``- sum_v l_v Q_v ln P_v - sum_v c_v (1 - Q_v) ln(1 - P_v) + sum_v w_v |P_v - Q_v|``

with non-negative weights ``l`` (likelihood), ``c`` (complement) and ``w`` (transport) of the nodes but the root. A sum
of such losses is again of this form: a compound costs one pass over the voxels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from softseg.losses.tree_layout import TreeLayout


@dataclass(frozen=True)
class TreeTerms:
    """Weights of the terms per row of a :class:`TreeLayout` (float64).

    Attributes
    ----------
    layout: the tree's tables.
    likelihood: ``[R]``, for soft targets.
    labelled_likelihood: ``[R, T]``, for integer targets: row ``v`` of a voxel labelled with class index ``t``.
    complement: ``[R]``, for both kinds of target.
    transport: ``[R]``, for both kinds of target.
    """

    layout: TreeLayout
    likelihood: Tensor
    labelled_likelihood: Tensor
    complement: Tensor
    transport: Tensor
    _tables: dict[tuple[torch.device, torch.dtype], TreeTables] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def zero(cls, layout: TreeLayout) -> TreeTerms:
        """Return the terms of a loss that is 0."""
        rows, targets = layout.rows, len(layout.targets)
        empty = torch.zeros(rows, dtype=torch.float64)
        return cls(layout, empty, torch.zeros(rows, targets, dtype=torch.float64), empty, empty)

    @classmethod
    def leaves(cls, layout: TreeLayout) -> TreeTerms:
        """Return the terms of cross-entropy: the labelled node, or the leaves of a soft target."""
        terms = cls.zero(layout)
        likelihood = terms.likelihood.clone()
        likelihood[: layout.classes] = 1
        labelled = terms.labelled_likelihood.clone()
        for target, row in enumerate(layout.targets):
            if row >= 0:
                labelled[row, target] = 1
        return cls(layout, likelihood, labelled, terms.complement, terms.transport)

    @classmethod
    def paths(cls, layout: TreeLayout, weights: Tensor, *, complement: bool) -> TreeTerms:
        """Return the terms of tree cross-entropy: all nodes on the path, with ``complement`` also those beside it."""
        terms = cls.zero(layout)
        other = weights * torch.tensor([stop.stop - stop.start < layout.classes for stop in layout.leaf_slices])
        return cls(
            layout,
            weights,
            layout.on_path * weights[:, None],
            other if complement else terms.complement,
            terms.transport,
        )

    @classmethod
    def moved(cls, layout: TreeLayout, edges: Tensor) -> TreeTerms:
        """Return the terms of the Wasserstein distance with edge weights ``edges`` ``[R]``."""
        terms = cls.zero(layout)
        return cls(layout, terms.likelihood, terms.labelled_likelihood, terms.complement, edges)

    def scaled(self, factor: float) -> TreeTerms:
        """Return the terms of ``factor`` times this loss."""
        return TreeTerms(
            self.layout,
            self.likelihood * factor,
            self.labelled_likelihood * factor,
            self.complement * factor,
            self.transport * factor,
        )

    def plus(self, other: TreeTerms) -> TreeTerms:
        """Return the terms of the sum of two losses over the same tree."""
        return TreeTerms(
            self.layout,
            self.likelihood + other.likelihood,
            self.labelled_likelihood + other.labelled_likelihood,
            self.complement + other.complement,
            self.transport + other.transport,
        )

    def tables(self, device: torch.device, dtype: torch.dtype) -> TreeTables:
        """Return the tables for computing on ``device`` in ``dtype``; made once and kept."""
        key = (device, dtype)
        if key not in self._tables:
            self._tables[key] = TreeTables.from_terms(self, device, dtype)
        return self._tables[key]


@dataclass(frozen=True)
class TreeTables:
    """:class:`TreeTerms` laid out for the kernel, on one device and in one floating-point type.

    ``C`` leaves, ``I`` inner nodes without the root, ``T`` class indices. Tables over the inner nodes of a class index
    have as many rows as the longest path; shorter columns are padded with weight 0.

    Attributes
    ----------
    layout: the tree's tables.
    leaf_likelihood: ``[C]``, for soft targets.
    same_likelihood: the one number in it; None where leaves differ.
    inner_likelihood: ``[I]``, for soft targets.
    labelled_leaf: ``[T]``, the likelihood weight of a labelled leaf, 0 for inner nodes.
    labelled_rows, labelled_inner: ``[D, T]``, inner nodes with a likelihood term for each class index, and its weights.
    leaf_transport, inner_transport: ``[C]``, ``[I]``.
    path_rows, path_weights: ``[D', T]``, inner nodes on the path of each class index, and their transport weights.
    path_transport: ``[T]``, the transport weight of the whole path.
    transport_below: ``[C, T - C]``, the transport weight of the path from an inner target to a leaf below it, else 0.
    complement: ``[R]``, for soft targets.
    beside: ``[R, T]``, the complement weights of the rows that are neither on the path of nor below a class index.
    starts, stops: ``[R]``, the leaf slice of each row.
    has_transport, has_complement: whether these terms are there at all.
    soft_inner, labelled_inner_of_leaves: whether inner nodes have likelihood terms, for soft targets and for labelled
        leaves.
    """

    layout: TreeLayout
    leaf_likelihood: Tensor
    same_likelihood: float | None
    inner_likelihood: Tensor
    labelled_leaf: Tensor
    labelled_rows: Tensor
    labelled_inner: Tensor
    leaf_transport: Tensor
    inner_transport: Tensor
    path_rows: Tensor
    path_weights: Tensor
    path_transport: Tensor
    transport_below: Tensor
    complement: Tensor
    beside: Tensor
    starts: Tensor
    stops: Tensor
    has_transport: bool
    has_complement: bool
    soft_inner: bool
    labelled_inner_of_leaves: bool

    @classmethod
    def from_terms(cls, terms: TreeTerms, device: torch.device, dtype: torch.dtype) -> TreeTables:
        """Lay ``terms`` out."""
        layout, leaves = terms.layout, terms.layout.classes
        labelled = terms.labelled_likelihood
        rows, weights = _padded_rows(labelled[leaves:])
        path_transport = layout.on_path * terms.transport[:, None]
        path_rows, path_weights = _padded_rows(path_transport[leaves:])
        leaf_likelihood = terms.likelihood[:leaves]
        labelled_leaf = torch.zeros(len(layout.targets), dtype=torch.float64)
        labelled_leaf[:leaves] = labelled.diagonal()[:leaves]
        beside = (~layout.on_path & ~layout.below) * terms.complement[:, None]
        same = bool((leaf_likelihood == leaf_likelihood[0]).all())
        return cls(
            layout=layout,
            leaf_likelihood=leaf_likelihood.to(device, dtype),
            same_likelihood=float(leaf_likelihood[0]) if same else None,
            inner_likelihood=terms.likelihood[leaves:].to(device, dtype),
            labelled_leaf=labelled_leaf.to(device, dtype),
            labelled_rows=rows.to(device),
            labelled_inner=weights.to(device, dtype),
            leaf_transport=terms.transport[:leaves].to(device, dtype),
            inner_transport=terms.transport[leaves:].to(device, dtype),
            path_rows=path_rows.to(device),
            path_weights=path_weights.to(device, dtype),
            path_transport=path_transport.sum(0).to(device, dtype),
            transport_below=_transport_below(layout, path_transport.sum(0)).to(device, dtype),
            complement=terms.complement.to(device, dtype),
            beside=beside.to(device, dtype),
            starts=torch.tensor([part.start for part in layout.leaf_slices], device=device),
            stops=torch.tensor([part.stop for part in layout.leaf_slices], device=device),
            has_transport=bool(terms.transport.any()),
            has_complement=bool(terms.complement.any()),
            soft_inner=bool(terms.likelihood[leaves:].any()),
            labelled_inner_of_leaves=bool(labelled[leaves:, :leaves].any()),
        )


def _transport_below(layout: TreeLayout, path_transport: Tensor) -> Tensor:
    """Return ``[C, T - C]``: the transport weights on the path from each inner target down to each leaf below it."""
    below = layout.below[: layout.classes, layout.classes :]
    leaves, inner = path_transport[: layout.classes], path_transport[layout.classes :]
    return torch.where(below, leaves[:, None] - inner, 0.0)


def _padded_rows(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows of the nonzero entries of every column of ``weights`` ``[I, T]`` and the entries, ``[D, T]``.

    Shorter columns are padded with their own first row (0 where there is none) and weight 0.
    """
    columns = [weights[:, target].nonzero().flatten() for target in range(weights.shape[1])]
    length = max(len(column) for column in columns)
    rows = torch.zeros(length, len(columns), dtype=torch.int64)
    padded = torch.zeros(length, len(columns), dtype=weights.dtype)
    for target, column in enumerate(columns):
        if len(column):
            rows[:, target] = column[0]
            rows[: len(column), target] = column
            padded[: len(column), target] = weights[column, target]
    return rows, padded
