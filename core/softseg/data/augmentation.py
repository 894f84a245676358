"""Random changes of patches: which there are, how strong, and the ones that change intensities.

Everything random comes from the one ``numpy.random.Generator`` that is handed in, so a patch is a pure function of its
seed. Strengths are our defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional as F

from softseg.data.plan import MANY_BANDS, Plan
from softseg.errors import InputError

Range: TypeAlias = tuple[float, float]
_CURVE_POINTS = 6
Probability: TypeAlias = float


class AugmentationSpec(BaseModel):
    """Which random changes are made, each with its probability per patch; ``AugmentationSpec.none()`` makes none.

    Intensities are those after normalisation, so a spread of 1 is the image's standard deviation.

    Attributes
    ----------
    rotation_degrees: largest rotation about each axis (about k alone in 2D).
    scale: range of the zoom.
    elastic_mm: largest displacement of the knots of a smooth random field; ``elastic_knot_mm`` apart.
    mirror_probability: of swapping left and right, in the image and in the labels.
    quarter_turn_probability: of turning a slice by 90, 180 or 270 degrees, which moves pixels and mixes none (2D only).
    gamma: range of the exponent applied to intensities between their minimum and maximum.
    inversion_probability: of turning dark and bright around (for contrasts that differ between sites).
    curve: 0..1, how far a random curve through 6 points leads from the straight line (for contrasts that differ between
        scanners: tissues may come out alike, or the darker one brighter); off by default.
    rising_curve: 0..1, the same with a curve that only rises, as MONAI's ``RandHistogramShift``; off by default.
    bias_field: largest log gain of a smooth field.
    contrast, brightness: range of a factor about the mean; largest shift.
    noise_sd: largest standard deviation of Gaussian noise.
    blur_voxels: range of the standard deviation of a Gaussian blur.
    low_resolution: range of the factor by which voxels are made coarser and back.
    spectral_gain: of cubes, largest log factor of all bands together.
    spectral_tilt: of cubes, largest shift of a curve over the bands with four knots.
    band_dropout: of cubes, largest fraction of bands that are blank.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rotation_degrees: float = Field(default=15.0, ge=0, le=180)
    rotation_probability: Probability = Field(default=0.5, ge=0, le=1)
    scale: Range = (0.85, 1.2)
    scale_probability: Probability = Field(default=0.4, ge=0, le=1)
    elastic_mm: float = Field(default=4.0, ge=0)
    elastic_knot_mm: float = Field(default=32.0, gt=0)
    elastic_probability: Probability = Field(default=0.2, ge=0, le=1)
    mirror_probability: Probability = Field(default=0.5, ge=0, le=1)
    quarter_turn_probability: Probability = Field(default=0.0, ge=0, le=1)
    gamma: Range = (0.7, 1.5)
    gamma_probability: Probability = Field(default=0.3, ge=0, le=1)
    inversion_probability: Probability = Field(default=0.0, ge=0, le=1)
    curve: float = Field(default=0.5, ge=0, le=1)
    curve_probability: Probability = Field(default=0.0, ge=0, le=1)
    rising_curve: float = Field(default=0.8, ge=0, le=1)
    rising_curve_probability: Probability = Field(default=0.0, ge=0, le=1)
    bias_field: float = Field(default=0.4, ge=0)
    bias_field_probability: Probability = Field(default=0.2, ge=0, le=1)
    contrast: Range = (0.75, 1.25)
    brightness: float = Field(default=0.2, ge=0)
    contrast_probability: Probability = Field(default=0.3, ge=0, le=1)
    noise_sd: float = Field(default=0.15, ge=0)
    noise_probability: Probability = Field(default=0.2, ge=0, le=1)
    blur_voxels: Range = (0.4, 1.0)
    blur_probability: Probability = Field(default=0.15, ge=0, le=1)
    low_resolution: Range = (1.2, 2.0)
    low_resolution_probability: Probability = Field(default=0.15, ge=0, le=1)
    spectral_gain: float = Field(default=0.1, ge=0)
    spectral_gain_probability: Probability = Field(default=0.3, ge=0, le=1)
    spectral_tilt: float = Field(default=0.1, ge=0)
    spectral_tilt_probability: Probability = Field(default=0.3, ge=0, le=1)
    band_dropout: float = Field(default=0.1, ge=0, lt=1)
    band_dropout_probability: Probability = Field(default=0.2, ge=0, le=1)

    @model_validator(mode="after")
    def _ranges(self) -> AugmentationSpec:
        for name in ("scale", "gamma", "contrast", "blur_voxels", "low_resolution"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ValueError(f"{name} needs two positive numbers, the smaller first")
        return self

    @staticmethod
    def none() -> AugmentationSpec:
        """Return a specification that changes nothing."""
        names = [name for name in AugmentationSpec.model_fields if name.endswith("_probability")]
        return AugmentationSpec.model_validate(dict.fromkeys(names, 0.0))


def default_augmentation(plan: Plan, changes: Mapping[str, Any] | None = None) -> AugmentationSpec:
    """Return sane strengths for a plan: slices may turn further than volumes, and bend in proportion (our defaults).

    Slices of many bands are mirrored only: rotations, zoom and bending would mix the spectra of neighbouring pixels, of
    which a few are labelled. Quarter turns mix none, but are left off: what lies along rows and columns of one scene,
    fields say, helps to recognise it (measured on Indian Pines: 0.92 of the pixels right without, 0.83 with them).

    Parameters
    ----------
    plan: its dimensions, spacing and patch size.
    changes: fields that stand whatever the plan is.

    Raises
    ------
    InputError: a field is unknown or does not fit; it is named.
    """
    defaults: dict[str, Any] = {}
    if plan.dimensions == 2:
        in_plane = [1.0 if value is None else value for value in plan.spacing[1:]]
        extent = min(size * value for size, value in zip(plan.patch_size, in_plane, strict=True))
        defaults = {
            "rotation_degrees": 25.0,
            "scale": (0.8, 1.25),
            "elastic_mm": extent / 40,
            "elastic_knot_mm": extent / 4,
            "elastic_probability": 0.3,
            "gamma_probability": 0.4,
            "contrast_probability": 0.4,
            "bias_field_probability": 0.3,
        }
    if plan.dimensions == 2 and sum(how.outputs for how in plan.bands.values()) >= MANY_BANDS:
        defaults |= dict.fromkeys(("rotation_probability", "scale_probability", "elastic_probability"), 0.0)
    try:
        return AugmentationSpec.model_validate({**defaults, **(changes or {})})
    except ValidationError as error:
        problem = error.errors()[0]
        unknown = problem["type"] == "extra_forbidden"
        message = "unknown key" if unknown else problem["msg"].removeprefix("Value error, ")
        field = ".".join(["augmentation", *map(str, problem["loc"])])
        hint = f"the keys here are {', '.join(AugmentationSpec.model_fields)}" if unknown else None
        raise InputError(message, field=field, hint=hint) from error


def change_intensities(
    image: Tensor, spec: AugmentationSpec, generator: np.random.Generator, cubes: Sequence[slice] = ()
) -> Tensor:
    """Return a patch ``[channels, *spatial]`` with other intensities; each channel gets changes of its own.

    Random numbers are drawn in a fixed order whether or not a change is made.

    Parameters
    ----------
    image: the patch.
    spec, generator: what to draw.
    cubes: which channels, in ascending order, are the bands of one cube: these are changed together, by
        :func:`change_spectra`.
    """
    if not cubes:
        return torch.stack([_change_channel(channel, spec, generator) for channel in image])
    parts, start = [], 0
    for place in [*cubes, slice(len(image), len(image))]:
        parts += [_change_channel(channel, spec, generator)[None] for channel in image[start : place.start]]
        if place.stop > place.start:
            parts.append(change_spectra(image[place], spec, generator))
        start = place.stop
    return torch.cat(parts)


def change_spectra(bands: Tensor, spec: AugmentationSpec, generator: np.random.Generator) -> Tensor:
    """Return the bands ``[bands, *spatial]`` of a cube with other intensities; which bands differ from which is kept.

    All pixels of a patch get the same changes, but for the noise: brighter or darker light (``spectral_gain``), a
    smooth shift along the bands (``spectral_tilt``), noise, and single bands that are blank (``band_dropout``; 0 is
    their mean). Gamma, inversion, contrast of single bands and bias fields would break the spectra: they are not used.
    The changes and their strengths are ours.
    """
    wanted, amount = generator.random(4), generator.random(4)
    seed = int(generator.integers(0, 2**31))
    own = np.random.default_rng(seed)
    count = len(bands)
    along = [1] * (bands.ndim - 1)
    if wanted[0] < spec.spectral_gain_probability:
        bands = bands * float(np.exp(spec.spectral_gain * (2 * amount[0] - 1)))
    if wanted[1] < spec.spectral_tilt_probability:
        knots = own.uniform(-spec.spectral_tilt, spec.spectral_tilt, 4).astype(np.float32)
        shift = np.interp(np.linspace(0, 3, count), np.arange(4), knots).astype(np.float32)
        bands = bands + torch.from_numpy(shift).view(count, *along)
    if wanted[2] < spec.noise_probability:
        noise = own.standard_normal(tuple(bands.shape), np.float32)
        bands = bands + torch.from_numpy(noise) * (spec.noise_sd * float(amount[2]))
    if wanted[3] < spec.band_dropout_probability:
        kept = own.random(count) >= spec.band_dropout * amount[3]
        bands = bands * torch.from_numpy(kept.astype(np.float32)).view(count, *along)
    return bands


def _change_channel(channel: Tensor, spec: AugmentationSpec, generator: np.random.Generator) -> Tensor:
    wanted = generator.random(7)
    amount = generator.random(8)
    field_seed, noise_seed = (int(value) for value in generator.integers(0, 2**31, 2))
    if wanted[0] < spec.bias_field_probability:
        channel = _bias_field(channel, spec.bias_field * float(amount[0]), field_seed)
    if wanted[1] < spec.blur_probability:
        sigma = _between(spec.blur_voxels, amount[1])
        channel = torch.from_numpy(gaussian_filter(channel.numpy(), sigma, truncate=3.0))
    if wanted[2] < spec.low_resolution_probability:
        channel = _coarsen(channel, _between(spec.low_resolution, amount[2]))
    if wanted[3] < spec.contrast_probability:
        mean = channel.mean()
        channel = (channel - mean) * _between(spec.contrast, amount[3]) + mean
        channel = channel + spec.brightness * (2 * float(amount[4]) - 1)
    if wanted[4] < spec.inversion_probability:
        channel = channel.max() + channel.min() - channel
    if wanted[5] < spec.gamma_probability:
        channel = _gamma(channel, _between(spec.gamma, amount[5]))
    if spec.curve_probability and generator.random() < spec.curve_probability:
        line = np.linspace(0, 1, _CURVE_POINTS)
        channel = _curve(channel, (1 - spec.curve) * line + spec.curve * generator.random(_CURVE_POINTS))
    if spec.rising_curve_probability and generator.random() < spec.rising_curve_probability:
        even = 1 / (_CURVE_POINTS - 1)
        rises = (1 - spec.rising_curve) * even + spec.rising_curve * generator.dirichlet(np.ones(_CURVE_POINTS - 1))
        channel = _curve(channel, np.concatenate([[0.0], np.cumsum(rises)]))
    if wanted[6] < spec.noise_probability:
        noise = np.random.default_rng(noise_seed).standard_normal(tuple(channel.shape), np.float32)
        channel = channel + torch.from_numpy(noise) * (spec.noise_sd * float(amount[6]))
    return channel


def _between(limits: Range, part: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * float(part)


def _gamma(channel: Tensor, exponent: float) -> Tensor:
    low = channel.min()
    span = (channel.max() - low).clamp_min(1e-6)
    return ((channel - low) / span).pow(exponent) * span + low


def _curve(channel: Tensor, heights: npt.NDArray[np.float64]) -> Tensor:
    """Send intensities through a curve of straight pieces between the patch's minimum and maximum.

    ``heights`` (0..1) are those of points at equal distances. Both ways to draw them are ours.
    """
    low, high = float(channel.min()), float(channel.max())
    if high <= low:
        return channel
    places = np.linspace(low, high, len(heights))
    bent = np.interp(channel.numpy(), places, low + (high - low) * heights)
    return torch.from_numpy(bent.astype(np.float32))


def _bias_field(channel: Tensor, strength: float, seed: int) -> Tensor:
    """Multiply the intensities above the patch's minimum by a smooth gain between exp(-strength) and exp(strength)."""
    knots = np.random.default_rng(seed).uniform(-strength, strength, (4,) * channel.ndim).astype(np.float32)
    low = channel.min()
    return (channel - low) * smooth_field(knots[None], tuple(channel.shape))[0].exp() + low


def _coarsen(channel: Tensor, factor: float) -> Tensor:
    mode = "trilinear" if channel.ndim == 3 else "bilinear"
    size = [max(1, round(length / factor)) for length in channel.shape]
    small = F.interpolate(channel[None, None], size=size, mode=mode, align_corners=False)
    return F.interpolate(small, size=list(channel.shape), mode=mode, align_corners=False)[0, 0]


def smooth_field(knots: np.ndarray[tuple[int, ...], np.dtype[np.float32]], shape: tuple[int, ...]) -> Tensor:
    """Return ``knots`` ``[n, *coarse]`` interpolated linearly over a grid: ``[n, *shape]``, corner on corner."""
    mode = "trilinear" if len(shape) == 3 else "bilinear"
    return F.interpolate(torch.from_numpy(knots)[None], size=list(shape), mode=mode, align_corners=True)[0]
