"""What there is to see in a soft parcellation: probabilities, labels, uncertainty, volumes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.image import Image, write_image
from softseg.soft.distribution import StoredDistribution
from softseg.soft.encoding import SCALE
from softseg.soft.volumes import NodeVolume, node_volumes
from softseg.tree import Cut
from softseg.types import OUTLIER_VALUE, FloatArray


class ParcellationViews(StoredDistribution):
    """What follows from a stored distribution; nothing here changes it."""

    def probability(self, node_id: str, out: FloatArray | None = None) -> FloatArray:
        """Return the probability of a node, the sum of its leaves': float32 ``(k, j, i)`` in 0..1, steps of 1/255.

        Parameters
        ----------
        node_id: the node.
        out: float32 ``(k, j, i)`` that is filled and returned; by default a new array.

        Raises
        ------
        InputError: the tree has no such node.
        """
        steps, outside = self._steps_of(node_id)
        fresh = out is None
        if out is None:
            out = np.zeros(self.geometry.shape, np.float32)  # pages that stay 0 cost nothing
        if outside or not fresh:
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
        InputError: outliers are requested, but none are stored, or their value is that of a node of the cut.
        """
        cut = self._own(cut)
        outside = 0 if self.background is None else cut.values[cut.position_of_leaf[self.background]]
        out = self._in_grid(self.box_labels(cut), outside)
        if outliers:
            if self.background is not None and OUTLIER_VALUE in cut.values:
                raise InputError(
                    f"the value {OUTLIER_VALUE} belongs to a node",
                    field="outliers",
                    hint="give that node another value",
                )
            out[self._stored_outliers().mask()] = self.outlier_value
        return out

    def box_labels(self, cut: Cut | int) -> npt.NDArray[np.uint16]:
        """Return :meth:`labels` within :attr:`box`, without those of the grid: uint16 ``(k, j, i)`` of the box.

        The array is read-only: it is cached.
        """
        cut = self._own(cut)
        labels = self.sums.labels(cut.position_of_leaf.astype(np.int32), np.array(cut.values, np.uint16))
        return labels.reshape(self.counts.shape)

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
        normalize: divide by ``ln(nodes)``, so that 1 is complete uncertainty at any cut.
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
        confidence: probability that the labelled node must have, 0.5..1; at such a level the node is unique.
        outliers: voxels beyond the threshold of a stored outlier score are unknown, whatever their probabilities.

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
        """Return the depth of the node that :meth:`confident_labels` returns: uint8 ``(k, j, i)``.

        0 is the root, also where nothing is stored.
        """
        from softseg.soft.confidence import answer_depth

        return answer_depth(self, confidence, outliers)

    def branch_entropy(self, node_id: str, normalize: bool = True) -> FloatArray:
        """Return the uncertainty of the decision at an inner node: float32 ``(k, j, i)``.

        The entropy of the distribution over the node's children, given the node: a voxel may be sure of "cortex" and
        uncertain about the gyrus. 0 where the node itself has less than 0.05 (our default): nothing is to be decided.

        Parameters
        ----------
        node_id: the node; a leaf, or a node with one child, gives 0 everywhere.
        normalize: divide by ``ln(children)``, so that 1 is complete uncertainty; else in nats.

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
