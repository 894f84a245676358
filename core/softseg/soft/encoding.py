"""From dense distributions to the few 8-bit shares that a soft parcellation stores.

The scheme is ours. In each voxel the most probable leaves are kept, in tree order, and what is rounded to multiples of
1/255 is not each share but the *cumulated* distribution along that order; a stored share is the difference of two
rounded sums. Every tree node covers neighbouring leaves, so its summed probability is the difference of two cumulated
values as well, each off by at most half a step: a node's error is at most 1/255 plus the mass of the leaves left out,
however many leaves it has. What a left-out leaf had goes to the next kept leaf in tree order, so that coarse nodes,
which mostly contain both, do not change. The stored shares sum to what the given ones sum to.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from softseg.types import FloatArray

SCALE = 255
"""Stored steps per unit of probability."""

MOST_DROPPED = 0.005
"""Where the ``k`` largest leaves would leave out more than this, as many more as needed are kept (our default)."""

_DUST = 1e-3  # leaves are not worth sorting where all of that size together have less than this

Encoded = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64], npt.NDArray[np.uint8]]


def encode(values: FloatArray, k: int) -> Encoded:
    """Compress distributions.

    Parameters
    ----------
    values: float32 ``(N, C)``: a distribution per row, its leaves in tree order; sums of at most 1.
    k: leaves kept in a row, more where these leave out more than ``MOST_DROPPED``.

    Returns
    -------
    counts: uint8 ``(N,)``: stored leaves of each row, at most 255.
    columns: int64, one per stored leaf: its column, row after row, increasing within a row.
    shares: uint8, one per stored leaf: 1..255.

    Raises
    ------
    ValueError: a value is negative or not finite, or a row sums to more than 1 (by more than 0.001).
    """
    count, leaves = values.shape
    cumulated = np.cumsum(values, axis=1, dtype=np.float32)
    total = cumulated[:, -1] if leaves else np.zeros(count, np.float32)
    if values.size and not (values.min() >= -1e-6 and total.max() <= 1.001 and np.isfinite(total).all()):
        raise ValueError("expected finite shares in 0..1 that sum to at most 1 in every voxel")
    keep = values > _DUST / max(1, leaves)
    crowded = np.flatnonzero(keep.sum(axis=1) > k)
    if crowded.size:
        keep[crowded] = _largest(values[crowded], k)
    ends = np.where(keep, _steps(cumulated), np.uint8(0))
    last = leaves - 1 - keep[:, ::-1].argmax(axis=1)
    claimed = np.flatnonzero(keep.any(axis=1))
    ends[claimed, last[claimed]] = _steps(total[claimed])
    np.maximum.accumulate(ends, axis=1, out=ends)
    ends[:, 1:] -= ends[:, :-1].copy()
    rows, columns = np.nonzero(ends)
    return np.bincount(rows, minlength=count).astype(np.uint8), columns, ends[rows, columns]


def _steps(share: FloatArray) -> npt.NDArray[np.uint8]:
    return np.asarray(np.rint(np.clip(share, 0, 1) * np.float32(SCALE)).astype(np.uint8))


def _largest(values: FloatArray, k: int) -> npt.NDArray[np.bool_]:
    """Return which leaves are kept: the ``k`` largest, and more until at most ``MOST_DROPPED`` is left out.

    Leaves as probable as the least of them are kept, too.
    """
    upwards = np.sort(values, axis=1)
    few = (np.cumsum(upwards, axis=1) <= MOST_DROPPED).sum(axis=1)
    least = np.minimum(few, values.shape[1] - k)
    return np.asarray(values >= np.take_along_axis(upwards, least[:, None], axis=1))
