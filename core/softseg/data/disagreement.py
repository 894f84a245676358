"""Raters who disagree at borders, made from one label map, so that the truth about their disagreement is known.

People draw the same structure a little larger or smaller, a little beside it, and each border now inside, now outside.
That is imitated here, by rules that are ours, within bounds in mm that the caller states:

- **shift**: the whole map is moved, by less than a voxel or by several; another vector for each rater and scan.
- **border**: every class gets an offset that is added to its signed distance (mm, positive inside); the class with the
  largest sum wins the voxel. A border between two classes moves by half the difference of their offsets, so by at most
  ``border``, and structures grow, shrink and yield to each other without gaps or overlaps. A part of the offset is the
  rater's habit (the same in all scans: this one draws large), the rest a smooth random field of each scan.

Where slices are thick nothing moves across them, as people draw slice by slice.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from softseg.errors import InputError
from softseg.types import FloatArray

SCALE_MM = 3.0
"""Distance over which a rater's border goes from too far out to too far in (our default)."""

HABIT = 0.5
"""Part of the border's bound that is the same in all scans of a rater (our default)."""

THICK = 3.0
"""Nothing moves along an axis whose voxels are more than this many times longer than the shortest (our default, the
ratio from which plans are 2D, too)."""

LabelMap = npt.NDArray[np.integer[Any]]
Box = tuple[slice, ...]


@dataclass(frozen=True)
class Disagreement:
    """How much simulated raters disagree.

    Attributes
    ----------
    count: raters.
    shift_mm: a map is moved by at most this.
    border_mm: further shift of borders, at most this; the standard deviation is about a quarter of it.
    scale_mm: distance of the independent values between which the offset of a border runs smoothly.
    habit: part of ``border_mm`` that a rater repeats in every scan, 0..1.
    """

    count: int
    shift_mm: float = 0.5
    border_mm: float = 0.5
    scale_mm: float = SCALE_MM
    habit: float = HABIT

    def __post_init__(self) -> None:
        for field, good, expected in (
            ("count", self.count >= 1, "at least 1"),
            ("shift", 0 <= self.shift_mm < math.inf, "mm, 0 or more"),
            ("border", 0 <= self.border_mm < math.inf, "mm, 0 or more"),
            ("scale", 0 < self.scale_mm < math.inf, "mm, more than 0"),
            ("habit", 0 <= self.habit <= 1, "a fraction, 0 to 1"),
        ):
            if not good:
                value = getattr(self, field if field in ("count", "habit") else f"{field}_mm")
                raise InputError(f"expected {expected}, got {value}", field=field)


def simulate_raters(
    labels: LabelMap,
    how: Disagreement,
    spacing: Sequence[float],
    *,
    seed: int = 0,
    scan: int = 0,
    unlabelled: int | None = None,
) -> list[LabelMap]:
    """Return the label maps that several raters would draw of one scan.

    A voxel keeps its label in all of them where no other label is within ``shift_mm + border_mm`` and a voxel's
    diagonal; elsewhere it may get a label that is so near, no other. A structure that is thinner than the bounds may
    be missed by a rater.

    Parameters
    ----------
    labels: integers ``(k, j, i)``, any classes; 0 is a class like the others.
    how: number of raters and bounds.
    spacing: voxel size in mm, ``(k, j, i)``.
    seed: the same seed gives the same raters.
    scan: number of the scan; raters keep their habits from scan to scan, all else is new.
    unlabelled: voxels of this value keep it, and no other voxel gets it.

    Returns
    -------
    One array per rater, of the type and shape of ``labels``.

    Raises
    ------
    InputError: ``labels`` has not three axes, or the voxel size not three positive numbers.
    """
    if labels.ndim != 3 or len(spacing) != 3 or min(spacing) <= 0:
        raise InputError(f"expected a label map (k, j, i) with its voxel size, got {labels.ndim} axes, {spacing} mm")
    grid = _Moved.of(labels.shape, spacing)
    crop = _around(labels != _most_common(labels), grid.margin(how))
    inside = labels[crop]
    distances = list(_signed_distances(inside, grid, how, unlabelled))
    raters = []
    for rater in range(how.count):
        drawn = labels.copy()
        if len(distances) > 1:
            drawn[crop] = _draw(inside, distances, grid, how, (seed, rater, scan))
            if unlabelled is not None:
                drawn[labels == unlabelled] = unlabelled
        raters.append(drawn)
    return raters


