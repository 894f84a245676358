"""Where the voxels of a patch come from, and how images and label distributions are read there.

Both are interpolated linearly with the same corners and weights: a label is a distribution, and a mixture of
distributions is a distribution. Only the classes that a source voxel holds are touched, never a dense volume of all
classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softseg.data.augmentation import AugmentationSpec, smooth_field
from softseg.soft.labels import SoftLabels
from softseg.types import BoolArray, FloatArray

FEW_ROWS = 6
"""Up to so many rows, a label patch is made by way of dense maps (measured)."""


MANY_CHANNELS = 8
"""From so many channels on, an image patch is gathered spectrum by spectrum (measured)."""


_QUARTER = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])  # by 90 degrees within a slice


@dataclass(frozen=True, eq=False)
class PatchGrid:
    """The source positions of a patch's voxels.

    Attributes
    ----------
    shape: of the patch, ``(k, j, i)`` (one slice in 2D).
    coordinates: three float32 tensors of ``prod(shape)`` continuous indices k, j, i into the case, not clipped; one
        number instead where it is the same for all voxels (k of a slice).
    mirrored: whether left and right were swapped.
    """

    shape: tuple[int, int, int]
    coordinates: tuple[Tensor, Tensor, Tensor]
    mirrored: bool


def random_grid(
    centre: npt.NDArray[np.float64],
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    left_right_axis: int,
    spec: AugmentationSpec,
    generator: np.random.Generator,
) -> PatchGrid:
    """Draw a rotation, zoom, bend and mirroring about ``centre``.

    Parameters
    ----------
    centre: index (k, j, i) in the case of the patch's middle.
    shape: of the patch; one slice (2D) is changed within its plane only.
    spacing: mm, (k, j, i).
    left_right_axis: which of these axes is mirrored; no mirroring if it is the slice axis of a 2D patch.
    spec, generator: what to draw; numbers are drawn in a fixed order whether or not a change is made.
    """
    flat = shape[0] == 1
    wanted = generator.random(4)
    angles = np.deg2rad(spec.rotation_degrees) * generator.uniform(-1, 1, 3)
    zoom = np.exp(generator.uniform(np.log(spec.scale[0]), np.log(spec.scale[1])))
    bend_seed = int(generator.integers(0, 2**31))
    matrix = np.eye(3)
    if wanted[0] < spec.rotation_probability:
        matrix = _rotation(angles * np.array([1.0, 0.0, 0.0]) if flat else angles)
    if wanted[1] < spec.scale_probability:
        matrix = matrix @ np.diag([1.0 if flat else zoom, zoom, zoom])
    quarters = np.random.default_rng([bend_seed, 1])  # so that the other numbers stay what they were without it
    if flat and quarters.random() < spec.quarter_turn_probability:
        matrix = matrix @ np.linalg.matrix_power(_QUARTER, int(quarters.integers(1, 4)))
    mirrored = bool(wanted[3] < spec.mirror_probability) and not (flat and left_right_axis == 0)
    if mirrored:
        matrix = matrix @ np.diag([-1.0 if axis == left_right_axis else 1.0 for axis in range(3)])
    scale = np.asarray(spacing)
    matrix = matrix * scale[None, :] / scale[:, None]
    offsets = [torch.arange(size, dtype=torch.float32) - (size - 1) / 2 for size in shape]
    bend = None
    if wanted[2] < spec.elastic_probability and spec.elastic_mm > 0:
        bend = _bend(shape, spacing, spec, bend_seed)
    return PatchGrid(shape, _positions(matrix, offsets, centre, bend), mirrored)


def _positions(
    matrix: npt.NDArray[np.float64], offsets: list[Tensor], centre: npt.NDArray[np.float64], bend: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    k, j, i = offsets[0][:, None, None], offsets[1][None, :, None], offsets[2][None, None, :]
    rows = []
    for axis in range(3):
        a, b, c = (float(value) for value in matrix[axis])
        if k.shape[0] == 1 and b == c == 0 and (bend is None or axis == 0):  # one slice: nothing moves across its plane
            rows.append(torch.tensor([float(centre[axis])]))
            continue
        row = a * k + b * j + (c * i + float(centre[axis]))
        if bend is not None:
            row = row + bend[axis]
        rows.append(row.expand(k.shape[0], j.shape[1], i.shape[2]).reshape(-1))
    return rows[0], rows[1], rows[2]


def _bend(
    shape: tuple[int, int, int], spacing: tuple[float, float, float], spec: AugmentationSpec, seed: int
) -> Tensor:
    """Return displacements in voxels ``[3, k, j, i]``; none across the plane of a single slice."""
    used = [axis for axis in range(3) if shape[axis] > 1]
    coarse = [2 + int(shape[axis] * spacing[axis] / spec.elastic_knot_mm) for axis in used]
    knots = np.random.default_rng(seed).uniform(-spec.elastic_mm, spec.elastic_mm, (len(used), *coarse))
    field = smooth_field(knots.astype(np.float32), tuple(shape[axis] for axis in used))
    out = torch.zeros(3, *shape)
    for position, axis in enumerate(used):
        out[axis] = (field[position] / spacing[axis]).reshape(shape)
    return out


def _rotation(angles: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the product of rotations by ``angles`` about the axes k, j, i, for vectors ``(k, j, i)``."""
    out = np.eye(3)
    for axis, angle in enumerate(angles):
        one, two = (other for other in range(3) if other != axis)
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = np.cos(angle)
        turn[one, two], turn[two, one] = -np.sin(angle), np.sin(angle)
        out = out @ turn
    return out


