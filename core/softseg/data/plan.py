"""The plan: everything that training and prediction must do alike, in one file.

A plan is made once, from the data and the memory there is (:func:`softseg.data.make_plan`), saved beside the run and
inside the model folder, and never guessed again. All sizes and spacings are in array order ``(k, j, i)``.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from os import PathLike
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from softseg.data.cubes.bands import Bands
from softseg.data.identified import Identifier
from softseg.errors import InputError
from softseg.files import write_beside
from softseg.overrides import parts_of
from softseg.texts import read_json

_FROZEN = ConfigDict(extra="forbid", frozen=True)

NormalizationKind = Literal["z-score", "z-score-nonzero", "percentile", "ct", "bands"]


MOST_VOXELS = 1 << 29
"""Voxels of a patch; no network has room for the features of more."""

LARGEST_SPACING = 1000
"""Largest spacing of a plan in mm, larger than anything that is imaged (our default)."""

MANY_BANDS = 8
"""From so many bands on, a 2D plan is one of spectra: the network begins with convolutions of one pixel, and what would
mix neighbouring pixels is left out of the augmentation (our default)."""


class NetworkSpec(BaseModel):
    """A network by name with its options (see :func:`softseg.network.build_network`)."""

    model_config = _FROZEN

    name: str = "DynUNet"
    options: dict[str, Any] = Field(default_factory=dict)


class Normalization(BaseModel):
    """How the intensities of one channel become network input.

    ``z-score``: (x - mean) / sd of the image. ``z-score-nonzero``: the same with mean and sd of the voxels that are
    not exactly zero (skull-stripped images); the background then gets one low value. ``percentile``: the ``lower`` and
    ``upper`` percentiles of the image go to -1 and 1, values beyond are clipped. ``ct``: clipped to ``lower`` and
    ``upper`` (Hounsfield units), then (x - ``mean``) / ``sd`` with the numbers of the training set. ``bands``: the
    channel is a cube; what is done to its bands stands in the plan's ``bands``.
    """

    model_config = _FROZEN

    kind: NormalizationKind = "z-score"
    lower: float | None = None
    upper: float | None = None
    mean: float | None = None
    sd: float | None = None

    @model_validator(mode="after")
    def _complete(self) -> Normalization:
        if self.kind == "ct" and None in (self.lower, self.upper, self.mean, self.sd):
            raise ValueError("kind 'ct' needs lower, upper, mean and sd")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError("lower must be below upper")
        return self


class Crop(BaseModel):
    """Which part of an image is used.

    ``none``: all of it. ``nonzero``: the box of voxels that are not exactly zero, plus ``margin_mm``. ``center``: a box
    of ``size_mm`` (k, j, i; null = all along that axis) around the middle of the image; intensities are then normalised
    by what lies in the box alone.
    """

    model_config = _FROZEN

    kind: Literal["none", "nonzero", "center"] = "none"
    margin_mm: float = Field(default=4.0, ge=0)
    size_mm: tuple[float | None, float | None, float | None] = (None, None, None)


class Sampling(BaseModel):
    """Fractions of patches by where their centre lies; what is missing to 1 lies anywhere in the image.

    ``foreground``: uniform over voxels that are not background. ``balanced``: a class is drawn first, each with the
    same probability, then one of its voxels, so that rare classes are seen (our defaults).
    """

    model_config = _FROZEN

    foreground: float = Field(default=0.5, ge=0, le=1)
    balanced: float = Field(default=0.4, ge=0, le=1)

    @model_validator(mode="after")
    def _sum(self) -> Sampling:
        if self.foreground + self.balanced > 1 + 1e-9:
            raise ValueError("foreground and balanced must sum to at most 1")
        return self


class Plan(BaseModel):
    """Everything that training and prediction must do alike.

    Attributes
    ----------
    dimensions: 2 (slices in the ``j, i`` plane) or 3.
    channels: names, in the order the network sees them.
    orientation: where the array's axes ``(i, j, k)`` run to, e.g. ``"LPS"``: i to Left, j to Posterior, k to Superior.
    spacing: mm, ``(k, j, i)``; null keeps the image's own spacing along that axis (k of 2D plans).
    patch_size: voxels, ``(k, j, i)`` or ``(j, i)``.
    batch_size: patches in a step.
    normalization: by channel.
    bands: what becomes of the bands, by channel, of the channels that are cubes.
    crop, sampling, network: see these.
    raters: how several raters' labels become one target; ``"random"`` draws one rater per patch.
    precision: of the network's arithmetic; ``"auto"`` takes what the device is good at.
    statistics: what was measured on the training cases; nothing reads it back.
    """

    model_config = _FROZEN

    version: Literal[1] = 1
    dimensions: Literal[2, 3] = 3
    channels: tuple[Identifier, ...] = Field(min_length=1)
    orientation: str = Field(default="LPS", pattern="^[LRAPSI]{3}$")
    spacing: tuple[float | None, float | None, float | None]
    patch_size: tuple[int, ...]
    batch_size: int = Field(default=2, ge=1)
    normalization: dict[str, Normalization]
    bands: dict[str, Bands] = Field(default_factory=dict)
    crop: Crop = Crop()
    sampling: Sampling = Sampling()
    network: NetworkSpec = NetworkSpec()
    raters: Literal["mean", "majority", "staple", "random"] = "mean"
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    statistics: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Plan:
        if {letter for pair in ("LR", "AP", "SI") for letter in pair if letter in self.orientation} != set(
            self.orientation
        ) or any(sum(letter in pair for letter in self.orientation) != 1 for pair in ("LR", "AP", "SI")):
            raise ValueError("orientation needs one letter each of L/R, A/P and S/I")
        if any(value is not None and not 0 < value <= LARGEST_SPACING for value in self.spacing):
            raise ValueError(f"spacing must be above 0 and at most {LARGEST_SPACING} mm")
        if len(self.patch_size) != self.dimensions or min(self.patch_size) < 1:
            raise ValueError(
                f"patch_size needs {self.dimensions} positive numbers, got {list(self.patch_size)}; set it with"
                " --set plan.patch_size=[...]"
            )
        if math.prod(self.patch_size) > MOST_VOXELS:
            raise ValueError(f"patch_size of more than {MOST_VOXELS} voxels: {list(self.patch_size)}")
        if set(self.normalization) != set(self.channels):
            raise ValueError(f"normalization needs an entry for each of the channels {list(self.channels)}")
        for channel in {*self.bands, *(name for name, how in self.normalization.items() if how.kind == "bands")}:
            if channel not in self.bands or channel not in self.normalization:
                raise ValueError(f"the channel {channel!r} is no cube: it has no bands")
            if self.normalization[channel].kind != "bands":
                raise ValueError(
                    f"the channel {channel!r} is a cube: its normalization is 'bands' (see bands.per_pixel)"
                )
        return self

    @property
    def inputs(self) -> int:
        """Input channels of the network: one for a scalar channel, and those that a cube's bands become."""
        return sum(part.stop - part.start for part in self.input_slices.values())

    @property
    def input_slices(self) -> dict[str, slice]:
        """Which of the network's input channels each channel becomes."""
        found, start = {}, 0
        for channel in self.channels:
            stop = start + (self.bands[channel].outputs if channel in self.bands else 1)
            found[channel] = slice(start, stop)
            start = stop
        return found

    @property
    def patch_kji(self) -> tuple[int, int, int]:
        """Patch size with three numbers; one slice in 2D."""
        size = (1, *self.patch_size) if self.dimensions == 2 else self.patch_size
        return size[0], size[1], size[2]

    @property
    def left_right_axis(self) -> int:
        """Array axis (0 = k, 1 = j, 2 = i) that runs between left and right."""
        return 2 - next(axis for axis, letter in enumerate(self.orientation) if letter in "LR")

    def preprocessing_key(self) -> str:
        """Return a digest of everything that changes the preprocessed images and labels."""
        fields = {"channels", "orientation", "spacing", "normalization", "bands", "crop", "raters", "dimensions"}
        text = json.dumps(self.model_dump(mode="json", include=fields), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def with_overrides(self, overrides: dict[str, Any] | None) -> Plan:
        """Return a plan with other values; keys are dotted, e.g. ``"network.options.filters"``.

        ``"normalization"`` may be a kind or an object, then it holds for all channels; ``"network"`` may be a name.

        Raises
        ------
        InputError: a key is unknown or a value does not fit; the key is named.
        """
        if not overrides:
            return self
        content = self.model_dump(mode="json")
        for key, value in overrides.items():
            _set(content, key, copy.deepcopy(value), self.channels)  # later keys may reach into it
        return _validated(content, None)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the plan as JSON."""
        with write_beside(path) as temporary:
            temporary.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
        return Path(path)

    @staticmethod
    def load(path: str | PathLike[str]) -> Plan:
        """Read a plan from JSON.

        Raises
        ------
        InputError: the file is missing, not JSON, or not a plan; the field is named.
        """
        file = Path(path)
        content = read_json(file)
        return _validated(content, file)


def _validated(content: Any, file: Path | None) -> Plan:
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"]) or "plan"
        unknown = problem["type"] == "extra_forbidden"
        message = "unknown key" if unknown else problem["msg"].removeprefix("Value error, ")
        raise InputError(message, file=file, field=field) from error


def _set(content: dict[str, Any], key: str, value: Any, channels: tuple[str, ...]) -> None:
    if key == "normalization" and not (isinstance(value, dict) and set(value) <= set(channels)):
        one = {"kind": value} if isinstance(value, str) else value
        value = dict.fromkeys(channels, one)
    if key == "network" and isinstance(value, str):
        value = {"name": value, "options": {}}
    *parents, last = parts_of(key)
    free = parents[:2] == ["network", "options"]
    place: Any = content
    for depth, name in enumerate(parents):
        if free and depth >= 2 and isinstance(place, dict):
            place.setdefault(name, {})
        if not isinstance(place, dict) or name not in place:
            raise InputError(f"unknown key {name!r}", field=".".join(parents[: depth + 1]))
        place = place[name]
    if not isinstance(place, dict):
        raise InputError("unknown key: there are no keys below this value", field=key)
    if last not in place and not free:
        raise InputError(f"unknown key; known are {', '.join(sorted(place)) or 'none'}", field=key)
    if isinstance(place.get(last), dict) and isinstance(value, dict) and last != "options":
        value = {**place[last], **value}
    place[last] = value
