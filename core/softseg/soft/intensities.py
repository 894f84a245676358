"""Intensities of a scan inside the nodes of a soft parcellation, each voxel counted by the node's probability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry, Image
from softseg.soft.encoding import SCALE
from softseg.soft.resample import resample_image

if TYPE_CHECKING:
    from softseg.soft.parcellation import SoftParcellation

_Values = npt.NDArray[np.float32] | npt.NDArray[np.float64]

__all__ = ["NodeIntensities", "NodeIntensity", "intensities_on", "node_intensity"]


@dataclass(frozen=True)
class NodeIntensity:
    """Intensities of a scan in a node, weighted by its probability; all NaN where it has none inside the scan.

    Attributes
    ----------
    mean: sum of probability times intensity, by the sum of probabilities.
    std: square root of the weighted mean of the squared distance from the mean.
    median: half of the node's probability lies in voxels below it; where a value ends exactly at the half, the middle
        between it and the next one, so that with equal weights it is the ordinary median.
    voxels: sum of the probabilities that were counted.
    """

    mean: float
    std: float
    median: float
    voxels: float


def intensities_on(image: Image, geometry: Geometry) -> _Values:
    """Return the intensities of a scan at the voxels of a grid: float ``(k, j, i)``, NaN outside the scan.

    Values are taken as they are where the scan lies on the grid, and interpolated linearly elsewhere (averaged, where
    the grid is coarser).
    """
    if image.geometry.same_grid(geometry):
        return np.asarray(image.array, np.float64 if image.array.dtype.itemsize > 2 else np.float32)
    return resample_image(image, geometry, outside=math.nan).array


def node_intensity(parcellation: SoftParcellation, node_id: str, intensities: _Values) -> NodeIntensity:
    """Return mean, deviation and median of the intensities in a node, weighted by its probability.

    Voxels whose intensity is not finite are left out.

    Parameters
    ----------
    parcellation: the soft parcellation.
    node_id: a node of its tree.
    intensities: ``(k, j, i)`` on its grid; see :func:`intensities_on`.

    Raises
    ------
    InputError: the tree has no such node.
    ValueError: ``intensities`` has another shape.
    """
    if intensities.shape != parcellation.geometry.shape:
        raise ValueError(f"expected intensities of shape {parcellation.geometry.shape}, got {intensities.shape}")
    probability = parcellation.probability(node_id)
    inside = (probability > 0) & np.isfinite(intensities)
    return _weighted(intensities[inside].astype(np.float64), probability[inside].astype(np.float64))


class NodeIntensities:
    """Intensities of one scan in one node after the other: what is stored is sorted by leaf once.

    Parameters
    ----------
    parcellation, intensities: as for :func:`node_intensity`, whose numbers these are.

    Raises
    ------
    ValueError: ``intensities`` has another shape.
    """

    def __init__(self, parcellation: SoftParcellation, intensities: _Values) -> None:
        if intensities.shape != parcellation.geometry.shape:
            raise ValueError(f"expected intensities of shape {parcellation.geometry.shape}, got {intensities.shape}")
        self._parcellation, self._intensities = parcellation, intensities
        voxels = np.repeat(np.arange(parcellation.counts.size, dtype=np.int32), parcellation.counts.ravel())
        values = intensities[parcellation.box].ravel()
        known = np.isfinite(values)[voxels]
        rank = np.empty(values.size, np.int64)
        rank[np.argsort(values)] = np.arange(values.size)
        order = np.argsort(parcellation.leaves * np.int64(values.size) + rank[voxels])  # by leaf, then by intensity
        order = order[known[order]]
        self._values, self._probabilities = values[voxels[order]], parcellation.shares[order]
        leaves = np.arange(len(parcellation.tree.leaves) + 1)
        self._starts = np.searchsorted(parcellation.leaves[order], leaves)

    def of(self, node_id: str) -> NodeIntensity:
        """Return mean, deviation and median of the intensities in a node, weighted by its probability.

        Raises
        ------
        InputError: the tree has no such node.
        """
        leaves = self._parcellation.tree.leaf_slice(node_id)
        background = self._parcellation.background
        if background is not None and leaves.start <= background < leaves.stop:  # it is also where nothing is stored
            return node_intensity(self._parcellation, node_id, self._intensities)
        own = slice(self._starts[leaves.start], self._starts[leaves.stop])
        return _weighted(self._values[own].astype(np.float64), self._probabilities[own] / SCALE)


def _weighted(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> NodeIntensity:
    total = float(weights.sum())
    if total == 0:
        return NodeIntensity(math.nan, math.nan, math.nan, 0.0)
    mean = float(weights @ values) / total
    std = math.sqrt(float(weights @ (values - mean) ** 2) / total)
    return NodeIntensity(mean, std, _median(values, weights), total)


def _median(values: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    order = np.argsort(values, kind="stable")  # quick where it is sorted in parts
    values, reached = values[order], np.cumsum(weights[order])
    half = reached[-1] / 2
    exact = 1e-7 * reached[-1]  # probabilities are float32
    first = int(np.searchsorted(reached, half - exact))
    if reached[first] > half + exact or first + 1 == values.size:
        return float(values[first])
    return float(values[first] + values[first + 1]) / 2
