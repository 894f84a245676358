"""The labels of a case on its scan's own grid, as one soft distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from softseg.data.labels import read_labels, read_mask
from softseg.soft.raters import fuse_raters

if TYPE_CHECKING:
    from softseg.data.case import Case
    from softseg.data.dataset import Dataset
    from softseg.image import Geometry, Image
    from softseg.soft.labels import SoftLabels


def labels_on_scan(
    case: Case, dataset: Dataset, geometry: Geometry, raters: str, warn: Callable[[str], None]
) -> SoftLabels:
    """Return the labels of a case on its scan's grid; nothing outside its mask.

    Parameters
    ----------
    case: of ``dataset``.
    geometry: the scan's.
    raters: how several raters are joined, from the plan; their mean where it draws them at random.
    warn: called with what is odd about the labels.

    Raises
    ------
    InputError: a file is damaged, or labels and scan lie on different grids.
    """

    def take(image: Image) -> npt.NDArray[Any]:
        return image.array

    def note(text: str) -> None:
        warn(f"case {case.id}: {text}")

    several = read_labels(case, dataset, geometry, take, note)
    labels = several[0] if len(several) == 1 else fuse_raters(several, "mean" if raters == "random" else raters)
    if case.mask is None:
        return labels
    return replace(labels, probabilities=labels.probabilities * read_mask(case.mask, geometry, take))
