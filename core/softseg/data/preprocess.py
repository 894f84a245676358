"""From images as they are on disk to what the network sees; the same code for training and prediction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.data.cubes.bands import Bands
from softseg.data.cubes.cube import ChannelImage, Cube, crop, filled, turn
from softseg.data.plan import Crop, Normalization, Plan
from softseg.errors import InputError
from softseg.image import Geometry, Image
from softseg.soft.resample import resample_image
from softseg.system import require_memory
from softseg.types import FloatArray

GRID_TOLERANCE = 0.2
"""Part of a voxel by which the corners of two files' grids may differ and still count as one grid: headers of real
files are rounded differently by different programs (our default)."""

_THICK = 1.5  # slices this many times thicker than their pixels identify the slice axis

_USUAL = (-9, 60)  # binary exponents of an image's largest value that float32 sums and squares well

Box = tuple[slice, slice, slice]


def preprocess_images(
    images: Sequence[ChannelImage], plan: Plan, names: Sequence[str | PathLike[str]] | None = None
) -> tuple[FloatArray, Geometry]:
    """Turn, crop, normalise and resample the channels of one case.

    Parameters
    ----------
    images: one per channel, in the order of ``plan.channels``, on one grid; a channel may be a cube of bands.
    plan: what to do.
    names: the images' files; messages name them.

    Returns
    -------
    Array ``[inputs, k, j, i]`` float32 (``plan.input_slices``) and the grid it lies on (axis-aligned with the input; a
    crop of it, so voxels of the input may lie outside: they are background).

    Raises
    ------
    InputError: an image is missing, holds NaN or infinity, is constant, lies on another grid than the first, or has
        other bands than the plan.
    """
    files = [None] * len(images) if names is None else list(names)
    check_channels(images, plan, files)
    turned = [turn(image, plan.orientation) for image in images]
    try:
        grid, box = plan_grid(turned, plan)
    except InputError as error:
        raise InputError(error.message, file=files[0], field=error.field, hint=error.hint) from error
    require_memory(4 * plan.inputs * math.prod(grid.shape), "the scan at the model's spacing", files[0])
    out = np.empty((plan.inputs, *grid.shape), np.float32)
    for image, (channel, place), file in zip(turned, plan.input_slices.items(), files, strict=True):
        part = crop(image, box)
        if isinstance(image, Cube):
            normal = plan.bands[channel].apply(part.array)
        elif plan.crop.kind == "center":  # what lies around it is cropped, so it must not set the intensity scale
            normal = normalize(part.array, plan.normalization[channel])[None]
        else:
            normal = normalize(image.array, plan.normalization[channel])[box][None]
        if not np.isfinite(normal).all():
            raise InputError("its values are too large to compute with", file=file, field=f"channel {channel}")
        if part.geometry == grid:
            out[place] = normal
            continue
        for position, one in zip(range(place.start, place.stop), normal, strict=True):
            out[position] = resample_image(Image(one, part.geometry), grid).array
    return out, grid


def plan_grid(turned: Sequence[ChannelImage], plan: Plan) -> tuple[Geometry, Box]:
    """Return the plan's grid of a case and the box of the turned source images that it covers."""
    geometry = turned[0].geometry
    box = crop_box([filled(image) for image in turned], geometry.spacing_kji, plan.crop)
    shape = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    cropped = geometry.cropped((box[0].start, box[1].start, box[2].start), shape)
    spacing = [own if wanted is None else wanted for own, wanted in zip(cropped.spacing_kji, plan.spacing, strict=True)]
    return cropped.resampled((spacing[2], spacing[1], spacing[0])), box


