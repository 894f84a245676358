"""A network's dense output on its own grid, handed out slab by slab on the grid of the input.

A dense distribution over a hundred classes on a 1 mm head does not fit into a laptop, and most of it is background:
a slab therefore covers only the box, and lists only the classes, where there is anything to store.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.image import Geometry
from softseg.soft.grids import AlignedGrids, AxisWeights, align, nearest_values, reach, sample_points
from softseg.types import FloatArray

FAINT = 5e-4
"""A source voxel with less than this beside the background does not widen the box of a slab (our default)."""

_MOST_VALUES, _CHUNK_ENTRIES = 1 << 24, 1 << 21


@dataclass(frozen=True, eq=False)
class Slab:
    """Probabilities of some classes in a box of some rows of a grid.

    Classes not listed have probability 0 in the box. Voxels of these rows outside the box are background with
    probability 1, or have no probabilities at all where there is no background.

    Attributes
    ----------
    rows: the rows (k) of the grid that this slab covers.
    start: ``(j, i)`` of the first voxel of the box.
    classes: int64 ``(c,)``: leaf indices, increasing.
    values: float32 ``(c, rows, j, i)``: probabilities in 0..1 that sum to at most 1.
    """

    rows: slice
    start: tuple[int, int]
    classes: npt.NDArray[np.int64]
    values: FloatArray

    @staticmethod
    def full(values: FloatArray, row: int = 0) -> Slab:
        """Return the slab of all classes and whole rows: ``values`` is ``(C, rows, j, i)``, from row ``row`` on."""
        return Slab(slice(row, row + values.shape[1]), (0, 0), np.arange(values.shape[0]), values)

    def dense(self, classes: int, shape: tuple[int, int, int], background: int | None = 0) -> FloatArray:
        """Return all classes of whole rows: float32 ``(classes, rows, j, i)``; ``shape`` is the grid's (k, j, i)."""
        out = np.zeros((classes, self.rows.stop - self.rows.start, *shape[1:]), np.float32)
        if background is not None:
            out[background] = 1
        j, i = (slice(n, n + size) for n, size in zip(self.start, self.values.shape[2:], strict=True))
        if self.values.size:
            out[:, :, j, i] = 0
            out[self.classes, :, j, i] = self.values
        return out


