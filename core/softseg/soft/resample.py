"""Moving images and soft labels to another grid, linearly and without thresholds.

A crisp label map becomes fractions; a soft one stays a distribution. Both take the kernel of
:mod:`softseg.soft.grids`, the same for images and labels, so that what a voxel shows and what it is called belong
together: linear interpolation towards finer grids, area averages towards coarser ones. Means, and so the volume of
every class, are preserved.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.image import Geometry, Image
from softseg.soft.grids import AlignedGrids, align, nearest_values, reach, sample_points
from softseg.soft.labels import SoftLabels
from softseg.soft.slabs import resample_dense_slabs
from softseg.types import FloatArray

__all__ = ["merge_entries", "resample_dense_slabs", "resample_image", "resample_labels"]

_MIXED, _CHUNK_ENTRIES = -1, 1 << 22  # mark of a voxel with several classes; entries sorted at a time

Entries = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.uint16], FloatArray]
"""Voxel, slot, class and probability of some labels, one per entry."""


def resample_image(image: Image, geometry: Geometry, order: str = "linear", outside: float = 0.0) -> Image:
    """Return the image on another grid, as float32 (``order="nearest"`` keeps the number type).

    Parameters
    ----------
    image: any number type.
    geometry: the target grid, in any orientation.
    order: ``"linear"``: linear where the target is finer, area average (no aliasing) where it is coarser, along each
        axis by itself; ``"cubic"``: third-order B-spline, for finer grids, may overshoot; ``"nearest"``.
    outside: value of voxels whose centre lies outside the image.

    Raises
    ------
    ValueError: ``order`` is unknown.
    """
    interpolators = {"nearest": sitk.sitkNearestNeighbor, "cubic": sitk.sitkBSpline}
    if order in interpolators:
        return _resample_by_sitk(image, geometry, interpolators[order], outside)
    if order != "linear":
        raise ValueError(f"expected order 'linear', 'cubic' or 'nearest', got {order!r}")
    grids = align(image.geometry, geometry)
    if grids is None:
        return Image(_sample(image, geometry, outside), geometry)
    array = grids.turn(image.array).astype(np.float32)
    for axis in sorted(range(3), key=lambda n: grids.axes[n].indices.shape[0] / array.shape[n]):
        array = grids.axes[axis].apply(array, axis)
    if outside != 0:
        array[~_covered(grids)] = outside
    return Image(array, geometry)


def resample_labels(labels: SoftLabels, source: Geometry, target: Geometry, k: int = 8) -> SoftLabels:
    """Return the labels on another grid: every class's probability is averaged as an image would be.

    The largest probability comes first. Outside the source grid nothing is labelled. Where labelled and unlabelled
    voxels meet, the probabilities sum to the labelled part of the voxel; they are not scaled up.

    Parameters
    ----------
    labels: on ``source``.
    source, target: grids in any orientation; fastest when their axes are parallel.
    k: most classes kept in a voxel (our default: 8); what is smaller is left out, not given to the others.

    Raises
    ------
    ValueError: the labels do not lie on ``source``.
    """
    if labels.shape != source.shape:
        raise ValueError(f"expected labels of shape {source.shape}, got {labels.shape}")
    grids = align(source, target)
    uniform = _uniform_classes(labels)
    if grids is None:
        found = _uniform_at(uniform, source, target, labels.classes)
        pieces = list(_mixed_by_points(labels, found, source, target, k))
    else:
        found = _uniform_aligned(grids.turn(uniform), grids, labels.classes)
        pieces = list(_mixed_aligned(labels, found, grids, k))
    return _assemble(found, pieces, labels.classes, target.shape)


def _covered(grids: AlignedGrids) -> npt.NDArray[np.bool_]:
    k, j, i = (axis.covered for axis in grids.axes)
    return np.asarray(k[:, None, None] & j[:, None] & i)


def _resample_by_sitk(image: Image, geometry: Geometry, interpolator: int, outside: float) -> Image:
    given = image.to_sitk()
    if interpolator != sitk.sitkNearestNeighbor:
        given = sitk.Cast(given, sitk.sitkFloat32)
    filter_ = sitk.ResampleImageFilter()
    filter_.SetSize(geometry.size)
    filter_.SetOutputSpacing(geometry.spacing)
    filter_.SetOutputOrigin(geometry.origin)
    filter_.SetOutputDirection(geometry.direction)
    filter_.SetInterpolator(interpolator)
    filter_.SetDefaultPixelValue(outside)
    return Image(sitk.GetArrayFromImage(filter_.Execute(given)), geometry)


def _sample(image: Image, geometry: Geometry, outside: float) -> FloatArray:
    values = image.array.astype(np.float32).reshape(-1)
    out = np.empty(int(np.prod(geometry.shape)), np.float32)
    for voxels in _chunks(np.arange(out.size), 64):
        indices, weights = sample_points(image.geometry, geometry, voxels)
        part = np.einsum("nm,nm->n", values[indices], weights)
        out[voxels] = np.where(weights.any(axis=1), part, np.float32(outside))
    return out.reshape(geometry.shape)


def _chunks(voxels: npt.NDArray[np.int64], width: int) -> Iterator[npt.NDArray[np.int64]]:
    step = max(1, _CHUNK_ENTRIES // width)
    for start in range(0, voxels.size, step):
        yield voxels[start : start + step]


def _uniform_classes(labels: SoftLabels) -> npt.NDArray[np.int32]:
    """Return the class of voxels that hold one with probability 1, ``classes`` for unlabelled ones, else ``_MIXED``."""
    first, total = labels.probabilities[0], labels.total() if labels.slots > 1 else labels.probabilities[0]
    out: npt.NDArray[np.int32] = np.where(first == 1, labels.indices[0].astype(np.int32), np.int32(_MIXED))
    out[total != first] = _MIXED
    out[total == 0] = labels.classes
    return out


def _uniform_aligned(uniform: npt.NDArray[np.int32], grids: AlignedGrids, nothing: int) -> npt.NDArray[np.int32]:
    """Return, on the target grid, the class where all source voxels that enter agree, else ``_MIXED``."""
    low = high = uniform
    for axis, weights in enumerate(grids.axes):
        columns = [weights.indices[:, n] for n in range(weights.indices.shape[1])]
        least, most = low.take(columns[0], axis), high.take(columns[0], axis)
        for column in columns[1:]:
            np.minimum(least, low.take(column, axis), out=least)
            np.maximum(most, high.take(column, axis), out=most)
        low, high = least, most
    out: npt.NDArray[np.int32] = np.where(low == high, low, np.int32(_MIXED))
    out[~_covered(grids)] = nothing
    return out


def _uniform_at(
    uniform: npt.NDArray[np.int32], source: Geometry, target: Geometry, nothing: int
) -> npt.NDArray[np.int32]:
    from scipy import ndimage  # 0.1 s to load, and only oblique grids need it

    size = [2 * n + 1 for n in reach(source, target)]
    low = ndimage.minimum_filter(uniform, size, mode="nearest")
    high = ndimage.maximum_filter(uniform, size, mode="nearest")
    agreed = np.where(low == high, low, np.int32(_MIXED))
    return nearest_values(agreed, source, target, slice(0, target.shape[0]), nothing)


def _mixed_aligned(labels: SoftLabels, found: npt.NDArray[np.int32], grids: AlignedGrids, k: int) -> Iterator[Entries]:
    indices, probabilities = grids.turn(labels.indices), grids.turn(labels.probabilities)
    strides = np.cumprod([1, *indices.shape[:1:-1]])[:3][::-1]
    flat = [index.reshape(-1) for index in indices], [probability.reshape(-1) for probability in probabilities]
    width = labels.slots * int(np.prod([axis.indices.shape[1] for axis in grids.axes]))
    for voxels in _chunks(np.flatnonzero(found == _MIXED), width):
        position = np.unravel_index(voxels, found.shape)
        where = np.zeros((voxels.size, 1), np.int64)
        weight = np.ones((voxels.size, 1), np.float32)
        for axis, at, stride in zip(grids.axes, position, strides, strict=True):
            where = (where[:, :, None] + axis.indices[at][:, None] * stride).reshape(voxels.size, -1)
            weight = (weight[:, :, None] * axis.weights[at][:, None]).reshape(voxels.size, -1)
        yield _gather(flat, voxels, where, weight, k)


def _mixed_by_points(
    labels: SoftLabels, found: npt.NDArray[np.int32], source: Geometry, target: Geometry, k: int
) -> Iterator[Entries]:
    flat = (
        [index.reshape(-1) for index in labels.indices],
        [probability.reshape(-1) for probability in labels.probabilities],
    )
    for voxels in _chunks(np.flatnonzero(found == _MIXED), 64 * labels.slots):
        where, weight = sample_points(source, target, voxels)
        yield _gather(flat, voxels, where, weight, k)


def _gather(
    flat: tuple[list[npt.NDArray[np.uint16]], list[FloatArray]],
    voxels: npt.NDArray[np.int64],
    where: npt.NDArray[np.int64],
    weight: FloatArray,
    k: int,
) -> Entries:
    classes = np.concatenate([index[where] for index in flat[0]], axis=1)
    probabilities = np.concatenate([probability[where] * weight for probability in flat[1]], axis=1)
    row, slot, class_, probability = merge_entries(classes, probabilities, k)
    return voxels[row], slot, class_, probability


def merge_entries(classes: npt.NDArray[np.uint16], probabilities: FloatArray, k: int) -> Entries:
    """Sum the probabilities of equal classes within each row and keep the ``k`` largest sums.

    Parameters
    ----------
    classes, probabilities: ``(N, M)``; entries with probability 0 are left out.
    k: most classes kept in a row.

    Returns
    -------
    row, slot, class, probability: one element per kept class; slot 0 is the row's largest, equal ones in class order.
    """
    count, width = classes.shape
    order = np.argsort(classes, axis=1, kind="stable")
    classes = np.take_along_axis(classes, order, axis=1)
    probabilities = np.take_along_axis(probabilities, order, axis=1)
    begins = np.ones((count, width), bool)
    begins[:, 1:] = classes[:, 1:] != classes[:, :-1]
    starts = np.flatnonzero(begins)
    if starts.size == 0:
        empty = np.zeros(0, np.int64)
        return empty, empty, empty.astype(np.uint16), empty.astype(np.float32)
    sums = np.minimum(np.add.reduceat(probabilities.reshape(-1), starts), np.float32(1))
    kept = sums > 0
    starts, sums = starts[kept], sums[kept]
    row = starts // width
    rank = np.lexsort((-sums, row))
    row, sums, class_ = row[rank], sums[rank], classes.reshape(-1)[starts[rank]]
    first = np.searchsorted(row, np.arange(count))
    slot = np.arange(row.size) - first[row]
    keep = slot < k
    return row[keep], slot[keep], class_[keep], sums[keep]


def _assemble(
    found: npt.NDArray[np.int32], pieces: list[Entries], classes: int, shape: tuple[int, int, int]
) -> SoftLabels:
    slots = max((int(piece[1].max(initial=0)) + 1 for piece in pieces), default=1)
    indices = np.zeros((slots, found.size), np.uint16)
    probabilities = np.zeros((slots, found.size), np.float32)
    plain = found.reshape(-1)
    labelled = (plain != _MIXED) & (plain < classes)
    indices[0] = np.where(labelled, plain, 0)
    probabilities[0] = labelled
    for voxels, slot, class_, probability in pieces:
        indices[slot, voxels] = class_
        probabilities[slot, voxels] = probability
    return SoftLabels(indices.reshape(slots, *shape), probabilities.reshape(slots, *shape), classes)