def crop_box(arrays: Sequence[npt.NDArray[np.generic]], spacing: Sequence[float], crop: Crop) -> Box:
    """Return the box ``(k, j, i)`` that ``crop`` keeps of images of one shape."""
    shape = arrays[0].shape
    low, high = [0, 0, 0], list(shape)
    if crop.kind == "nonzero":
        filled = np.any([array != 0 for array in arrays], axis=0)
        for axis in range(3):
            along = np.flatnonzero(filled.any(axis=tuple(other for other in range(3) if other != axis)))
            margin = int(np.ceil(crop.margin_mm / spacing[axis]))
            if along.size:
                low[axis] = max(0, int(along[0]) - margin)
                high[axis] = min(shape[axis], int(along[-1]) + 1 + margin)
    elif crop.kind == "center":
        for axis, size_mm in enumerate(crop.size_mm):
            if size_mm is not None:
                size = min(shape[axis], max(1, round(size_mm / spacing[axis])))
                low[axis] = (shape[axis] - size) // 2
                high[axis] = low[axis] + size
    return slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2])


def normalize(array: npt.NDArray[np.generic], how: Normalization) -> FloatArray:
    """Return the array ``(k, j, i)`` with the intensities that :class:`~softseg.data.plan.Normalization` describes."""
    if how.kind == "ct":
        with np.errstate(over="ignore"):
            values = array.astype(np.float32)  # what becomes infinite is clipped
        low, high, mean, sd = (float(x) for x in (how.lower, how.upper, how.mean, how.sd) if x is not None)
        return np.asarray((np.clip(values, low, high) - mean) / max(sd, 1e-6), np.float32)
    values = _scaled(array)
    if how.kind == "percentile":
        percent = (1.0 if how.lower is None else how.lower, 99.0 if how.upper is None else how.upper)
        bottom, top = np.percentile(values, percent)
        span = max(float(top - bottom), 1e-6)
        return np.asarray(np.clip((values - bottom) / span, 0, 1) * 2 - 1, np.float32)
    chosen = values[values != 0] if how.kind == "z-score-nonzero" else values
    mean, sd = float(chosen.mean(dtype=np.float64)), float(chosen.std(dtype=np.float64))
    return np.asarray((values - mean) / max(sd, 1e-6), np.float32)


def _scaled(array: npt.NDArray[np.generic]) -> FloatArray:
    """Return float32 for arithmetic that does not depend on the unit: values of 1e300 or 1e-30 are brought near 1.

    They are multiplied by a power of two, so that no digit changes; usual ones not at all.
    """
    numbers: npt.NDArray[Any] = array
    peak = max(abs(float(numbers.min())), abs(float(numbers.max()))) if numbers.size else 0.0
    exponent = math.frexp(peak)[1]
    if peak == 0.0 or _USUAL[0] <= exponent <= _USUAL[1]:
        return array.astype(np.float32)
    return np.ldexp(array.astype(np.float64), -exponent).astype(np.float32)


def check_channels(images: Sequence[ChannelImage], plan: Plan, files: Sequence[str | PathLike[str] | None]) -> None:
    """Raise :class:`InputError` unless the images are one per channel, sound, of the plan's bands, on one grid."""
    if len(images) != len(plan.channels):
        raise InputError(
            f"expected {len(plan.channels)} channels ({', '.join(plan.channels)}), got {len(images)}",
            file=files[0] if files else None,
            hint="give one file per channel, in this order",
        )
    for image, channel, file in zip(images, plan.channels, files, strict=True):
        check_bands(image, channel, plan.bands.get(channel), file)
        check_image(image, channel, file)
        if not same_voxels(image.geometry, images[0].geometry):
            raise InputError(
                f"lies on another grid than channel {plan.channels[0]}: {describe_grid(image.geometry)} against "
                f"{describe_grid(images[0].geometry)}",
                file=file,
                field=f"channel {channel}",
                hint="resample it onto the first channel",
            )