def resample_dense_slabs(
    dense: FloatArray,
    source: Geometry,
    target: Geometry,
    background: int | None = 0,
    *,
    negligible: float = 5e-4,
    most_values: int = _MOST_VALUES,
) -> Iterator[Slab]:
    """Bring a dense distribution to another grid, a few rows of it at a time, in order.

    The kernel is that of :func:`softseg.soft.resample.resample_labels`. Outside the source grid all is background.

    Parameters
    ----------
    dense: float32 (or float16) ``(C, k, j, i)`` on ``source``: probabilities in 0..1 that sum to at most 1.
    source, target: grids in any orientation; fastest when their axes are parallel.
    background: leaf index of the background, ``None`` where there is none (then nothing is left out, and the
        probabilities outside the source grid are 0).
    negligible: classes that stay below ``negligible / C`` in all rows a slab needs are left out of it, so at most this
        probability goes missing in a voxel (our default).
    most_values: how many values a slab may hold; sets the number of rows.

    Raises
    ------
    ValueError: ``dense`` does not lie on ``source``.
    """
    if dense.ndim != 4 or dense.shape[1:] != source.shape:
        raise ValueError(f"expected a distribution of shape (C, {source.shape}), got {dense.shape}")
    grids = align(source, target)
    least = negligible / dense.shape[0]
    if grids is None:
        yield from _slabs_by_points(dense, source, target, background, least, most_values)
        return
    turned = grids.turn(dense)
    peaks = _peaks(turned, background)
    per_row = dense.shape[0] * target.shape[1] * target.shape[2]
    for rows in _row_groups(target.shape[0], max(1, most_values // per_row)):
        yield _aligned_slab(turned, grids, rows, peaks, background, least)


def _row_groups(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _peaks(dense: FloatArray, background: int | None) -> FloatArray:
    """Return the largest probability of each class (for the background: of all others) in each row: ``(C, rows)``."""
    peaks = np.stack([volume.max(axis=(1, 2)) for volume in dense]).astype(np.float32)
    if background is not None:
        peaks[background] = 1 - dense[background].min(axis=(1, 2))
    return peaks


def _empty(rows: slice) -> Slab:
    return Slab(rows, (0, 0), np.zeros(0, np.int64), np.zeros((0, rows.stop - rows.start, 0, 0), np.float32))


def _aligned_slab(
    turned: FloatArray, grids: AlignedGrids, rows: slice, peaks: FloatArray, background: int | None, least: float
) -> Slab:
    k_axis = grids.axes[0].rows(rows.start, rows.stop)
    needed = _span(k_axis)
    classes = np.flatnonzero(peaks[:, needed].max(axis=1, initial=0) > least)
    if needed.start == needed.stop or classes.size == 0:
        return _empty(rows)
    boxes = [slice(0, axis.source) for axis in grids.axes[1:]]
    if background is not None:
        faint = (1 - turned[background, needed]) > FAINT
        boxes = [_extent(np.any(faint, axis=(0, 2))), _extent(np.any(faint, axis=(0, 1)))]
        classes = np.union1d(classes, [background])
    targets = [_touching(axis, box) for axis, box in zip(grids.axes[1:], boxes, strict=True)]
    if any(span.start == span.stop for span in targets):
        return _empty(rows)
    first, second = targets
    out = np.empty(
        (classes.size, rows.stop - rows.start, first.stop - first.start, second.stop - second.start), np.float32
    )
    axes = [
        k_axis.within(needed.start, needed.stop),
        grids.axes[1].rows(first.start, first.stop).within(boxes[0].start, boxes[0].stop),
        grids.axes[2].rows(second.start, second.stop).within(boxes[1].start, boxes[1].stop),
    ]
    for position, class_ in enumerate(classes):
        part = np.ascontiguousarray(turned[class_, needed, boxes[0], boxes[1]], np.float32)
        if class_ == background:  # as the probability beside it, which is 0 outside the box
            part = 1 - part
        for axis, weights in enumerate(axes):
            part = weights.apply(part, axis)
        out[position] = 1 - part if class_ == background else part
    return Slab(rows, (first.start, second.start), classes, out)


def _span(axis: AxisWeights) -> slice:
    used = axis.indices[axis.weights > 0]
    return slice(int(used.min()), int(used.max()) + 1) if used.size else slice(0, 0)


def _extent(mask: npt.NDArray[np.bool_]) -> slice:
    where = np.flatnonzero(mask)
    return slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 0)


def _touching(axis: AxisWeights, box: slice) -> slice:
    touches = (axis.weights > 0) & (axis.indices >= box.start) & (axis.indices < box.stop)
    return _extent(np.any(touches, axis=1))


def _slabs_by_points(
    dense: FloatArray, source: Geometry, target: Geometry, background: int | None, least: float, most_values: int
) -> Iterator[Slab]:
    from scipy import ndimage  # 0.1 s to load, and only oblique grids need it

    near = np.ones(source.shape, np.uint8)
    if background is not None:
        faint = ((1 - dense[background]) > FAINT).astype(np.uint8)
        near = ndimage.maximum_filter(faint, [2 * n + 1 for n in reach(source, target)], mode="nearest")
    peaks = _peaks(dense, background)
    per_row = dense.shape[0] * target.shape[1] * target.shape[2]
    for rows in _row_groups(target.shape[0], max(1, most_values // per_row)):
        yield _sampled_slab(dense, source, target, rows, near, peaks, background, least)


def _sampled_slab(
    dense: FloatArray,
    source: Geometry,
    target: Geometry,
    rows: slice,
    near: npt.NDArray[np.uint8],
    peaks: FloatArray,
    background: int | None,
    least: float,
) -> Slab:
    near_mask = nearest_values(near, source, target, rows, 0) > 0
    if not near_mask.any():
        return _empty(rows)
    j, i = _extent(np.any(near_mask, axis=(0, 2))), _extent(np.any(near_mask, axis=(0, 1)))
    inner = np.argwhere(near_mask[:, j, i])
    plane = target.shape[1] * target.shape[2]
    flat = np.flatnonzero(near_mask) + rows.start * plane
    classes = np.flatnonzero(peaks.max(axis=1) > least) if background is None else np.arange(dense.shape[0])
    out = np.zeros((classes.size, *near_mask[:, j, i].shape), np.float32)
    if background is not None:
        out[background] = 1
    step = max(1, _CHUNK_ENTRIES // 8)
    for first in range(0, flat.size, step):
        where, weight = sample_points(source, target, flat[first : first + step])
        k_at, j_at, i_at = inner[first : first + step].T
        span = slice(int(where.min()) // _plane(source), int(where.max()) // _plane(source) + 1)
        for position, class_ in enumerate(classes):
            if peaks[class_, span].max() > least:
                probability = np.einsum("nm,nm->n", dense[class_].reshape(-1)[where], weight)
                out[position, k_at, j_at, i_at] = probability
        if background is not None:  # sampled as the probability beside it, so that it is whole outside the source
            beside = np.einsum("nm,nm->n", 1 - dense[background].reshape(-1)[where], weight)
            out[background, k_at, j_at, i_at] = 1 - beside
    present = out.any(axis=(1, 2, 3))
    return Slab(rows, (j.start, i.start), classes[present], out[present])


def _plane(geometry: Geometry) -> int:
    return geometry.shape[1] * geometry.shape[2]
