"""Integer label maps: from label values to class indices, to other values, and back, by one look-up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.tree.node import MAX_VALUE

WHOLE = 1e-3
"""Values of a label map that are so near to whole numbers are rounded, with a warning (our default)."""


def whole_numbers(labels: npt.ArrayLike) -> npt.NDArray[np.integer[Any]]:
    """Return the array with an integer type; floats must be whole.

    Raises
    ------
    InputError: a value is not a whole number.
    """
    array = np.asarray(labels)
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.integer):
        return array
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"expected a label map of whole numbers, got type {array.dtype}")
    whole = np.isfinite(array) & (array == np.trunc(array))
    if not whole.all():
        raise InputError(
            f"expected a label map of whole numbers, got {array[~whole].flat[0]:g}",
            hint="soft maps are given per node, not as label values",
        )
    return array.astype(np.int64)


@dataclass(frozen=True, eq=False)
class Rounded:
    """Label values that were whole numbers, or so near to them that a scale factor or one rounding step explains it.

    Attributes
    ----------
    values: int32 (int64 where they are too large), same shape.
    count: how many values differed from a whole number.
    largest: the largest difference.
    """

    values: npt.NDArray[np.integer[Any]]
    count: int
    largest: float

    @property
    def note(self) -> str:
        """One sentence for the user, empty where nothing was rounded."""
        if not self.count:
            return ""
        return f"{self.count} values were rounded to whole label values, the largest difference was {self.largest:.2g}"


def nearly_whole(array: npt.NDArray[Any]) -> Rounded | None:
    """Return the label values of a float array if all lie within :data:`WHOLE` of whole numbers, None if one does not.

    Parameters
    ----------
    array: finite floats, any shape.
    """
    whole = np.rint(array)
    differs = whole != array
    count = int(np.count_nonzero(differs))
    largest = float(np.abs(whole[differs] - array[differs].astype(np.float64)).max()) if count else 0.0
    if largest > WHOLE:
        return None
    highest = max(abs(float(whole.min(initial=0))), abs(float(whole.max(initial=0))))
    return Rounded(whole.astype(np.int32 if highest < 2**31 else np.int64), count, largest)


def farthest_from_whole(array: npt.NDArray[Any]) -> str:
    """Return the value that is farthest from a whole number and its voxel ``(i, j, k)``, for messages."""
    place = np.unravel_index(int(np.abs(np.rint(array) - array).argmax()), array.shape)
    voxel = ", ".join(str(int(index)) for index in reversed(place))
    return f"{float(array[place]):.6g} at voxel ({voxel})"


def look_up(
    labels: npt.ArrayLike, table: Mapping[int, int], dtype: npt.DTypeLike, what: str
) -> npt.NDArray[np.integer[Any]]:
    """Return ``labels`` with every value replaced by ``table``.

    Parameters
    ----------
    labels: integers (or whole floats), any shape.
    table: from old value, 0..65535, to new.
    dtype: type of the result.
    what: where the values should be found, for the message.

    Raises
    ------
    InputError: a value is not in ``table``; it names up to five of them.
    """
    array = whole_numbers(labels)
    size = max(table, default=-1) + 1
    strange = _outside(array, size)
    if not strange.size:
        present, known = np.zeros((2, size), dtype=np.bool_)
        present[array] = True
        known[list(table)] = True
        strange = np.flatnonzero(present & ~known)
    if strange.size:
        shown = ", ".join(str(value) for value in strange[:5]) + (", ..." if strange.size > 5 else "")
        word = "value" if strange.size == 1 else "values"
        raise InputError(f"label {word} {shown} not in {what}", hint="add the node to the tree or correct the labels")
    target = np.zeros(size, dtype=dtype)
    target[list(table)] = list(table.values())
    return np.asarray(target[array])


def _outside(array: npt.NDArray[np.integer[Any]], size: int) -> npt.NDArray[np.integer[Any]]:
    """Return the values that are not within 0..size-1, each once."""
    if not array.size or (array.min() >= 0 and array.max() < size):
        return array.ravel()[:0]
    return np.unique(array[(array < 0) | (array >= size)])


def free_values(taken: set[int], count: int) -> list[int]:
    """Return ``count`` label values that are not taken: the next above the highest, else the smallest free ones.

    Raises
    ------
    InputError: fewer than ``count`` of 1..65535 are free.
    """
    first = max(taken, default=0) + 1
    if first + count - 1 <= MAX_VALUE:
        return list(range(first, first + count))
    free = [value for value in range(1, MAX_VALUE + 1) if value not in taken][:count]
    if len(free) < count:
        raise InputError(f"the tree needs {count} more label values and only {len(free)} of 1..{MAX_VALUE} are free")
    return free
