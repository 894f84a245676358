"""What becomes of a cube's bands before the network sees them: choice, per-pixel scaling, z-score, PCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from softseg.errors import InputError
from softseg.overrides import below, parts_of
from softseg.types import FloatArray

PerPixel = Literal["none", "l1", "snv"]

_LEAST = 1e-6  # what is divided by is never smaller


class BandsChoice(BaseModel):
    """What a person decides about the bands of a cube.

    Attributes
    ----------
    select: which bands are used: positions from 0 (``"0-102, 110"``, or a list), wavelengths (``"450-900 nm"``), or
        null for all.
    per_pixel: what is done to each pixel's spectrum first: ``none``; ``l1``: divided by the sum of its magnitudes;
        ``snv``: standard normal variate, its own mean subtracted and divided by its own standard deviation.
    pca: number of principal components that take the place of the bands, or null for the bands themselves.
    whiten: whether every component gets the same spread (1), or keeps its own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    select: str | int | tuple[int, ...] | None = None
    per_pixel: PerPixel = "none"
    pca: int | None = Field(default=None, ge=1)
    whiten: bool = True


class Bands(BaseModel):
    """How one channel that is a cube becomes network input; fitted on the training cases.

    In this order: the selected bands, per-pixel scaling, (x - mean) / sd of each band, projection on components.

    Attributes
    ----------
    count: bands in the file.
    wavelengths: of the file's bands, nm, where known.
    selected: positions of those that are used, from 0, ascending.
    per_pixel: see :class:`BandsChoice`.
    mean, sd: of each selected band over the training pixels, after per-pixel scaling.
    components: rows to project on, ``[outputs, selected]``, with whitening where that was chosen; None without PCA.
    explained: fraction of the variance that each component holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(ge=1)
    wavelengths: tuple[float, ...] | None = None
    selected: tuple[int, ...] = Field(min_length=1)
    per_pixel: PerPixel = "none"
    mean: tuple[float, ...]
    sd: tuple[float, ...]
    components: tuple[tuple[float, ...], ...] | None = None
    explained: tuple[float, ...] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Bands:
        used = len(self.selected)
        if list(self.selected) != sorted(set(self.selected)) or not 0 <= self.selected[0] <= self.selected[-1] < (
            self.count
        ):
            raise ValueError(f"selected needs ascending positions from 0 to {self.count - 1}")
        if len(self.mean) != used or len(self.sd) != used:
            raise ValueError(f"mean and sd need {used} numbers, one per selected band")
        if self.wavelengths is not None and len(self.wavelengths) != self.count:
            raise ValueError(f"wavelengths needs {self.count} numbers, one per band")
        if self.components is not None and any(len(row) != used for row in self.components):
            raise ValueError(f"each of components needs {used} numbers, one per selected band")
        return self

    @property
    def outputs(self) -> int:
        """Number of network input channels."""
        return len(self.selected) if self.components is None else len(self.components)

    def apply(self, array: npt.NDArray[Any]) -> FloatArray:
        """Return the network input ``[outputs, ...]`` of a cube ``[count, ...]``."""
        chosen = array[list(self.selected)] if len(self.selected) < self.count else array
        values = per_pixel(chosen.reshape(len(chosen), -1).astype(np.float32), self.per_pixel)
        values -= np.asarray(self.mean, np.float32)[:, None]
        values /= np.maximum(np.asarray(self.sd, np.float32), _LEAST)[:, None]
        if self.components is not None:
            values = np.asarray(self.components, np.float32) @ values
        return np.ascontiguousarray(values.reshape(-1, *array.shape[1:]), dtype=np.float32)


def per_pixel(values: FloatArray, how: PerPixel) -> FloatArray:
    """Return spectra ``[bands, pixels]`` scaled pixel by pixel; a pixel without any signal stays 0."""
    if how == "l1":
        total = np.abs(values).sum(axis=0, dtype=np.float64)
        return np.asarray(values / np.maximum(total, _LEAST), np.float32)
    if how == "snv":
        values = values - values.mean(axis=0, dtype=np.float64).astype(np.float32)
        return np.asarray(values / np.maximum(values.std(axis=0, dtype=np.float64), _LEAST), np.float32)
    return values


def fit_bands(
    pixels: FloatArray, choice: BandsChoice, wavelengths: Sequence[float] | None = None, field: str = "bands"
) -> Bands:
    """Return how a cube becomes network input, from spectra of the training cases.

    PCA is that of the z-scored bands, by singular value decomposition of their covariance; each component's sign is
    chosen so that its largest loading is positive, so that two machines agree.

    Parameters
    ----------
    pixels: spectra ``[pixels, bands]``.
    choice: what was decided.
    wavelengths: of the bands, nm, where known.
    field: names the choice in messages.

    Raises
    ------
    InputError: the choice does not fit the bands there are.
    """
    count = pixels.shape[1]
    selected = select_bands(choice.select, count, wavelengths, f"{field}.select")
    if choice.pca is not None and choice.pca > len(selected):
        raise InputError(f"{choice.pca} components of {len(selected)} bands are too many", field=f"{field}.pca")
    values = per_pixel(np.ascontiguousarray(pixels[:, list(selected)].T, np.float32), choice.per_pixel)
    mean, sd = values.mean(axis=1, dtype=np.float64), values.std(axis=1, dtype=np.float64)
    sd = np.where(
        sd > _LEAST * np.maximum(np.abs(mean), _LEAST), sd, 1.0
    )  # a constant band carries nothing: it becomes 0
    components = explained = None
    if choice.pca is not None:
        normal = (values - mean[:, None]) / sd[:, None]
        variance, vectors = np.linalg.eigh(normal @ normal.T / normal.shape[1])
        variance, rows = np.maximum(variance[::-1], 0), vectors[:, ::-1].T
        rows = rows * np.sign(rows[np.arange(len(rows)), np.abs(rows).argmax(axis=1)])[:, None]
        spread = np.sqrt(np.maximum(variance, _LEAST**2))[:, None] if choice.whiten else 1.0
        components = tuple(tuple(float(x) for x in row) for row in (rows / spread)[: choice.pca])
        explained = tuple(float(x) for x in (variance / max(float(variance.sum()), _LEAST))[: choice.pca])
    return Bands(
        count=count,
        wavelengths=None if wavelengths is None else tuple(float(x) for x in wavelengths),
        selected=selected,
        per_pixel=choice.per_pixel,
        mean=tuple(float(x) for x in mean),
        sd=tuple(float(x) for x in sd),
        components=components,
        explained=explained,
    )


def select_bands(
    wanted: str | int | Sequence[int] | None, count: int, wavelengths: Sequence[float] | None, field: str = "select"
) -> tuple[int, ...]:
    """Return the positions, from 0 and ascending, of the bands that are wanted.

    Parameters
    ----------
    wanted: positions and ranges with both ends (``"0-102, 110"``), the same of wavelengths in nm (``"450-900 nm"``; a
        single one takes the nearest band), a list of positions, or None for all.
    count: bands there are.
    wavelengths: of them, nm, where known.
    field: named in messages.

    Raises
    ------
    InputError: not understood, no such band, or wavelengths are asked for and not known.
    """
    if wanted is None:
        return tuple(range(count))
    if isinstance(wanted, int):
        wanted = [wanted]
    if not isinstance(wanted, str):
        found = {int(position) for position in wanted}
    else:
        text = wanted.strip()
        nm = text.lower().endswith("nm")
        found = set()
        for part in (text[:-2] if nm else text).split(","):
            found |= _in_nm(part, wavelengths, field) if nm else _positions(part, field)
    strange = sorted(position for position in found if not 0 <= position < count)
    if strange:
        raise InputError(f"there is no band {strange[0]}: the {count} bands are 0 to {count - 1}", field=field)
    if not found:
        raise InputError(f"no band lies in {wanted!r}", field=field)
    return tuple(sorted(found))


def _ends(part: str, field: str) -> tuple[float, float]:
    low, dash, high = part.strip().partition("-")
    try:
        ends = float(low), float(high if dash else low)
    except ValueError as error:
        raise InputError(
            f"expected bands such as '0-102, 110' or '450-900 nm', got {part.strip()!r}", field=field
        ) from error
    if ends[0] > ends[1]:
        raise InputError(f"expected the smaller number first, got {part.strip()!r}", field=field)
    return ends


def _positions(part: str, field: str) -> set[int]:
    low, high = _ends(part, field)
    if low != int(low) or high != int(high):
        raise InputError(
            f"expected whole numbers, got {part.strip()!r}", field=field, hint="write 'nm' for wavelengths"
        )
    return set(range(int(low), int(high) + 1))


def _in_nm(part: str, wavelengths: Sequence[float] | None, field: str) -> set[int]:
    if wavelengths is None:
        raise InputError(
            "the file has no wavelengths of its bands", field=field, hint="choose bands by position, such as 0-102"
        )
    low, high = _ends(part, field)
    known = np.asarray(wavelengths)
    if low == high:
        return {int(np.abs(known - low).argmin())}
    return {int(position) for position in np.flatnonzero((known >= low) & (known <= high))}


def band_choices(overrides: Mapping[str, Any] | None, channels: Sequence[str]) -> dict[str, BandsChoice]:
    """Return what was decided for each channel's bands, from the plan's overrides ``bands`` and ``bands.*``.

    ``bands.select`` holds for all channels that are cubes, ``bands.CHANNEL.select`` for one.

    Raises
    ------
    InputError: a key is unknown or a value does not fit; the key is named.
    """
    options = set(BandsChoice.model_fields)
    chosen: dict[str, dict[str, Any]] = {channel: {} for channel in channels}

    def put(place: list[str], value: Any) -> None:
        name = ".".join(["bands", *place])
        if isinstance(value, Mapping):
            for key, inner in value.items():
                put([*place, str(key)], inner)
        elif len(place) == 1 and place[0] in options:
            for choice in chosen.values():
                choice[place[0]] = value
        elif len(place) == 2 and place[0] in chosen and place[1] in options:
            chosen[place[0]][place[1]] = value
        else:
            raise InputError("unknown key", field=name, hint=f"known are {', '.join(sorted(options))}")

    for key, value in sorted(below(overrides, "bands").items(), key=lambda item: len(parts_of(item[0]))):
        put(parts_of(key)[1:], value)
    return {channel: _choice(values) for channel, values in chosen.items()}


def _choice(values: Mapping[str, Any]) -> BandsChoice:
    try:
        return BandsChoice.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        raise InputError(f"{problem['msg']}, got {problem['input']!r}", field=f"bands.{problem['loc'][0]}") from error