def agreement(raters: Sequence[LabelMap]) -> dict[int, float]:
    """Return by label value the mean Dice of all pairs of raters; values that no rater drew are left out.

    A pair of which one drew the structure and the other did not counts as 0, one of which neither did not at all.
    """
    values = np.unique(np.concatenate([np.unique(rater) for rater in raters]))
    sums: dict[int, list[float]] = {}
    counts = [_counts(rater, values) for rater in raters]
    for one, other in itertools.combinations(range(len(raters)), 2):
        both = _counts(raters[one][raters[one] == raters[other]], values)
        for value, shared, total in zip(values, both, counts[one] + counts[other], strict=True):
            if total:
                sums.setdefault(int(value), []).append(2 * float(shared) / float(total))
    return {value: float(np.mean(scores)) for value, scores in sums.items()}


def _counts(array: LabelMap, values: LabelMap) -> npt.NDArray[np.intp]:
    return np.bincount(np.searchsorted(values, array.ravel()), minlength=len(values))


@dataclass(frozen=True)
class _Moved:
    """Voxel size ``(k, j, i)`` in mm, and which axes things move along."""

    spacing: tuple[float, ...]
    axes: tuple[int, ...]

    @staticmethod
    def of(shape: Sequence[int], spacing: Sequence[float]) -> _Moved:
        wide = [axis for axis in range(3) if shape[axis] > 1] or [0, 1, 2]
        finest = min(spacing[axis] for axis in wide)
        return _Moved(tuple(spacing), tuple(axis for axis in wide if spacing[axis] <= THICK * finest))

    @property
    def half_diagonal(self) -> float:
        """Half the diagonal of a voxel in mm, along the axes that things move along."""
        return 0.5 * math.hypot(*(self.spacing[axis] for axis in self.axes))

    def margin(self, how: Disagreement) -> tuple[int, ...]:
        """Return voxels ``(k, j, i)`` beyond which nothing of a class can get."""
        reach = how.shift_mm + how.border_mm
        return tuple(math.ceil(reach / mm) + 2 if axis in self.axes else 0 for axis, mm in enumerate(self.spacing))


def _most_common(labels: LabelMap) -> int:
    values, counts = np.unique(labels, return_counts=True)
    return int(values[counts.argmax()])


def _around(wanted: npt.NDArray[np.bool_], margin: Sequence[int]) -> Box:
    """Return the box of what is wanted with a margin, empty where nothing is."""
    found = ndimage.find_objects(wanted.astype(np.uint8))
    if not found:
        return (slice(0),) * 3
    return tuple(
        slice(max(0, part.start - more), min(size, part.stop + more))
        for part, more, size in zip(found[0], margin, wanted.shape, strict=True)
    )


def _signed_distances(
    labels: LabelMap, grid: _Moved, how: Disagreement, unlabelled: int | None
) -> Iterator[tuple[int, Box, FloatArray]]:
    """Yield value, box and signed distance (mm, positive inside) of every class, in its box and a margin around."""
    for value in np.unique(labels):
        if value != unlabelled:
            here = labels == value
            box = _around(here, grid.margin(how))
            yield int(value), box, _signed_distance(here[box], grid)


