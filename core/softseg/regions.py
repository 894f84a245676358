"""Where each label of a label map lies, and a digest of its shape by which a change of it is known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage


@dataclass(frozen=True)
class LabelRegion:
    """The voxels of one label.

    Attributes
    ----------
    box: slices ``(k, j, i)`` of the smallest box that holds them, counted as the array counts.
    digest: another one where shape or place within the array differ; SHA-256 in hexadecimal digits.
    """

    box: tuple[slice, slice, slice]
    digest: str


def label_regions(labels: npt.NDArray[Any], values: Iterable[int]) -> dict[int, LabelRegion]:
    """Return the regions of some label values; values without voxels are left out.

    Parameters
    ----------
    labels: non-negative integers ``(k, j, i)``.
    values: label values, 1 or more.

    Raises
    ------
    ValueError: a value is below 1.
    """
    wanted = sorted(set(values))
    if not wanted:
        return {}
    if wanted[0] < 1:
        raise ValueError(f"label values begin with 1, got {wanted[0]}")
    boxes: list[Any] = ndimage.find_objects(labels, max_label=wanted[-1])
    return {value: _region(labels, value, boxes[value - 1]) for value in wanted if boxes[value - 1] is not None}


def _region(labels: npt.NDArray[Any], value: int, box: tuple[slice, slice, slice]) -> LabelRegion:
    mask = labels[box] == value
    digest = hashlib.sha256(repr([(part.start, part.stop) for part in box]).encode())
    digest.update(np.packbits(mask).tobytes())
    return LabelRegion(box, digest.hexdigest())
