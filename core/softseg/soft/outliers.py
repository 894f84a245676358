"""The outlier score of a stored result: how strange each voxel is to the model, in 8 bits.

A step of the 8 bits is as wide as ``(high - low) / 255``, and the threshold lies in the middle between two steps
(:func:`score_range` sees to it), so that rounding never moves a voxel across it. The scheme is ours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.types import BoolArray, FloatArray

STEPS = 255
"""Largest stored step."""

FEWEST_BELOW = 8
"""Steps that lie below the threshold at least (our default)."""


@dataclass(frozen=True, eq=False)
class StoredOutliers:
    """An outlier score in every voxel of a grid, larger where a voxel is stranger.

    Attributes
    ----------
    score_name: of the score, e.g. ``"energy"``.
    threshold: voxels with a larger score are outliers; in units of the score.
    low, high: scores of step 0 and step 255; what lies beyond is stored as the nearer of the two.
    start: first voxel ``(k, j, i)`` of the stored box; outside it the step is 0.
    steps: uint8 ``(k, j, i)`` of the box.
    shape: ``(k, j, i)`` of the whole grid.
    known: int64, flat indices of voxels that are no outliers, whatever their step: they were corrected. Their
        score is ``low``.
    """

    score_name: str
    threshold: float
    low: float
    high: float
    start: tuple[int, int, int]
    steps: npt.NDArray[np.uint8]
    shape: tuple[int, int, int]
    known: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.threshold, self.low, self.high)) or self.low >= self.high:
            raise ValueError(f"expected finite low < high, got {self.low}, {self.high}, threshold {self.threshold}")
        if self.steps.ndim != 3 or self.steps.dtype != np.uint8:
            raise ValueError(f"expected uint8 steps (k, j, i), got {self.steps.dtype} {self.steps.shape}")
        stop = [first + size for first, size in zip(self.start, self.steps.shape, strict=True)]
        if min(self.start) < 0 or any(last > size for last, size in zip(stop, self.shape, strict=True)):
            raise ValueError(f"expected a box inside {self.shape}, got {self.start} to {tuple(stop)}")

    @classmethod
    def of_volume(
        cls, steps: npt.NDArray[np.uint8], score_name: str, threshold: float, low: float, high: float
    ) -> StoredOutliers:
        """Return what is stored of steps uint8 ``(k, j, i)`` of a whole grid: the smallest box around those above 0."""
        start, box = _box_of(steps)
        kept = np.ascontiguousarray(steps[box])
        return cls(score_name, threshold, low, high, start, kept, (steps.shape[0], steps.shape[1], steps.shape[2]))

    @property
    def box(self) -> tuple[slice, slice, slice]:
        """The stored box (k, j, i)."""
        k, j, i = (slice(first, first + size) for first, size in zip(self.start, self.steps.shape, strict=True))
        return k, j, i

    @property
    def first_step(self) -> int:
        """The first step that is beyond the threshold; 256 where none is."""
        return first_step_beyond(self.threshold, self.low, self.high)

    def degree(self) -> FloatArray:
        """Return the score: float32 ``(k, j, i)``, in its own units, from ``low`` to ``high``."""
        out = np.full(self.shape, np.float32(self.low))
        out[self.box] = np.linspace(self.low, self.high, STEPS + 1).astype(np.float32)[self.steps]
        if self.known is not None:
            out.reshape(-1)[self.known] = np.float32(self.low)
        return out

    def mask(self, threshold: float | None = None) -> BoolArray:
        """Return where the score is beyond the threshold: bool ``(k, j, i)``.

        Parameters
        ----------
        threshold: in units of the score; the stored one by default.
        """
        first = self.first_step if threshold is None else first_step_beyond(threshold, self.low, self.high)
        out = np.full(self.shape, first <= 0)
        out[self.box] = self.steps >= first
        if self.known is not None:
            out.reshape(-1)[self.known] = False
        return out


def first_step_beyond(threshold: float, low: float, high: float) -> int:
    """Return the first of the steps 0..255 whose score is beyond a threshold; 256 where none is."""
    return int(np.clip(math.floor((threshold - low) / (high - low) * STEPS) + 1, 0, STEPS + 1))


def score_range(threshold: float, low: float, high: float) -> tuple[float, float]:
    """Return about the same range, so that a threshold lies in the middle between two of the 256 steps.

    ``high`` moves by at most a seventeenth of the range. A range that ends before the threshold, or soon after it, is
    widened; where fewer than :data:`FEWEST_BELOW` steps would lie below the threshold, ``low`` moves instead.

    Raises
    ------
    ValueError: a number is not finite.
    """
    if not all(math.isfinite(value) for value in (threshold, low, high)):
        raise ValueError(f"expected finite numbers, got {threshold}, {low}, {high}")
    scale = max(abs(threshold), abs(low), abs(high), 1e-6)
    high = max(high, threshold + max((threshold - low) / 8, 1e-3 * scale))
    below = (FEWEST_BELOW + 0.5) / STEPS
    if threshold - low < below * (high - low):
        return (threshold - below * high) / (1 - below), high
    step = math.floor((threshold - low) / (high - low) * STEPS)
    return low, low + (threshold - low) / (step + 0.5) * STEPS


def as_steps(degree: FloatArray) -> npt.NDArray[np.uint8]:
    """Return the steps of scores that are given as their place in the range: 0 at ``low``, 1 at ``high``."""
    return np.asarray(np.rint(np.clip(degree, 0, 1) * np.float32(STEPS)), np.uint8)


def _box_of(steps: npt.NDArray[np.uint8]) -> tuple[tuple[int, int, int], tuple[slice, slice, slice]]:
    places = [np.flatnonzero(steps.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not all(place.size for place in places):
        return (0, 0, 0), (slice(0, 0), slice(0, 0), slice(0, 0))
    k, j, i = (slice(int(place[0]), int(place[-1]) + 1) for place in places)
    return (k.start, j.start, i.start), (k, j, i)
