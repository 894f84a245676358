"""The stored result of a prediction: a soft distribution over the leaves of a label tree, in every voxel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

import softseg
from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.soft.compress import compress
from softseg.soft.encoding import NODE_ERROR, SCALE
from softseg.soft.node_sums import NodeSums, node_sums
from softseg.soft.outliers import StoredOutliers
from softseg.soft.slabs import Slab
from softseg.soft.volumes import NodeVolume, node_volumes
from softseg.tree import Cut, LabelTree
from softseg.types import OUTLIER_VALUE, BoolArray, FloatArray

__all__ = ["NodeVolume", "SoftParcellation"]

_Number = TypeVar("_Number", bound=np.generic)


@dataclass(frozen=True, eq=False)
class SoftParcellation:
    """Per voxel the most probable leaves of a tree with 8-bit shares, where anything but background is likely.

    Make one with :meth:`from_dense`, :meth:`from_slabs` or :meth:`load`. The probability of every node of the tree is
    within 0.01 of the distribution it was made from: 1/255 by rounding, the rest by leaves left out (the scheme,
    :mod:`softseg.soft.encoding`, is ours). Only where a distribution is so flat that this would take more than 64
    leaves it may be further; :attr:`node_error` says how far.

    Attributes
    ----------
    tree: the label tree.
    geometry: the grid.
    start: first voxel ``(k, j, i)`` of the stored box; outside it all is background (or nothing, in a tree without).
    counts: uint8 ``(k, j, i)``: how many leaves each voxel of the box stores.
    leaves: uint8 or uint16, one per stored leaf: leaf index, voxel after voxel, increasing within a voxel.
    shares: uint8, one per stored leaf: probability times 255.
    model: what made it.
    software: version of this package that made it.
    k: leaves that a voxel stores unless they leave out more than 0.005.
    node_error: no node's probability is further than this from the distribution it was made from.
    outliers: how strange each voxel was to the model, where it was asked; see :mod:`softseg.soft.outliers`.
    """

    tree: LabelTree
    geometry: Geometry
    start: tuple[int, int, int]
    counts: npt.NDArray[np.uint8]
    leaves: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    shares: npt.NDArray[np.uint8]
    model: str = ""
    software: str = field(default_factory=lambda: f"softseg {softseg.__version__}")
    k: int = 8
    node_error: float = NODE_ERROR
    outliers: StoredOutliers | None = None

    def __post_init__(self) -> None:
        stop = [first + size for first, size in zip(self.start, self.counts.shape, strict=True)]
        if min(self.start) < 0 or any(last > size for last, size in zip(stop, self.geometry.shape, strict=True)):
            raise ValueError(f"expected a box inside {self.geometry.shape}, got {self.start} to {tuple(stop)}")
        stored = int(self.counts.sum(dtype=np.int64))
        if self.leaves.shape != (stored,) or self.shares.shape != (stored,):
            raise ValueError(f"expected {stored} leaves and shares, got {self.leaves.shape} and {self.shares.shape}")
        if stored and int(self.leaves.max()) >= len(self.tree.leaves):
            raise ValueError(f"expected leaf indices below {len(self.tree.leaves)}, got {int(self.leaves.max())}")
        if self.outliers is not None and self.outliers.shape != self.geometry.shape:
            raise ValueError(f"expected outlier scores of shape {self.geometry.shape}, got {self.outliers.shape}")

    # -- making one -----------------------------------------------------------------------------------------------

    @classmethod
    def from_dense(
        cls, dense: FloatArray, tree: LabelTree, geometry: Geometry, model: str = "", k: int = 8
    ) -> SoftParcellation:
        """Compress a dense distribution.

        Parameters
        ----------
        dense: float32 ``(C, k, j, i)`` on ``geometry``: shares of the leaves in 0..1 that sum to at most 1.
        tree: the label tree, with ``C`` leaves.
        geometry: the grid.
        model: what made it.
        k: leaves kept in a voxel, more where these leave out more than 0.005.

        Raises
        ------
        ValueError: ``dense`` does not fit tree or grid, or is not a distribution.
        """
        if dense.shape != (len(tree.leaves), *geometry.shape):
            raise ValueError(f"expected shape {(len(tree.leaves), *geometry.shape)}, got {dense.shape}")
        rows = max(1, (1 << 24) // max(1, dense.shape[0] * dense.shape[2] * dense.shape[3]))
        slabs = (Slab.full(dense[:, row : row + rows], row) for row in range(0, dense.shape[1], rows))
        return cls.from_slabs(slabs, tree, geometry, model, k)

    @classmethod
    def from_slabs(
        cls, slabs: Iterable[Slab], tree: LabelTree, geometry: Geometry, model: str = "", k: int = 8
    ) -> SoftParcellation:
        """Compress a distribution that comes in slabs, each at once, so that it is never there as a whole.

        Voxels with less than 0.005 beside the background are stored as background alone.

        Parameters
        ----------
        slabs: with increasing rows, such as :func:`softseg.soft.resample.resample_dense_slabs` gives; rows that no
            slab speaks for are background.
        tree, geometry, model, k: as for :meth:`from_dense`.

        Raises
        ------
        ValueError: a slab does not fit tree or grid, is out of order, or is not a distribution.
        """
        background = None if tree.background is None else tree.leaf_index(tree.background.id)
        stored = compress(slabs, len(tree.leaves), background, geometry.shape, k)
        return cls(tree, geometry, *stored[:4], model=model, k=k, node_error=stored.node_error)

    def with_tree(self, tree: LabelTree, merged: Mapping[int, int] | None = None) -> SoftParcellation:
        """Return the same distribution on an edited tree: leaves renamed, moved, recoloured, merged or added.

        Leaves are matched by label value. A leaf whose value is gone goes to its nearest former ancestor that is a leaf
        now (a branch that was folded), or to what ``merged`` says. After leaves have moved, a node's error may grow to
        1/255 for each group of its leaves that were neighbours before.

        Parameters
        ----------
        tree: the edited tree.
        merged: from the label value of a leaf that is gone to the value of the leaf that it is part of now.

        Raises
        ------
        InputError: a stored leaf has no place in ``tree`` (it was removed, or split, which a stored share cannot be),
            or the background is another leaf.
        """
        from softseg.soft.remap import remap

        return remap(self, tree, merged or {})

    def masked(self, node_id: str, keep: BoolArray) -> SoftParcellation:
        """Return the parcellation with a node's shares outside ``keep`` given to the background (or to nothing).

        The way to clean a stored result, with the parts that :mod:`softseg.soft.postprocess` finds, for instance::

            clean = keep_largest(parcellation.probability("liver"))
            parcellation = parcellation.masked("liver", clean > 0)

        Shares of other nodes, and this node's inside ``keep``, do not change.

        Parameters
        ----------
        node_id: a node that does not contain the background.
        keep: bool ``(k, j, i)`` on :attr:`geometry`.

        Raises
        ------
        InputError: no such node, or it contains the background.
        ValueError: ``keep`` has another shape.
        """
        from softseg.soft.remap import mask_node

        return mask_node(self, node_id, keep)

    def gathered(self, source: npt.NDArray[np.integer], geometry: Geometry) -> SoftParcellation:
        """Return the parcellation on another grid, each voxel taken from one of this grid, its shares unchanged.

        Parameters
        ----------
        source: integers ``(k, j, i)`` on ``geometry``: number of the voxel of this grid (in C order) that is taken; -1:
            none, which is background (or nothing, in a tree without).
        geometry: the other grid.

        Raises
        ------
        ValueError: ``source`` does not fit one of the grids.
        """
        from softseg.soft.gather import gather

        return gather(self, source, geometry)

    @staticmethod
    def load(path: str | os.PathLike[str]) -> SoftParcellation:
        """Read a ``.soft.npz`` file.

        Raises
        ------
        InputError: the file is missing, truncated, of another kind or version, or does not hold what it should.
        """
        from softseg.soft.storage import load

        return load(path)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a ``.soft.npz`` file (``docs/soft-parcellation.md``); it appears only when complete.

        Raises
        ------
        InputError: the name does not end in ``.soft.npz``, the folder cannot be written, or the disk is full.
        """
        from softseg.soft.storage import save

        return save(self, path)

    # -- looking at it --------------------------------------------------------------------------------------------

    @property
    def background(self) -> int | None:
        """Leaf index of the background, ``None`` in a tree without."""
        return None if self.tree.background is None else self.tree.leaf_index(self.tree.background.id)

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The stored box (k, j, i)."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.counts.shape, strict=True))
        return k, j, i

    @property
    def overflowing(self) -> int:
        """Number of voxels that store more than ``k`` leaves."""
        return int(np.count_nonzero(self.counts > self.k))

    def probability(self, node_id: str) -> FloatArray:
        """Return the probability of a node, the sum of its leaves': float32 ``(k, j, i)`` in 0..1, steps of 1/255.

        Raises
        ------
        InputError: the tree has no such node.
        """
        steps, outside = self._steps_of(node_id)
        out = np.zeros(self.geometry.shape, np.float32)  # pages that stay 0 cost nothing
        if outside:
            out.fill(outside / SCALE)
        np.divide(steps.reshape(self.counts.shape), np.float32(SCALE), out=out[self.box])
        return out

    def labels(self, cut: Cut | int, outliers: bool = False) -> npt.NDArray[np.uint16]:
        """Return the label map at a cut: in each voxel the node with the largest *summed* probability.

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        outliers: whether voxels beyond the threshold of the stored outlier score get :attr:`outlier_value` instead.

        Returns
        -------
        uint16 ``(k, j, i)``: ``cut.values``; 0 where nothing is stored. Of equal nodes the first in tree order wins.

        Raises
        ------
        InputError: outliers are asked for, but none are stored, or their value is that of a node of the cut.
        """
        cut = self._own(cut)
        values = np.array(cut.values, np.uint16)
        position = cut.position_of_leaf.astype(np.int32)
        outside = 0 if self.background is None else values[position[self.background]]
        out = self._in_grid(self.sums.labels(position, values), outside)
        if outliers:
            if self.background is not None and OUTLIER_VALUE in cut.values:
                raise InputError(
                    f"the value {OUTLIER_VALUE} belongs to a node",
                    field="outliers",
                    hint="give that node another value",
                )
            out[self._stored_outliers().mask()] = self.outlier_value
        return out

    @property
    def outlier_value(self) -> int:
        """Value of outliers in label maps: 0 (unlabelled) in a tree without background, else ``OUTLIER_VALUE``."""
        return 0 if self.background is None else OUTLIER_VALUE

    def entropy(self, cut: Cut | int, normalize: bool = False) -> FloatArray:
        """Return the entropy of the distribution over the nodes of a cut: float32 ``(k, j, i)``, in nats.

        ``-sum of P ln P`` over the stored probabilities; 0 where one node is certain, at most ``ln(nodes)``.

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        normalize: divide by ``ln(nodes)``, so that 1 is complete doubt at any cut.
        """
        cut = self._own(cut)
        out = self._in_grid(self.sums.entropies(cut.position_of_leaf.astype(np.int32)), np.float32(0))
        if normalize and len(cut.nodes) > 1:
            out /= np.float32(np.log(len(cut.nodes)))
        return out

    def confident_labels(self, confidence: float, outliers: bool = True) -> npt.NDArray[np.uint16]:
        """Return a label map of mixed depth: in each voxel the deepest node that is sure (ours).

        Parameters
        ----------
        confidence: probability that the answered node must have, 0.5..1; at such a level the answer is unique.
        outliers: voxels beyond the threshold of a stored outlier score are unknown, whatever their shares.

        Returns
        -------
        uint16 ``(k, j, i)``: values of :meth:`LabelTree.node_values`. Unknown, where not even the root passes the
        level: ``OUTLIER_VALUE`` (65535), in a tree without background 0.

        Raises
        ------
        InputError: ``confidence`` is not in 0.5..1, or 65535 is the value of a node of the tree.
        """
        from softseg.soft.confidence import confident_labels

        return confident_labels(self, confidence, outliers)

    def answer_depth(self, confidence: float, outliers: bool = True) -> npt.NDArray[np.uint8]:
        """Return the depth of the node that :meth:`confident_labels` answers with: uint8 ``(k, j, i)``.

        0 is the root, and also where nothing is known: "somewhere in the tree" says no more than that.
        """
        from softseg.soft.confidence import answer_depth

        return answer_depth(self, confidence, outliers)

    def branch_entropy(self, node_id: str, normalize: bool = True) -> FloatArray:
        """Return the uncertainty of the decision at an inner node: float32 ``(k, j, i)``.

        The entropy of the distribution over the node's children, given the node: a voxel may be sure of "cortex" and
        unsure of the gyrus. 0 where the node itself has less than 0.05 (our default), where nothing is to be decided.

        Parameters
        ----------
        node_id: the node; a leaf, or a node with one child, gives 0 everywhere.
        normalize: divide by ``ln(children)``, so that 1 is complete doubt; else in nats.

        Raises
        ------
        InputError: the tree has no such node.
        """
        from softseg.soft.confidence import branch_entropy

        return self._in_grid(branch_entropy(self, node_id, normalize), 0)

    def volumes(self, cut: Cut | int | None = None) -> list[NodeVolume]:
        """Return soft and hard volumes of the nodes of a cut, or of all nodes of the tree, in tree order.

        Hard volumes are counted in :meth:`labels` of the cut; without one, each node's in the cut at its own depth.
        """
        return node_volumes(self, None if cut is None else self._own(cut))

    def write_labels(self, cut: Cut | int, path: str | os.PathLike[str]) -> Path:
        """Write :meth:`labels` as a volume, compressed (InputError where that fails)."""
        return write_image(Image(self.labels(cut), self.geometry), path)

    def write_probability(self, node_id: str, path: str | os.PathLike[str], dtype: str = "float32") -> Path:
        """Write the soft map of a node as a volume, compressed.

        Parameters
        ----------
        node_id: the node.
        path: a name with an image's ending.
        dtype: ``"float32"``: probabilities in 0..1; ``"uint8"``: the stored steps 0..255, probability times 255.

        Raises
        ------
        InputError: no such node, or the file cannot be written.
        ValueError: ``dtype`` is neither.
        """
        if dtype not in ("float32", "uint8"):
            raise ValueError(f"expected dtype 'float32' or 'uint8', got {dtype!r}")
        array = self.probability(node_id) if dtype == "float32" else self._in_grid(*self._steps_of(node_id))
        return write_image(Image(array, self.geometry), path)

    @cached_property
    def sums(self) -> NodeSums:
        """What is stored, sorted for quick sums; made at the first question and kept for the next ones."""
        return node_sums(self.counts, self.leaves, self.shares, len(self.tree.leaves))

    def _stored_outliers(self) -> StoredOutliers:
        if self.outliers is None:
            raise InputError(
                "this soft parcellation holds no outlier score", field="outliers", hint="predict it with --outliers"
            )
        return self.outliers

    def _steps_of(self, node_id: str) -> tuple[npt.NDArray[np.uint8], np.uint8]:
        """Return a node's probability in steps of 1/255: in the voxels of the flattened box, and outside it."""
        leaves = self.tree.leaf_slice(node_id)
        inside = self.background is not None and leaves.start <= self.background < leaves.stop
        return self.sums.span(leaves), np.uint8(SCALE if inside else 0)

    def _in_grid(self, box: npt.NDArray[_Number], outside: int | np.generic) -> npt.NDArray[_Number]:
        """Return the volume ``(k, j, i)`` with the values of the flattened ``box`` in it."""
        out = np.full(self.geometry.shape, outside, box.dtype) if outside else np.zeros(self.geometry.shape, box.dtype)
        out[self.box] = box.reshape(self.counts.shape)
        return out

    def _own(self, cut: Cut | int) -> Cut:
        if isinstance(cut, Cut):
            if [node.id for node in cut.tree.leaves] != [node.id for node in self.tree.leaves]:
                raise InputError("the cut belongs to another tree", hint="cut the parcellation's own tree")
            return cut
        return self.tree.cut_at(cut)