def _signed_distance(here: npt.NDArray[np.bool_], grid: _Moved) -> FloatArray:
    """Return the distance to the border, which runs halfway between voxels of which one is inside."""
    far = 1e6  # mm; what lies in another slice is never near
    sampling = np.array([mm if axis in grid.axes else far for axis, mm in enumerate(grid.spacing)])
    signed = np.empty(here.shape, np.float32)
    for part, sign in ((here, 1.0), (~here, -1.0)):
        if part.all():
            signed.fill(sign * far)
            continue
        distance, nearest = ndimage.distance_transform_edt(part, sampling=sampling, return_indices=True)
        own = np.ogrid[tuple(slice(size) for size in here.shape)]
        steps = np.max([np.abs(n - place) for n, place in zip(nearest, own, strict=True)], axis=0)
        signed[part] = (sign * distance * (1 - 0.5 / np.maximum(steps, 1)))[part]
    return signed


def _draw(
    labels: LabelMap,
    distances: Sequence[tuple[int, Box, FloatArray]],
    grid: _Moved,
    how: Disagreement,
    who: tuple[int, int, int],
) -> LabelMap:
    """Return one rater's map of one scan."""
    seed, rater, scan = who
    voxels = _shift(how.shift_mm, grid, np.random.default_rng([seed, rater, scan, 0]))
    drawn: LabelMap = labels.copy()
    best = np.full(labels.shape, -np.inf, np.float32)
    for value, box, distance in distances:
        habit = np.random.default_rng([seed, rater, value]).uniform(-1, 1)
        field = _smooth(labels.shape, box, grid, how.scale_mm, np.random.default_rng([seed, rater, scan, value]))
        place = ndimage.shift(distance, voxels, order=1, mode="nearest") if any(voxels) else distance
        score = place + np.float32(how.border_mm) * (np.float32(how.habit * habit) + np.float32(1 - how.habit) * field)
        # behind a thin structure offsets add up: a class that is further away than the bound does not compete
        wins = (score > best[box]) & (place >= -np.float32(how.border_mm + grid.half_diagonal))
        drawn[box][wins] = value
        best[box][wins] = score[wins]
    return drawn


def _shift(most: float, grid: _Moved, generator: np.random.Generator) -> list[float]:
    """Return a shift in voxels ``(k, j, i)``, anything of at most ``most`` mm being as likely as anything else."""
    way = generator.normal(size=len(grid.axes))
    length = most * generator.random() ** (1 / len(grid.axes)) / max(float(np.linalg.norm(way)), 1e-12)
    voxels = [0.0, 0.0, 0.0]
    for axis, part in zip(grid.axes, way, strict=True):
        voxels[axis] = float(part) * length / grid.spacing[axis]
    return voxels


def _smooth(shape: Sequence[int], box: Box, grid: _Moved, scale: float, generator: np.random.Generator) -> FloatArray:
    """Return a smooth random field in -1..1 in ``box``: cubic B-splines whose coefficients are -1 or 1 at random.

    B-splines are averages of their coefficients, so the bounds hold everywhere. Slices have fields of their own.
    """
    counts, weights = [], []
    for axis, size in enumerate(shape):
        if axis in grid.axes:
            place = np.arange(size) * grid.spacing[axis] / scale + generator.random()
            counts.append(int(place[-1]) + 4)
            weights.append(_cubic(place[box[axis]], counts[-1]))
        else:
            counts.append(size)
            weights.append(np.eye(size, dtype=np.float32)[box[axis]])
    field = generator.choice(np.array([-1, 1], np.float32), counts)
    for weight in weights:  # each turns the first axis and brings it to the end
        field = np.tensordot(field, weight, axes=(0, 1))
    return np.asarray(field, np.float32)


def _cubic(place: npt.NDArray[np.floating], count: int) -> FloatArray:
    """Return the weights ``[places, count]`` of cubic B-splines at ``place`` >= 0, in units of their distance."""
    first = np.floor(place).astype(np.intp)
    t = place - first
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((len(place), count), np.float32)
    for offset, part in enumerate(parts):
        weights[np.arange(len(place)), first + offset] = part / 6
    return weights