@dataclass(frozen=True, eq=False)
class Corners:
    """The voxels of a box around a patch, and which of them enter each patch voxel with which weight.

    Attributes
    ----------
    box: slices (k, j, i) of the case.
    parts: per corner, flat indices into the box (int64 ``[N]``) and weights (float32 ``[N]``), sum 1 over corners.
    inside: whether each patch voxel lies within the case (bool ``[N]``), or None when all do.
    """

    box: tuple[slice, slice, slice]
    parts: tuple[tuple[Tensor, Tensor], ...]
    inside: Tensor | None

    @property
    def count(self) -> int:
        """Voxels of the patch."""
        return self.parts[0][0].shape[0]

    def within(self, first: int | slice) -> tuple[int | slice, slice, slice, slice]:
        """Return the index of the box in an array with one axis in front."""
        return first, self.box[0], self.box[1], self.box[2]

    @staticmethod
    def of(grid: PatchGrid, case_shape: tuple[int, int, int]) -> Corners:
        """Find them; positions outside the case are moved to its border."""
        inside: Tensor | None = None
        bases, fractions, slices = [], [], []
        for position, size in zip(grid.coordinates, case_shape, strict=True):
            least, most = (float(end) for end in position.aminmax())
            if least < -0.5 or most > size - 0.5:
                here = (position >= -0.5) & (position <= size - 0.5)
                inside = here if inside is None else inside & here
            if least < 0 or most > size - 1:
                position = position.clamp(0, size - 1)
            base = position.floor().clamp_max_(max(0, size - 2))
            fraction = position - base
            between = bool(fraction.any())
            low, high = (int(end) for end in base.aminmax())
            slices.append(slice(low, high + 1 + between))
            fractions.append(fraction if between else None)
            bases.append(base.sub_(low).long())
        width = slices[2].stop - slices[2].start
        strides = (width * (slices[1].stop - slices[1].start), width, 1)
        start = bases[0] * strides[0] + bases[1] * strides[1] + bases[2]
        box = (slices[0], slices[1], slices[2])
        return Corners(box, tuple(_corner_parts(start, fractions, strides)), inside)