def check_bands(image: ChannelImage, channel: str, bands: Bands | None, file: str | PathLike[str] | None) -> None:
    """Raise :class:`InputError` unless the image has the bands that a plan expects of this channel.

    Wavelengths that both sides know may differ by half of the distance between neighbouring bands (our default).
    """
    count = image.bands if isinstance(image, Cube) else 1
    expected = 1 if bands is None else bands.count
    if count != expected or isinstance(image, Cube) != (bands is not None):
        raise InputError(
            f"expected {_bands_of(expected, bands is not None)}, got {_bands_of(count, isinstance(image, Cube))}",
            file=file,
            field=f"channel {channel}",
            hint="give a file with the bands that the model was trained on"
            if bands is not None
            else "give each channel as a file of its own",
        )
    if bands is None or bands.wavelengths is None or not isinstance(image, Cube) or image.wavelengths is None:
        return
    known = np.asarray(bands.wavelengths)
    apart = np.abs(known - image.wavelengths)
    allowed = max(0.5 * float(np.median(np.abs(np.diff(known)))) if count > 1 else 0.0, 1.0)
    if float(apart.max()) > allowed:
        worst = int(apart.argmax())
        raise InputError(
            f"band {worst} is at {image.wavelengths[worst]:.4g} nm where the model expects {known[worst]:.4g} nm",
            file=file,
            field=f"channel {channel}",
            hint="give a file with the bands that the model was trained on",
        )


def _bands_of(count: int, cube: bool) -> str:
    return f"a cube of {count} bands" if cube else "an image of one value per voxel"


def check_image(image: ChannelImage, channel: str, file: str | PathLike[str] | None) -> None:
    """Raise :class:`InputError` if a voxel is NaN or infinite, or if all voxels are equal."""
    array = image.array
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        bad = int((~np.isfinite(array)).sum())
        if isinstance(image, Cube):
            bands = np.flatnonzero((~np.isfinite(array)).any(axis=(1, 2, 3)))
            shown = ", ".join(map(str, bands[:5])) + (" ..." if len(bands) > 5 else "")
            raise InputError(
                f"{bad} values are NaN or infinite, in {'band' if len(bands) == 1 else 'bands'} {shown}",
                file=file,
                field=f"channel {channel}",
                hint="bands are counted from 0; leave these out or repair them",
            )
        raise InputError(f"{bad} voxels are NaN or infinite", file=file, field=f"channel {channel}")
    if array.size == 0 or array.min() == array.max():
        raise InputError("the image is constant", file=file, field=f"channel {channel}", hint="is it the right file?")


def same_grid(one: Geometry, other: Geometry) -> bool:
    """Whether two grids agree to :data:`GRID_TOLERANCE` of their smallest voxel side, at all corners."""
    return one.same_grid(other, max(0.01, GRID_TOLERANCE * min(one.spacing)))


def same_voxels(one: Geometry, other: Geometry) -> bool:
    """Whether two grids are the same, or one is where the other form of the other's file places its voxels.

    A label map drawn in a program that goes by the qform lies on the qform of its image; its voxels are the image's.
    """
    pairs = ((one, other), (one.other, other), (one, other.other))
    return any(a is not None and b is not None and same_grid(a, b) for a, b in pairs)


def describe_grid(geometry: Geometry) -> str:
    """Return size, spacing and origin in a few words."""
    spacing = " x ".join(f"{value:.4g}" for value in geometry.spacing)
    origin = ", ".join(f"{value:.4g}" for value in geometry.origin)
    return f"{' x '.join(map(str, geometry.size))} voxels of {spacing} mm at ({origin})"


def plan_orientation(geometry: Geometry, dimensions: int) -> str:
    """Return the orientation for a plan: ``"LPS"``, or in 2D one whose k runs across the slices of ``geometry``.

    Slices lie across the axis with clearly the largest spacing; else across the one with the fewest voxels.
    """
    if dimensions == 3:
        return "LPS"
    image = sitk.Image(1, 1, 1, sitk.sitkUInt8)
    image.SetDirection(geometry.direction)
    letters = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())
    spacing = geometry.spacing
    across = np.argmax(spacing) if max(spacing) > _THICK * min(spacing) else 2 - np.argmin(geometry.size[::-1])
    thick = letters[int(across)]
    return "LPS" if thick in "SI" else "LSP" if thick in "AP" else "PSL"
