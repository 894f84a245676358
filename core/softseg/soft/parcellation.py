"""The stored result of a prediction: a soft distribution over the leaves of a label tree, in every voxel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

import softseg
from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.soft.compress import compress
from softseg.soft.encoding import SCALE
from softseg.soft.slabs import Slab
from softseg.tree import Cut, LabelTree
from softseg.types import BoolArray, FloatArray


@dataclass(frozen=True)
class NodeVolume:
    """How much of a node there is.

    Attributes
    ----------
    id, name: the node's.
    depth: its distance from the root.
    value: its label value, see :meth:`LabelTree.value_of`.
    soft_ml: sum of its probability over all voxels, in ml.
    hard_ml: volume of the voxels in which it wins against the other nodes of the cut, in ml.
    """

    id: str
    name: str
    depth: int
    value: int
    soft_ml: float
    hard_ml: float


@dataclass(frozen=True, eq=False)
class SoftParcellation:
    """Per voxel the most probable leaves of a tree with 8-bit shares, where anything but background is likely.

    Make one with :meth:`from_dense`, :meth:`from_slabs` or :meth:`load`. The probability of every node of the tree is
    within 0.01 of the distribution it was made from: 1/255 by rounding, the rest by leaves left out (the scheme,
    :mod:`softseg.soft.encoding`, is ours).

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

    def __post_init__(self) -> None:
        stop = [first + size for first, size in zip(self.start, self.counts.shape, strict=True)]
        if min(self.start) < 0 or any(last > size for last, size in zip(stop, self.geometry.shape, strict=True)):
            raise ValueError(f"expected a box inside {self.geometry.shape}, got {self.start} to {tuple(stop)}")
        stored = int(self.counts.sum(dtype=np.int64))
        if self.leaves.shape != (stored,) or self.shares.shape != (stored,):
            raise ValueError(f"expected {stored} leaves and shares, got {self.leaves.shape} and {self.shares.shape}")
        if stored and int(self.leaves.max()) >= len(self.tree.leaves):
            raise ValueError(f"expected leaf indices below {len(self.tree.leaves)}, got {int(self.leaves.max())}")

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
        start, counts, leaves, shares = compress(slabs, len(tree.leaves), background, geometry.shape, k)
        return cls(tree, geometry, start, counts, leaves, shares, model=model, k=k)

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
        return np.asarray(self._steps_of(node_id).astype(np.float32) / np.float32(SCALE), np.float32)

    def labels(self, cut: Cut | int) -> npt.NDArray[np.uint16]:
        """Return the label map at a cut: in each voxel the node with the largest *summed* probability.

        Parameters
        ----------
        cut: a cut of this tree, or a level.

        Returns
        -------
        uint16 ``(k, j, i)``: ``cut.values``; 0 where nothing is stored. Of equal nodes the first in tree order wins.
        """
        cut = self._own(cut)
        outside = self._position_outside(cut)
        values = np.array([*cut.values, 0], np.uint16)
        out = np.full(self.geometry.shape, values[outside], np.uint16)
        out[self.box] = values[self._winners(cut)]
        return out

    def entropy(self, cut: Cut | int, normalize: bool = False) -> FloatArray:
        """Return the entropy of the distribution over the nodes of a cut: float32 ``(k, j, i)``, in nats.

        ``-sum of P ln P`` over the stored probabilities; 0 where one node is certain, at most ``ln(nodes)``.

        Parameters
        ----------
        cut: a cut of this tree, or a level.
        normalize: divide by ``ln(nodes)``, so that 1 is complete doubt at any cut.
        """
        cut = self._own(cut)
        share, _, first = self._sums(cut)
        step = np.arange(1, SCALE + 1) / SCALE
        surprise = np.concatenate([[0.0], -step * np.log(step)]).astype(np.float32)
        inside = np.zeros(self.counts.size, np.float32)
        if share.size:
            inside[self._voxels[0]] = np.add.reduceat(surprise[share], first)
        if normalize and len(cut.nodes) > 1:
            inside /= np.float32(np.log(len(cut.nodes)))
        out = np.zeros(self.geometry.shape, np.float32)
        out[self.box] = inside.reshape(self.counts.shape)
        return out

    def volumes(self, cut: Cut | int | None = None) -> list[NodeVolume]:
        """Return soft and hard volumes of the nodes of a cut, or of all nodes of the tree, in tree order.

        Hard volumes are counted in :meth:`labels` of the cut; without one, each node's in the cut at its own depth.
        """
        soft = self._leaf_sums() * self.geometry.voxel_volume_ml / SCALE
        if cut is not None:
            own = self._own(cut)
            nodes, hard = own.nodes, self._hard(own)
        else:
            nodes, hard = self.tree.nodes, {}
            for level in reversed(range(self.tree.depth + 1)):
                hard.update(self._hard(self.tree.cut_at(level)))
        return [
            NodeVolume(
                node.id,
                node.name,
                self.tree.depth_of(node.id),
                self.tree.value_of(node.id),
                float(soft[self.tree.leaf_slice(node.id)].sum()),
                hard[node.id],
            )
            for node in nodes
        ]

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
        array = self.probability(node_id) if dtype == "float32" else self._steps_of(node_id)
        return write_image(Image(array, self.geometry), path)

    # -- sums over the stored leaves --------------------------------------------------------------------------------

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum(self.counts.reshape(-1), dtype=np.int64)

    def _steps_of(self, node_id: str) -> npt.NDArray[np.uint8]:
        leaves = self.tree.leaf_slice(node_id)
        inside = self.background is not None and leaves.start <= self.background < leaves.stop
        out = np.full(self.geometry.shape, SCALE if inside else 0, np.uint8)
        member = (self.leaves >= leaves.start) & (self.leaves < leaves.stop)
        running = np.concatenate([[0], np.cumsum(np.where(member, self.shares, 0), dtype=np.int64)])
        out[self.box] = np.diff(running[self._ends], prepend=0).reshape(self.counts.shape)
        return out

    @cached_property
    def _voxels(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Voxels of the box that store anything, and where the leaves of each begin."""
        counts = self.counts.reshape(-1)
        voxels = np.flatnonzero(counts)
        return voxels, self._ends[voxels] - counts[voxels]

    def _sums(self, cut: Cut) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the node sums of all voxels (in steps), their positions in the cut, and where each voxel begins."""
        position = cut.position_of_leaf.astype(np.int32)[self.leaves]
        first = self._voxels[1]
        begins = np.zeros(position.size, bool)
        begins[1:] = position[1:] != position[:-1]
        begins[first] = True
        starts = np.flatnonzero(begins)
        if starts.size == 0:
            return position, position, starts
        group = np.cumsum(begins, dtype=np.int64)[first] - 1
        return np.add.reduceat(self.shares, starts, dtype=np.int32), position[starts], group

    def _winners(self, cut: Cut) -> npt.NDArray[np.int64]:
        """Return the position of each voxel's winner, -1 where nothing is stored: ``(k, j, i)`` of the box."""
        share, position, first = self._sums(cut)
        count = len(cut.nodes)
        best = np.full(self.counts.size, -1, np.int64)
        if share.size:
            top = np.maximum.reduceat(share * np.int32(count) + (np.int32(count - 1) - position), first)
            best[self._voxels[0]] = count - 1 - top % count
        return best.reshape(self.counts.shape)

    def _hard(self, cut: Cut) -> dict[str, float]:
        count = len(cut.nodes)
        voxels = np.bincount(self._winners(cut).reshape(-1) + 1, minlength=count + 1)[1:]
        outside = self._position_outside(cut)
        if outside >= 0:
            voxels[outside] += self._voxels_outside
        size = self.geometry.voxel_volume_ml
        return {node.id: float(number) * size for node, number in zip(cut.nodes, voxels, strict=True)}

    def _leaf_sums(self) -> npt.NDArray[np.float64]:
        sums = np.bincount(self.leaves, self.shares, len(self.tree.leaves)).astype(np.float64)
        if self.background is not None:
            sums[self.background] += SCALE * self._voxels_outside
        return sums

    @property
    def _voxels_outside(self) -> int:
        return int(np.prod(self.geometry.shape)) - self.counts.size

    def _position_outside(self, cut: Cut) -> int:
        return -1 if self.background is None else int(cut.position_of_leaf[self.background])

    def _own(self, cut: Cut | int) -> Cut:
        if isinstance(cut, Cut):
            if [node.id for node in cut.tree.leaves] != [node.id for node in self.tree.leaves]:
                raise InputError("the cut belongs to another tree", hint="cut the parcellation's own tree")
            return cut
        return self.tree.cut_at(cut)
