"""The stored result of a prediction: a soft distribution over the leaves of a label tree, in every voxel."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.soft.compress import compress
from softseg.soft.correcting.correctable import Correctable
from softseg.soft.slabs import Slab
from softseg.soft.volumes import NodeVolume
from softseg.tree import LabelTree
from softseg.types import BoolArray, FloatArray

__all__ = ["NodeVolume", "SoftParcellation"]


class SoftParcellation(Correctable):
    """Per voxel the most probable leaves of a tree with 8-bit probabilities, where anything but background is likely.

    Make one with :meth:`from_dense`, :meth:`from_slabs` or :meth:`load`. The probability of every node of the tree is
    within 0.01 of the distribution it was made from: 1/255 by rounding, the rest by leaves left out (the scheme,
    :mod:`softseg.soft.encoding`, is ours). Only where a distribution is so flat that this would take more than 64
    leaves it may be further; see :attr:`node_error`.

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
    outliers: outlier scores, if the model computed any; see :mod:`softseg.soft.outliers`.
    layer: people's :attr:`corrections` of voxels; the arrays above have them applied already.
    """

    @classmethod
    def from_dense(
        cls, dense: FloatArray, tree: LabelTree, geometry: Geometry, model: str = "", k: int = 8
    ) -> SoftParcellation:
        """Compress a dense distribution.

        Parameters
        ----------
        dense: float32 ``(C, k, j, i)`` on ``geometry``: probabilities of the leaves in 0..1 that sum to at most 1.
        tree: the label tree, with ``C`` leaves.
        geometry: the grid.
        model: what made it.
        k: leaves kept in a voxel, more where these leave out more than 0.005.

        Raises
        ------
        ValueError: ``dense`` does not fit tree or grid, or is not a distribution.

        Examples
        --------
        >>> import numpy as np
        >>> from softseg.geometry import Geometry
        >>> from softseg.resources import label_tree_path
        >>> from softseg.tree import LabelTree
        >>> tree = LabelTree.load(label_tree_path("spinal-cord-grey-matter"))
        >>> dense = np.float32([[0.1, 0.4], [0.3, 0.3], [0.6, 0.3]]).reshape(3, 1, 1, 2)
        >>> result = SoftParcellation.from_dense(dense, tree, Geometry(size=(2, 1, 1)))
        >>> [round(float(p), 2) for p in result.probability("cord").flat]  # grey plus white matter
        [0.9, 0.6]
        >>> result.labels(2).tolist(), result.labels(1).tolist()  # leaves; background or cord (4)
        ([[[2, 0]]], [[[4, 4]]])
        >>> result.confident_labels(0.8).tolist()  # only the root (3) has this probability in the second voxel
        [[[4, 3]]]
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
            slab covers are background.
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
        now (a branch that was folded), or to what ``merged`` names. After leaves have moved, a node's error may grow to
        1/255 for each group of its leaves that were neighbours before. Corrections follow: they keep their node,
        or, where it is gone, of the leaf or branch that holds its leaves now.

        Parameters
        ----------
        tree: the edited tree.
        merged: from the label value of a leaf that is gone to the value of the leaf that it is part of now.

        Raises
        ------
        InputError: a stored leaf has no place in ``tree`` (it was removed, or split, which a stored probability cannot
            be), or the background is another leaf; or a correction names a node that has no place, or says "is not"
            of one that is part of a larger one now.
        """
        from softseg.soft.remap import remap

        return remap(self, tree, merged or {})

    def masked(self, node_id: str, keep: BoolArray) -> SoftParcellation:
        """Return the parcellation with a node's probabilities outside ``keep`` given to the background (or to nothing).

        The way to clean a stored result, with the parts that :mod:`softseg.soft.postprocess` finds, for instance::

            clean = keep_largest(parcellation.probability("liver"))
            parcellation = parcellation.masked("liver", clean > 0)

        Probabilities of other nodes, and this node's inside ``keep``, do not change. The model's prediction is masked:
        corrections are kept, and still hold outside ``keep``.

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
        """Return the parcellation on another grid, each voxel taken from one of this grid, its probabilities unchanged.

        Corrections come along. Voxels that these filled from the nearest voxel are filled from the nearest on the
        other grid, so there the probabilities below the corrected node may change.

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

    def save(self, path: str | os.PathLike[str], *, compressed: bool = True) -> Path:
        """Write a ``.soft.npz`` file (``docs/soft-parcellation.md``); it appears only when complete.

        Parameters
        ----------
        path: the file.
        compressed: False writes a whole head in a tenth of the time and about three times the size, for files that are
            read once and removed.

        Raises
        ------
        InputError: the name does not end in ``.soft.npz``, the folder cannot be written, or the disk is full.
        """
        from softseg.soft.storage import save

        return save(self, path, compressed=compressed)
