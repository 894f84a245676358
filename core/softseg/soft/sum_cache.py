"""A cache of node sums: after a change of few voxels only these are summed again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from softseg.soft.chunks import Indices

_Sums = TypeVar("_Sums")
_Array = npt.NDArray[Any]
_Totals = tuple[npt.NDArray[np.float64], ...]
_MOST_IMAGES = 3  # the labels that are shown, the map over them, and one that was shown before
_MOST_TOTALS = 32  # short arrays, one for each level of a tree


class SumCache(Generic[_Sums]):
    """Cached results: images with one value for each voxel of a box, and totals over the box."""

    def __init__(self) -> None:
        self._images: dict[Hashable, tuple[Callable[[_Sums], _Array], _Array]] = {}
        self._totals: dict[Hashable, tuple[Callable[[_Sums], _Totals], _Totals]] = {}

    def image(self, key: Hashable, sums: _Sums, compute: Callable[[_Sums], Any]) -> Any:
        """Return ``compute(sums)``, an array over the voxels, cached or computed now; it is read-only.

        Parameters
        ----------
        key: identifies the result.
        sums: what the results are computed from.
        compute: computes the result from any sums.
        """
        known = self._images.pop(key, None)
        result = compute(sums) if known is None else known[1]
        result.flags.writeable = False
        _keep(self._images, key, (compute, result), _MOST_IMAGES)
        return result

    def totals(self, key: Hashable, sums: _Sums, compute: Callable[[_Sums], _Totals]) -> _Totals:
        """Return copies of ``compute(sums)``, arrays of sums over the voxels; see :meth:`image`."""
        known = self._totals.pop(key, None)
        result = compute(sums) if known is None else known[1]
        _keep(self._totals, key, (compute, result), _MOST_TOTALS)
        return tuple(each.copy() for each in result)

    def clear(self) -> None:
        """Drop all results."""
        self._images.clear()
        self._totals.clear()

    def follow(self, earlier: SumCache[_Sums], places: Indices, before: _Sums, changed: _Sums) -> None:
        """Take over the results of ``earlier`` after a change of few voxels.

        Parameters
        ----------
        earlier: the cache before the change; it drops its images, which take as much memory as the labels.
        places: the voxels that change.
        before, changed: the sums of these voxels alone, in the same order, as they were and as they are.
        """
        for key, (compute, image) in earlier._images.items():
            result = image.copy()
            result[places] = compute(changed)
            result.flags.writeable = False
            self._images[key] = (compute, result)
        earlier._images.clear()
        for key, (add, totals) in earlier._totals.items():
            parts = zip(totals, add(before), add(changed), strict=True)
            self._totals[key] = (add, tuple(total - was + now for total, was, now in parts))


def _keep(results: dict[Hashable, Any], key: Hashable, result: Any, most: int) -> None:
    results[key] = result
    if len(results) > most:
        del results[next(iter(results))]