def _corner_parts(
    start: Tensor, fractions: list[Tensor | None], strides: tuple[int, int, int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield index and weight of each corner; ``fractions`` is None along an axis on whose voxels the patch lies."""
    sides = [(None,) if fraction is None else (1 - fraction, fraction) for fraction in fractions]
    for corner in itertools.product(*(range(len(side)) for side in sides)):
        weight: Tensor | None = None
        for axis, side in enumerate(corner):
            part = sides[axis][side]
            if part is not None:
                weight = part if weight is None else weight * part
        step = sum(side * stride for side, stride in zip(corner, strides, strict=True))
        every = torch.ones(()) if weight is None else weight
        yield start + step if step else start, every.expand(start.shape)


def read_image_patch(image: FloatArray, corners: Corners) -> Tensor:
    """Return float32 ``[channels, N]`` of ``image`` ``[channels, k, j, i]``; the border is repeated outside."""
    if len(image) >= MANY_CHANNELS:
        box = np.asarray(image[corners.within(slice(None))]).reshape(len(image), -1)
        return _interpolate_spectra(torch.from_numpy(np.array(box.T, order="C")), corners)
    return _interpolate(torch.from_numpy(np.array(image[corners.within(slice(None))])).flatten(1), corners)


def _interpolate(box: Tensor, corners: Corners) -> Tensor:
    """Return float32 ``[channels, N]`` of maps ``[channels, n]`` of the box."""
    out = torch.zeros(box.shape[0], corners.count)
    for index, weight in corners.parts:
        for channel in range(box.shape[0]):
            out[channel].addcmul_(box[channel].index_select(0, index), weight)
    return out


def _interpolate_spectra(box: Tensor, corners: Corners) -> Tensor:
    """Return float32 ``[channels, N]`` of spectra ``[n, channels]`` of the box: whole spectra are moved at once."""
    out: Tensor | None = None
    for index, weight in corners.parts:
        part = box.index_select(0, index).mul_(weight[:, None])
        out = part if out is None else out.add_(part)
    return torch.zeros(box.shape[1], corners.count) if out is None else out.T.contiguous()


def read_mask_patch(mask: BoolArray, corners: Corners) -> Tensor:
    """Return bool ``[N]``: whether at least half of what enters a patch voxel lies in ``mask`` ``(k, j, i)``."""
    return _interpolate(torch.from_numpy(mask[corners.box].astype(np.float32)).view(1, -1), corners)[0] >= 0.5


def add_label_patch(labels: SoftLabels, corners: Corners, row_of_class: Tensor, out: Tensor) -> None:
    """Add the distribution of a patch to ``out``: nothing outside the case and where it is unlabelled.

    Parameters
    ----------
    labels: of the case, the slots of each voxel with the largest probability first.
    corners: of the patch.
    row_of_class: int64 ``[classes]``: the row in which each class is counted; -1 leaves it out.
    out: float32 ``[rows, N]``, contiguous.
    """
    if out.shape[0] <= FEW_ROWS:
        _add_few_rows(labels, corners, row_of_class, out)
        return
    count = corners.count
    probabilities = torch.from_numpy(np.array(labels.probabilities[corners.within(slice(None))])).flatten(1)
    used = _used_slots(probabilities)
    places: list[Tensor] = []
    for slot in range(int(used.max())):
        index = torch.from_numpy(labels.indices[corners.within(slot)].astype(np.int64)).flatten()
        row = row_of_class.index_select(0, index)
        probabilities[slot] *= row >= 0
        places.append(row.clamp_min_(0) * count)
    flat, voxels = out.view(-1), torch.arange(count)
    for corner, weight in corners.parts:
        weight = weight if corners.inside is None else weight * corners.inside
        some: Tensor | None = None
        for slot, place in enumerate(places):
            if slot > 0:
                depth = used.index_select(0, corner if some is None else corner.index_select(0, some))
                more = (depth > slot).nonzero().squeeze(1)
                some = more if some is None else some.index_select(0, more)
            at = corner if some is None else corner.index_select(0, some)
            part = weight if some is None else weight.index_select(0, some)
            target = place.index_select(0, at).add_(voxels if some is None else some)
            flat.scatter_add_(0, target, probabilities[slot].index_select(0, at).mul_(part))


def _add_few_rows(labels: SoftLabels, corners: Corners, row_of_class: Tensor, out: Tensor) -> None:
    """Do the same by way of one dense map per row, which is faster while there are few."""
    dense = None
    for slot in range(labels.slots):
        probability = torch.from_numpy(np.array(labels.probabilities[corners.within(slot)])).flatten()
        index = torch.from_numpy(labels.indices[corners.within(slot)].astype(np.int32)).flatten()
        if dense is None:
            row = row_of_class.index_select(0, index)
            dense = torch.stack([probability * (row == position) for position in range(out.shape[0])])
            continue
        some = probability.nonzero().squeeze(1)
        if not len(some):
            break
        row = row_of_class.index_select(0, index.index_select(0, some))
        some, row = some[row >= 0], row[row >= 0]
        dense.view(-1).scatter_add_(0, row * dense.shape[1] + some, probability.index_select(0, some))
    if dense is None:
        return
    part = _interpolate(dense, corners)
    out += part if corners.inside is None else part * corners.inside


def _used_slots(probabilities: Tensor) -> Tensor:
    """Return how many slots, from the first, each voxel of ``probabilities`` ``[K, n]`` uses: uint8 ``[n]``."""
    used = torch.zeros(probabilities.shape[1], dtype=torch.uint8)
    for slot, probability in enumerate(probabilities):
        labelled = probability > 0
        if bool(labelled.any()):
            used[labelled] = slot + 1
    return used


def largest_row(dense: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first row with the largest value, int32 ``[N]``, and that value, of ``dense`` ``[rows, N]``.

    Row by row this is several times faster than ``argmax``, which torch does not vectorise.
    """
    best, row = dense[0].clone(), torch.zeros(dense.shape[1], dtype=torch.int32)
    better = torch.empty(dense.shape[1], dtype=torch.bool)
    for position in range(1, dense.shape[0]):
        torch.gt(dense[position], best, out=better)
        row.masked_fill_(better, position)
        torch.maximum(best, dense[position], out=best)
    return row, best


def classes_in_box(labels: SoftLabels, corners: Corners) -> npt.NDArray[np.int64]:
    """Return the class indices that occur in the box of a patch, ascending."""
    found = np.zeros(labels.classes, np.bool_)
    for slot in range(labels.slots):
        probability = labels.probabilities[corners.within(slot)]
        index = labels.indices[corners.within(slot)]
        found[index[probability > 0]] = True
    return np.flatnonzero(found)
