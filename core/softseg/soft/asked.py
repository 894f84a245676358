"""What sums were asked lately, and what they answered: after a change of few voxels only these are asked again."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from softseg.soft.pieces import Indices

_Sums = TypeVar("_Sums")
_Array = npt.NDArray[Any]
_Totals = tuple[npt.NDArray[np.float64], ...]
_MOST_IMAGES = 3  # the labels that are shown, the map over them, and one that was shown before
_MOST_TOTALS = 32  # short arrays, one question for each level of a tree


class Asked(Generic[_Sums]):
    """Questions and their answers: images, one value for each voxel of a box, and totals over the box."""

    def __init__(self) -> None:
        self._images: dict[Hashable, tuple[Callable[[_Sums], _Array], _Array]] = {}
        self._totals: dict[Hashable, tuple[Callable[[_Sums], _Totals], _Totals]] = {}

    def image(self, key: Hashable, sums: _Sums, ask: Callable[[_Sums], Any]) -> Any:
        """Return ``ask(sums)``, an array over the voxels, known or asked now; it cannot be written.

        Parameters
        ----------
        key: what is asked.
        sums: those that these answers are of.
        ask: asks any sums.
        """
        known = self._images.pop(key, None)
        answer = ask(sums) if known is None else known[1]
        answer.flags.writeable = False
        _keep(self._images, key, (ask, answer), _MOST_IMAGES)
        return answer

    def totals(self, key: Hashable, sums: _Sums, ask: Callable[[_Sums], _Totals]) -> _Totals:
        """Return copies of ``ask(sums)``, arrays of sums over the voxels; see :meth:`image`."""
        known = self._totals.pop(key, None)
        answer = ask(sums) if known is None else known[1]
        _keep(self._totals, key, (ask, answer), _MOST_TOTALS)
        return tuple(each.copy() for each in answer)

    def clear(self) -> None:
        """Forget all answers."""
        self._images.clear()
        self._totals.clear()

    def follow(self, earlier: Asked[_Sums], places: Indices, before: _Sums, changed: _Sums) -> None:
        """Know what ``earlier`` answered, with a change of few voxels.

        Parameters
        ----------
        earlier: answers before the change; they forget their images, which take as much memory as the labels.
        places: the voxels that change.
        before, changed: the sums of these voxels alone, in the same order, as they were and as they are.
        """
        for key, (ask, image) in earlier._images.items():
            answer = image.copy()
            answer[places] = ask(changed)
            answer.flags.writeable = False
            self._images[key] = (ask, answer)
        earlier._images.clear()
        for key, (add, totals) in earlier._totals.items():
            parts = zip(totals, add(before), add(changed), strict=True)
            self._totals[key] = (add, tuple(total - was + now for total, was, now in parts))


def _keep(answers: dict[Hashable, Any], key: Hashable, answer: Any, most: int) -> None:
    answers[key] = answer
    if len(answers) > most:
        del answers[next(iter(answers))]
