"""Look-ups and counts of label maps, a part at a time: numpy makes 8 bytes of every index that it is given at once."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

_Number = TypeVar("_Number", bound=np.generic)
_PART = 1 << 16  # voxels whose indices stay within a processor's cache


def look_up(labels: npt.NDArray[np.integer[Any]], table: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return ``table[labels]``; values beyond the table are looked up as its last place.

    Parameters
    ----------
    labels: non-negative integers of any shape.
    table: one-dimensional, at least one place.
    """
    if labels.dtype == np.uint8 and table.dtype.kind == "u" and int(table.max()) < 256:
        codes = np.full(256, table[-1], np.uint8)
        codes[: table.size] = table[:256]
        plain = np.frombuffer(labels.tobytes().translate(codes.tobytes()), np.uint8)  # twice as fast
        return plain.astype(table.dtype).reshape(labels.shape)
    flat, out = labels.reshape(-1), np.empty(labels.size, table.dtype)
    for first in range(0, flat.size, _PART):
        part = slice(first, first + _PART)
        np.take(table, flat[part], mode="clip", out=out[part])
    return out.reshape(labels.shape)


def value_counts(labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.int64]:
    """Return how often each value occurs, 0 up to the largest, as ``np.bincount`` of the flattened labels does."""
    flat, out = labels.reshape(-1), np.zeros(int(labels.max()) + 1 if labels.size else 0, np.int64)
    for first in range(0, flat.size, _PART):
        found = np.bincount(flat[first : first + _PART])
        out[: found.size] += found
    return out
